// One native call an optimizer step: SGD and Adam over a list of parameters, each read and written once; RMSprop and
// Adagrad through libtorch's operators; clipping of gradients.
//
// The arithmetic is PyTorch's (torch/optim/*.py, single-tensor form), in the same order, so that twenty steps agree to
// rounding. Dense float32 and float64 on the CPU take the fused loops, dense lists on a GPU those of optimizer-lists.cc;
// everything else takes libtorch's operators.
#include "optimizer-lists.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define STOPGRAD_VECTORISED __attribute__((target_clones("default", "avx2", "avx512f"), optimize("O3")))
#else
#define STOPGRAD_VECTORISED
#endif
#define STOPGRAD_INLINE inline __attribute__((always_inline))

namespace stopgrad {

namespace {

/** Elements a thread takes at least: below this handing over costs more than the pass. */
constexpr int64_t kGrain = 1 << 15;

/**
 * Whether parameter, gradient and state can be walked as flat arrays: float32 or float64 on the CPU, without holes. A
 * gradient in another layout than its parameter's (channels-last against contiguous) is copied into it first.
 */
bool fusable(const at::Tensor& parameter, at::Tensor& gradient, std::initializer_list<at::Tensor> state) {
  const auto type = parameter.scalar_type();
  if (type != at::kFloat && type != at::kDouble) return false;
  // Sizes too: operators that resize or replace a tensor's data leave its gradient and its state as they were.
  const auto fits = [&](const at::Tensor& tensor) {
    return tensor.scalar_type() == type && tensor.device().is_cpu() && tensor.layout() == at::kStrided &&
           tensor.unsafeGetTensorImpl()->has_storage() && !tensor._is_zerotensor() && !tensor.is_neg() &&
           tensor.sizes() == parameter.sizes();
  };
  if (!fits(parameter) || !fits(gradient) || !parameter.is_non_overlapping_and_dense()) return false;
  for (const at::Tensor& tensor : state)
    if (tensor.defined() && (!fits(tensor) || tensor.strides() != parameter.strides())) return false;
  if (gradient.strides() != parameter.strides()) gradient = at::empty_like(parameter).copy_(gradient);
  return true;
}

template <typename T>
T* dataOf(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

/** Elements whose square roots are taken together; they stay in the first cache. */
constexpr int64_t kBlock = 512;

// A loop with std::sqrt is not vectorised, because that may set errno, and Adam would take five times as long.
inline void takeRoots(float* values) {
#if defined(__SSE2__)
  for (int64_t i = 0; i < kBlock; i += 4) _mm_storeu_ps(values + i, _mm_sqrt_ps(_mm_loadu_ps(values + i)));
#else
  for (int64_t i = 0; i < kBlock; i++) values[i] = std::sqrt(values[i]);
#endif
}
inline void takeRoots(double* values) {
#if defined(__SSE2__)
  for (int64_t i = 0; i < kBlock; i += 2) _mm_storeu_pd(values + i, _mm_sqrt_pd(_mm_loadu_pd(values + i)));
#else
  for (int64_t i = 0; i < kBlock; i++) values[i] = std::sqrt(values[i]);
#endif
}

template <typename T>
struct AdamConstants {
  T sign, beta1, beta2, oneMinusBeta1, oneMinusBeta2, stepSize, correction2Root, epsilon, decay, shrink;
};

/** First half: the moments move, and what to take the root of goes to `root`, by the largest so far (amsgrad) or not. */
template <typename T>
STOPGRAD_INLINE void moveMoments(const T* __restrict parameter, const T* __restrict gradient, T* __restrict mean,
                                 T* __restrict square, T* __restrict largest, T* __restrict root, int64_t count,
                                 const AdamConstants<T>& constants) {
  const AdamConstants<T> k = constants;
  for (int64_t i = 0; i < count; i++) {
    const T g = k.sign * gradient[i] + k.decay * parameter[i];
    const T s = square[i] * k.beta2 + k.oneMinusBeta2 * g * g;  // addcmul's order: g * g alone may overflow
    mean[i] = mean[i] * k.beta1 + k.oneMinusBeta1 * g;
    square[i] = s;
    root[i] = s;
  }
  if (!largest) return;
  for (int64_t i = 0; i < count; i++) {
    const T s = root[i], l = largest[i];
    root[i] = largest[i] = l > s || l != l ? l : s;  // NaN stays, as in torch.maximum
  }
}

/** Second half: the parameter moves. */
template <typename T>
STOPGRAD_INLINE void moveParameter(T* __restrict parameter, const T* __restrict mean, const T* __restrict root,
                                   int64_t count, const AdamConstants<T>& constants) {
  const AdamConstants<T> k = constants;
  for (int64_t i = 0; i < count; i++)
    parameter[i] = parameter[i] * k.shrink - k.stepSize * (mean[i] / (root[i] / k.correction2Root + k.epsilon));
}

STOPGRAD_VECTORISED void moveMomentsOf(const float* p, const float* g, float* m, float* s, float* l, float* root,
                                       int64_t count, const AdamConstants<float>& k) {
  moveMoments<float>(p, g, m, s, l, root, count, k);
}
STOPGRAD_VECTORISED void moveMomentsOf(const double* p, const double* g, double* m, double* s, double* l, double* root,
                                       int64_t count, const AdamConstants<double>& k) {
  moveMoments<double>(p, g, m, s, l, root, count, k);
}
STOPGRAD_VECTORISED void moveParameterOf(float* p, const float* m, const float* root, int64_t count,
                                         const AdamConstants<float>& k) {
  moveParameter<float>(p, m, root, count, k);
}
STOPGRAD_VECTORISED void moveParameterOf(double* p, const double* m, const double* root, int64_t count,
                                         const AdamConstants<double>& k) {
  moveParameter<double>(p, m, root, count, k);
}

template <typename T>
struct SgdConstants {
  T sign, learningRate, momentum, oneMinusDampening, decay;
  bool nesterov, first;
};

/** `buffer` is the momentum, or null. */
template <typename T>
STOPGRAD_INLINE void sgdLoop(T* __restrict parameter, const T* __restrict gradient, T* __restrict buffer, int64_t from,
                             int64_t to, SgdConstants<T> k) {
  if (!buffer) {
    for (int64_t i = from; i < to; i++)
      parameter[i] -= k.learningRate * (k.sign * gradient[i] + k.decay * parameter[i]);
    return;
  }
  for (int64_t i = from; i < to; i++) {
    const T g = k.sign * gradient[i] + k.decay * parameter[i];
    const T b = k.first ? g : buffer[i] * k.momentum + k.oneMinusDampening * g;
    buffer[i] = b;
    parameter[i] -= k.learningRate * (k.nesterov ? g + k.momentum * b : b);
  }
}

STOPGRAD_VECTORISED void sgdFloats(float* __restrict p, const float* __restrict g, float* __restrict b,
                                   int64_t from, int64_t to, const SgdConstants<float>& k) {
  sgdLoop<float>(p, g, b, from, to, k);
}
STOPGRAD_VECTORISED void sgdDoubles(double* __restrict p, const double* __restrict g, double* __restrict b,
                                    int64_t from, int64_t to, const SgdConstants<double>& k) {
  sgdLoop<double>(p, g, b, from, to, k);
}

template <typename T>
void adamFused(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& mean,
               const at::Tensor& square, const at::Tensor& largest, double correction2Root, double stepSize,
               const Adam& o) {
  const AdamConstants<T> k{static_cast<T>(o.maximize ? -1 : 1),
                           static_cast<T>(o.beta1),
                           static_cast<T>(o.beta2),
                           static_cast<T>(1 - o.beta1),
                           static_cast<T>(1 - o.beta2),
                           static_cast<T>(stepSize),
                           static_cast<T>(correction2Root),
                           static_cast<T>(o.epsilon),
                           static_cast<T>(o.decoupled ? 0 : o.weightDecay),
                           static_cast<T>(o.decoupled ? 1 - o.learningRate * o.weightDecay : 1)};
  T* p = dataOf<T>(parameter);
  const T* g = dataOf<T>(gradient);
  T *m = dataOf<T>(mean), *s = dataOf<T>(square), *l = dataOf<T>(largest);
  at::parallel_for(0, parameter.numel(), kGrain, [&](int64_t from, int64_t to) {
    T root[kBlock] = {};
    for (int64_t i = from; i < to; i += kBlock) {
      const int64_t count = std::min(kBlock, to - i);
      moveMomentsOf(p + i, g + i, m + i, s + i, l ? l + i : nullptr, root, count, k);
      takeRoots(root);
      moveParameterOf(p + i, m + i, root, count, k);
    }
  });
}

/**
 * Runs `step` on tensors that libtorch's operators can take: float16 on the CPU, which some of them lack, goes through
 * float32 copies. The first is the gradient, which is not written back.
 */
template <typename Step>
void inOperatorType(std::vector<at::Tensor> tensors, Step step) {
  const bool widen = tensors[1].scalar_type() == at::kHalf && tensors[1].device().is_cpu();
  std::vector<at::Tensor> given = tensors;
  if (widen)
    for (at::Tensor& tensor : given)
      if (tensor.defined()) tensor = tensor.to(at::kFloat);
  step(given);
  if (widen)
    for (size_t i = 1; i < tensors.size(); i++)
      if (tensors[i].defined()) tensors[i].copy_(given[i]);
}

void adamOperators(std::vector<at::Tensor>& given, double correction2Root, double stepSize, const Adam& o) {
  at::Tensor gradient = given[0], parameter = given[1], mean = given[2], square = given[3], largest = given[4];
  if (o.maximize) gradient = gradient.neg();
  if (o.weightDecay != 0) {
    if (o.decoupled)
      parameter.mul_(1 - o.learningRate * o.weightDecay);
    else
      gradient = gradient.add(parameter, o.weightDecay);
  }
  mean.mul_(o.beta1).add_(gradient, 1 - o.beta1);
  square.mul_(o.beta2).addcmul_(gradient, gradient, 1 - o.beta2);
  if (largest.defined()) largest.copy_(at::maximum(largest, square));
  const at::Tensor root = (largest.defined() ? largest : square).sqrt();
  parameter.addcdiv_(mean, (root / correction2Root).add_(o.epsilon), -stepSize);
}

void adamStep(at::Tensor parameter, at::Tensor gradient, at::Tensor mean, at::Tensor square, at::Tensor largest,
              double step, const Adam& o) {
  const double correction1 = 1 - std::pow(o.beta1, step);
  const double correction2Root = std::sqrt(1 - std::pow(o.beta2, step));
  const double stepSize = o.learningRate / correction1;
  if (fusable(parameter, gradient, {mean, square, largest})) {
    if (parameter.scalar_type() == at::kFloat)
      adamFused<float>(parameter, gradient, mean, square, largest, correction2Root, stepSize, o);
    else
      adamFused<double>(parameter, gradient, mean, square, largest, correction2Root, stepSize, o);
    parameter.unsafeGetTensorImpl()->bump_version();  // autograd must see that the values changed
    return;
  }
  inOperatorType({gradient, parameter, mean, square, largest}, [&](std::vector<at::Tensor>& given) {
    adamOperators(given, correction2Root, stepSize, o);
  });
}

template <typename T, typename Loop>
void sgdFused(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& buffer, bool first,
              const Sgd& o, Loop loop) {
  const SgdConstants<T> k{static_cast<T>(o.maximize ? -1 : 1),
                          static_cast<T>(o.learningRate),
                          static_cast<T>(o.momentum),
                          static_cast<T>(1 - o.dampening),
                          static_cast<T>(o.weightDecay),
                          o.nesterov,
                          first};
  T* p = dataOf<T>(parameter);
  const T* g = dataOf<T>(gradient);
  T* b = dataOf<T>(buffer);
  at::parallel_for(0, parameter.numel(), kGrain, [&](int64_t from, int64_t to) { loop(p, g, b, from, to, k); });
}

void sgdStep(at::Tensor parameter, at::Tensor gradient, at::Tensor buffer, bool first, const Sgd& o) {
  if (fusable(parameter, gradient, {buffer})) {
    if (parameter.scalar_type() == at::kFloat)
      sgdFused<float>(parameter, gradient, buffer, first, o, sgdFloats);
    else
      sgdFused<double>(parameter, gradient, buffer, first, o, sgdDoubles);
    parameter.unsafeGetTensorImpl()->bump_version();
    return;
  }
  if (o.maximize) gradient = gradient.neg();
  if (o.weightDecay != 0) gradient = gradient.add(parameter, o.weightDecay);
  if (o.momentum != 0) {
    if (first)
      buffer.copy_(gradient);
    else
      buffer.mul_(o.momentum).add_(gradient, 1 - o.dampening);
    gradient = o.nesterov ? gradient.add(buffer, o.momentum) : buffer;
  }
  parameter.add_(gradient, -o.learningRate);
}

struct RmsProp {
  double learningRate, alpha, epsilon, weightDecay, momentum;
  bool maximize;
};

/** `average` of the gradient (centered) and momentum `buffer` may be undefined. */
void rmspropStep(std::vector<at::Tensor>& given, const RmsProp& o) {
  at::Tensor gradient = given[0], parameter = given[1], square = given[2], average = given[3], buffer = given[4];
  if (o.maximize) gradient = gradient.neg();
  if (o.weightDecay != 0) gradient = gradient.add(parameter, o.weightDecay);
  square.mul_(o.alpha).addcmul_(gradient, gradient, 1 - o.alpha);
  at::Tensor root;
  if (average.defined()) {
    average.mul_(o.alpha).add_(gradient, 1 - o.alpha);
    root = square.addcmul(average, average, -1).sqrt_().add_(o.epsilon);
  } else {
    root = square.sqrt().add_(o.epsilon);
  }
  if (buffer.defined()) {
    buffer.mul_(o.momentum).addcdiv_(gradient, root);
    parameter.add_(buffer, -o.learningRate);
  } else {
    parameter.addcdiv_(gradient, root, -o.learningRate);
  }
}

struct Adagrad {
  double learningRate, learningRateDecay, weightDecay, epsilon;
  bool maximize;
};

void adagradStep(std::vector<at::Tensor>& given, double step, const Adagrad& o) {
  at::Tensor gradient = given[0], parameter = given[1], sum = given[2];
  if (o.maximize) gradient = gradient.neg();
  if (o.weightDecay != 0) gradient = gradient.add(parameter, o.weightDecay);
  const double rate = o.learningRate / (1 + (step - 1) * o.learningRateDecay);
  sum.addcmul_(gradient, gradient, 1);
  parameter.addcdiv_(gradient, sum.sqrt().add_(o.epsilon), -rate);
}

/** Steps taken by each parameter, in place: one that has no gradient is passed over and keeps its count. */
double* stepsOf(Napi::Value value, size_t count) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array ||
      value.As<Napi::TypedArray>().ElementLength() != count)
    throw UsageError("expected 'steps' to be a Float64Array with a number for each parameter");
  return value.As<Napi::Float64Array>().Data();
}

/** State for each parameter, of its shape; an empty list where the optimizer keeps none of this kind. */
std::vector<at::Tensor> stateOf(Environment& state, Napi::Value value, const char* what,
                                const std::vector<at::Tensor>& parameters, bool optional) {
  auto tensors = toTensors(state, value, what);
  if (optional && tensors.empty()) tensors.resize(parameters.size());
  if (tensors.size() != parameters.size()) throw UsageError(std::string("expected as many ") + what + " as parameters");
  for (size_t i = 0; i < tensors.size(); i++)
    if (tensors[i].defined() && tensors[i].sizes() != parameters[i].sizes())
      throw UsageError("expected '" + std::string(what) + "[" + std::to_string(i) + "]' of " + describe(parameters[i]) +
                       ", got " + describe(tensors[i]));
  return tensors;
}

/** What is captured is replayed as it is: with this step's count and this learning rate, whatever comes later. */
void refuseCapture(const std::vector<at::Tensor>& parameters) {
  if (parameters.empty() || !capturing(parameters[0].device())) return;
  throw UsageError("expected to be called outside of a captured graph, whose replays would keep this step's count and "
                   "learning rate; capture the forward and backward passes, and step after each replay");
}

/** The gradients that there are. */
std::vector<at::Tensor> gradientsOf(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : parameters)
    if (parameter.grad().defined()) gradients.push_back(parameter.grad().detach());
  return gradients;
}

}  // namespace

