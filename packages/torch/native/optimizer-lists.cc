// An optimizer's step over whole lists of tensors at once. On a GPU a kernel for each parameter costs more in launches
// than in work: a network of sixty parameters takes a thousand launches an Adam step, and a handful as lists.
//
// libtorch's fused kernels (`_fused_adam_`, `_fused_adamw_`, `_fused_sgd_`) are used where this libtorch has them for the
// device, asked of the dispatcher at run time; else its `_foreach_` operators, which every libtorch has; else, for what is
// no dense list, the step of each tensor in optim.cc. The arithmetic is PyTorch's in the same order in all of them.
//
// STOPGRAD_OPTIMIZER=lists takes this way on the CPU too, for tests: a GPU is not everywhere, the operators are.
#include "optimizer-lists.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>

namespace stopgrad {

namespace {

using Tensors = std::vector<at::Tensor>;

bool onCpuToo() {
  static const bool wished = [] {
    const char* wish = std::getenv("STOPGRAD_OPTIMIZER");
    return wish && std::strcmp(wish, "lists") == 0;
  }();
  return wished;
}

/** The columns of a list: parameters, gradients, and each kind of state. */
struct Columns {
  Tensors parameters, gradients;
  std::vector<Tensors> state;
  double step = 0;

  const at::Tensor& first() const { return parameters[0]; }
};

/** One list for each device, type and number of steps taken. */
std::vector<Columns> columnsOf(const std::vector<Stepped>& listed) {
  std::map<std::tuple<int, int, int, double>, Columns> lists;
  for (const Stepped& one : listed) {
    const at::Device device = one.parameter.device();
    Columns& list = lists[{static_cast<int>(device.type()), static_cast<int>(device.index()),
                           static_cast<int>(one.parameter.scalar_type()), one.step}];
    list.step = one.step;
    list.parameters.push_back(one.parameter);
    list.gradients.push_back(one.gradient);
    list.state.resize(one.state.size());
    for (size_t kind = 0; kind < one.state.size(); kind++)
      if (one.state[kind].defined()) list.state[kind].push_back(one.state[kind]);
  }
  std::vector<Columns> result;
  for (auto& [key, list] : lists) result.push_back(std::move(list));
  return result;
}

/** An operator of this name with a kernel for the device, and with so many arguments: null where there is none. */
const c10::OperatorHandle* fusedOperator(const char* name, const at::Tensor& like, size_t arguments) {
  static std::map<std::string, c10::optional<c10::OperatorHandle>> known;
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  auto found = known.find(name);
  if (found == known.end())
    found = known.emplace(name, c10::Dispatcher::singleton().findSchema({name, ""})).first;
  if (!found->second.has_value() || found->second->schema().arguments().size() != arguments) return nullptr;
  const auto key = like.is_cuda() ? c10::DispatchKey::CUDA : c10::DispatchKey::CPU;
  return found->second->hasKernelForDispatchKey(key) ? &*found->second : nullptr;
}

void changed(const Tensors& tensors) {
  for (const at::Tensor& tensor : tensors) tensor.unsafeGetTensorImpl()->bump_version();
}

/** `_fused_adam_` or `_fused_adamw_`: false where this libtorch lacks it. */
bool fusedAdam(Columns& list, const Adam& o) {
  const c10::OperatorHandle* fused =
      fusedOperator(o.decoupled ? "aten::_fused_adamw_" : "aten::_fused_adam_", list.first(), 15);
  if (!fused) return false;
  // The count goes in as tensors on the device, one for all: the kernel only reads it.
  const at::Tensor step = at::full({}, list.step, list.first().options().dtype(at::kFloat));
  torch::jit::Stack stack;
  for (const Tensors& tensors : {list.parameters, list.gradients, list.state[0], list.state[1], list.state[2],
                                 Tensors(list.parameters.size(), step)})
    stack.emplace_back(tensors);
  for (const double number : {o.learningRate, o.beta1, o.beta2, o.weightDecay, o.epsilon}) stack.emplace_back(number);
  stack.emplace_back(!list.state[2].empty());
  stack.emplace_back(o.maximize);
  stack.emplace_back();  // grad_scale
  stack.emplace_back();  // found_inf
  fused->callBoxed(stack);
  return true;
}

void foreachAdam(Columns& list, const Adam& o) {
  const double correction1 = 1 - std::pow(o.beta1, list.step);
  const double correction2Root = std::sqrt(1 - std::pow(o.beta2, list.step));
  Tensors gradients = list.gradients;
  if (o.maximize) gradients = at::_foreach_neg(gradients);
  if (o.weightDecay != 0) {
    if (o.decoupled)
      at::_foreach_mul_(list.parameters, 1 - o.learningRate * o.weightDecay);
    else
      gradients = at::_foreach_add(gradients, list.parameters, o.weightDecay);
  }
  Tensors &means = list.state[0], &squares = list.state[1], &largest = list.state[2];
  at::_foreach_mul_(means, o.beta1);
  at::_foreach_add_(means, gradients, 1 - o.beta1);
  at::_foreach_mul_(squares, o.beta2);
  at::_foreach_addcmul_(squares, gradients, gradients, 1 - o.beta2);
  for (size_t i = 0; i < largest.size(); i++) largest[i].copy_(at::maximum(largest[i], squares[i]));
  Tensors roots = at::_foreach_sqrt(largest.empty() ? squares : largest);
  at::_foreach_div_(roots, correction2Root);
  at::_foreach_add_(roots, o.epsilon);
  at::_foreach_addcdiv_(list.parameters, means, roots, -o.learningRate / correction1);
}

/** `_fused_sgd_`: false where this libtorch lacks it. */
bool fusedSgd(Columns& list, const Sgd& o) {
  const c10::OperatorHandle* fused = fusedOperator("aten::_fused_sgd_", list.first(), 12);
  if (!fused) return false;
  torch::jit::Stack stack;
  for (const Tensors& tensors : {list.parameters, list.gradients, list.state[0]}) stack.emplace_back(tensors);
  for (const double number : {o.weightDecay, o.momentum, o.learningRate, o.dampening}) stack.emplace_back(number);
  for (const bool flag : {o.nesterov, o.maximize, list.step == 1}) stack.emplace_back(flag);
  stack.emplace_back();  // grad_scale
  stack.emplace_back();  // found_inf
  fused->callBoxed(stack);
  return true;
}

void foreachSgd(Columns& list, const Sgd& o) {
  Tensors gradients = list.gradients;
  if (o.maximize) gradients = at::_foreach_neg(gradients);
  if (o.weightDecay != 0) gradients = at::_foreach_add(gradients, list.parameters, o.weightDecay);
  if (o.momentum != 0) {
    Tensors& buffers = list.state[0];
    if (list.step == 1) {
      for (size_t i = 0; i < buffers.size(); i++) buffers[i].copy_(gradients[i]);
    } else {
      at::_foreach_mul_(buffers, o.momentum);
      at::_foreach_add_(buffers, gradients, 1 - o.dampening);
    }
    gradients = o.nesterov ? at::_foreach_add(gradients, buffers, o.momentum) : buffers;
  }
  at::_foreach_add_(list.parameters, gradients, -o.learningRate);
}

}  // namespace

bool listable(Stepped& one) {
  const at::Tensor& parameter = one.parameter;
  const at::Device device = parameter.device();
  if (!device.is_cuda() && !(device.is_cpu() && onCpuToo())) return false;
  if (parameter.layout() != at::kStrided || !parameter.is_non_overlapping_and_dense()) return false;
  if (!parameter.is_floating_point() || (device.is_cpu() && parameter.scalar_type() == at::kHalf)) return false;
  // Older kernels of libtorch's on a GPU leave a list undone that ends with an empty tensor.
  if (parameter.numel() == 0) return false;
  // Sizes too: operators that resize or replace a tensor's data leave its gradient and its state as they were.
  const auto alike = [&](const at::Tensor& tensor) {
    return tensor.layout() == at::kStrided && tensor.device() == device &&
           tensor.scalar_type() == parameter.scalar_type() && tensor.unsafeGetTensorImpl()->has_storage() &&
           !tensor._is_zerotensor() && !tensor.is_neg() && tensor.sizes() == parameter.sizes();
  };
  if (!alike(parameter)) return false;
  for (const at::Tensor& tensor : one.state)
    if (tensor.defined() && (!alike(tensor) || tensor.strides() != parameter.strides())) return false;
  if (!alike(one.gradient)) return false;
  if (one.gradient.strides() != parameter.strides()) one.gradient = at::empty_like(parameter).copy_(one.gradient);
  return true;
}

void stepLists(const std::vector<Stepped>& listed, const Adam& options) {
  for (Columns& list : columnsOf(listed)) {
    if (!fusedAdam(list, options)) foreachAdam(list, options);
    changed(list.parameters);  // autograd must see that the values changed
    for (const Tensors& kind : list.state) changed(kind);
  }
}

void stepLists(const std::vector<Stepped>& listed, const Sgd& options) {
  for (Columns& list : columnsOf(listed)) {
    if (!fusedSgd(list, options)) foreachSgd(list, options);
    changed(list.parameters);
    for (const Tensors& kind : list.state) changed(kind);
  }
}

}  // namespace stopgrad