void registerOptim(Napi::Env env, Napi::Object exports) {
  define(env, exports, "adamStep", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const auto parameters = toTensors(state, info[0], "parameters");
    const auto means = stateOf(state, info[1], "means", parameters, false);
    const auto squares = stateOf(state, info[2], "squares", parameters, false);
    const auto largest = stateOf(state, info[3], "largest", parameters, true);
    double* steps = stepsOf(info[4], parameters.size());
    const Adam options{toNumber(info[5], "learningRate"), toNumber(info[6], "beta1"),
                       toNumber(info[7], "beta2"),        toNumber(info[8], "epsilon"),
                       toNumber(info[9], "weightDecay"),  toBoolean(info[10], "decoupled"),
                       toBoolean(info[11], "maximize")};
    refuseCapture(parameters);
    at::NoGradGuard noGrad;
    std::vector<Stepped> listed;
    for (size_t i = 0; i < parameters.size(); i++) {
      if (!parameters[i].grad().defined()) continue;
      Stepped one{parameters[i], parameters[i].grad(), {means[i], squares[i], largest[i]}, ++steps[i]};
      if (listable(one))
        listed.push_back(std::move(one));
      else
        adamStep(one.parameter, one.gradient, means[i], squares[i], largest[i], one.step, options);
    }
    stepLists(listed, options);
    return info.Env().Undefined();
  });
  define(env, exports, "sgdStep", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const auto parameters = toTensors(state, info[0], "parameters");
    const auto buffers = stateOf(state, info[1], "buffers", parameters, true);
    double* steps = stepsOf(info[2], parameters.size());
    const Sgd options{toNumber(info[3], "learningRate"), toNumber(info[4], "momentum"),
                      toNumber(info[5], "dampening"),    toNumber(info[6], "weightDecay"),
                      toBoolean(info[7], "nesterov"),    toBoolean(info[8], "maximize")};
    refuseCapture(parameters);
    at::NoGradGuard noGrad;
    std::vector<Stepped> listed;
    for (size_t i = 0; i < parameters.size(); i++) {
      if (!parameters[i].grad().defined()) continue;
      if (options.momentum != 0 && !buffers[i].defined())
        throw UsageError("expected as many momentum buffers as parameters");
      const at::Tensor buffer = options.momentum == 0 ? at::Tensor() : buffers[i];
      Stepped one{parameters[i], parameters[i].grad(), {buffer}, ++steps[i]};
      if (listable(one))
        listed.push_back(std::move(one));
      else
        sgdStep(one.parameter, one.gradient, buffer, one.step == 1, options);
    }
    stepLists(listed, options);
    return info.Env().Undefined();
  });
  define(env, exports, "rmspropStep", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const auto parameters = toTensors(state, info[0], "parameters");
    const auto squares = stateOf(state, info[1], "squares", parameters, false);
    const auto averages = stateOf(state, info[2], "averages", parameters, true);
    const auto buffers = stateOf(state, info[3], "buffers", parameters, true);
    double* steps = stepsOf(info[4], parameters.size());
    const RmsProp options{toNumber(info[5], "learningRate"), toNumber(info[6], "alpha"),
                          toNumber(info[7], "epsilon"),      toNumber(info[8], "weightDecay"),
                          toNumber(info[9], "momentum"),     toBoolean(info[10], "maximize")};
    refuseCapture(parameters);
    at::NoGradGuard noGrad;
    for (size_t i = 0; i < parameters.size(); i++)
      if (parameters[i].grad().defined()) {
        ++steps[i];
        inOperatorType({parameters[i].grad(), parameters[i], squares[i], averages[i], buffers[i]},
                       [&](std::vector<at::Tensor>& given) { rmspropStep(given, options); });
      }
    return info.Env().Undefined();
  });
  define(env, exports, "adagradStep", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const auto parameters = toTensors(state, info[0], "parameters");
    const auto sums = stateOf(state, info[1], "sums", parameters, false);
    double* steps = stepsOf(info[2], parameters.size());
    const Adagrad options{toNumber(info[3], "learningRate"), toNumber(info[4], "learningRateDecay"),
                          toNumber(info[5], "weightDecay"), toNumber(info[6], "epsilon"),
                          toBoolean(info[7], "maximize")};
    refuseCapture(parameters);
    at::NoGradGuard noGrad;
    for (size_t i = 0; i < parameters.size(); i++)
      if (parameters[i].grad().defined()) {
        const double step = ++steps[i];
        inOperatorType({parameters[i].grad(), parameters[i], sums[i]},
                       [&](std::vector<at::Tensor>& given) { adagradStep(given, step, options); });
      }
    return info.Env().Undefined();
  });
  define(env, exports, "clipGradNorm", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const auto parameters = toTensors(state, info[0], "parameters");
    const double most = toNumber(info[1], "maxNorm"), order = toNumber(info[2], "order");
    const bool refuse = toBoolean(info[3], "errorIfNotFinite");
    at::NoGradGuard noGrad;
    const auto gradients = gradientsOf(parameters);
    if (gradients.empty()) return Napi::Number::New(info.Env(), 0);
    std::vector<at::Tensor> norms;
    for (const at::Tensor& gradient : gradients)
      norms.push_back(at::linalg_vector_norm(gradient, order).to(gradients[0].device()));
    const at::Tensor total = at::linalg_vector_norm(at::stack(norms), order);
    const double norm = total.item().toDouble();
    if (refuse && !std::isfinite(norm))
      throw UsageError("expected gradients with a finite norm, got " + std::string(std::isnan(norm) ? "NaN" : "infinity"));
    const at::Tensor factor = (most / (total + 1e-6)).clamp_max(1.0);
    for (at::Tensor gradient : gradients) gradient.mul_(factor.to(gradient.device()));
    return Napi::Number::New(info.Env(), norm);
  });
  define(env, exports, "clipGradValue", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const auto parameters = toTensors(state, info[0], "parameters");
    const double most = toNumber(info[1], "value");
    at::NoGradGuard noGrad;
    for (at::Tensor gradient : gradientsOf(parameters)) gradient.clamp_(-most, most);
    return info.Env().Undefined();
  });
  define(env, exports, "zeroGrad", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const bool toNone = info[1].IsUndefined() || toBoolean(info[1], "setToNone");
    at::NoGradGuard noGrad;
    for (at::Tensor parameter : toTensors(state, info[0], "parameters")) {
      at::Tensor& gradient = parameter.mutable_grad();
      if (!gradient.defined()) continue;
      if (toNone)
        gradient.reset();
      else
        gradient = gradient.detach().zero_();
    }
    return info.Env().Undefined();
  });
}

}  // namespace stopgrad
