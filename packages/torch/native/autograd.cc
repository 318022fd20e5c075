// Reverse-mode differentiation: libtorch's autograd engine, grad mode, and a leaf's accumulated gradient.
#include "native.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>

#include <mutex>

namespace stopgrad {

namespace {

std::vector<at::Tensor> optionalTensors(Environment& state, Napi::Value value, const char* what) {
  if (value.IsNull() || value.IsUndefined()) return {};
  return toTensors(state, value, what);
}

Napi::Value backward(const Napi::CallbackInfo& info, Environment& state) {
  const at::Tensor root = toTensor(state, info[0], "tensor");
  const std::vector<at::Tensor> gradient = optionalTensors(state, info[1], "gradient");
  const bool retainGraph = toBoolean(info[2], "retainGraph");
  const bool createGraph = toBoolean(info[3], "createGraph");
  const std::vector<at::Tensor> inputs = optionalTensors(state, info[4], "inputs");
  torch::autograd::backward({root}, gradient, retainGraph, createGraph, inputs);
  return info.Env().Undefined();
}

Napi::Value gradients(const Napi::CallbackInfo& info, Environment& state) {
  const std::vector<at::Tensor> outputs = toTensors(state, info[0], "outputs");
  const std::vector<at::Tensor> inputs = toTensors(state, info[1], "inputs");
  const std::vector<at::Tensor> outputGradients = optionalTensors(state, info[2], "gradOutputs");
  const std::vector<at::Tensor> found =
      torch::autograd::grad(outputs, inputs, outputGradients, toBoolean(info[3], "retainGraph"),
                            toBoolean(info[4], "createGraph"), toBoolean(info[5], "allowUnused"));
  Napi::Array result = Napi::Array::New(info.Env(), found.size());
  for (size_t i = 0; i < found.size(); i++)
    result.Set(static_cast<uint32_t>(i), fromTensor(info.Env(), state, found[i]));
  return result;
}

/** libtorch prints the C++ stack of the failing operator as a warning; its error says what can be understood here. */
struct Silence : c10::WarningHandler {
#if TORCH_VERSION_MAJOR >= 2
  void process(const c10::Warning&) override {}
#else
  void process(const c10::SourceLocation&, const std::string&, const bool) override {}
#endif
};

/** The mode is the process's: counted, so that threads may use it at once. */
class AnomalyMode {
 public:
  AnomalyMode() : quiet_(&silence_) {
    std::lock_guard<std::mutex> lock(mutex);
    if (users++ == 0) torch::autograd::AnomalyMode::set_enabled(true, true);
  }
  ~AnomalyMode() {
    std::lock_guard<std::mutex> lock(mutex);
    if (--users == 0) torch::autograd::AnomalyMode::set_enabled(false, true);
  }
  AnomalyMode(const AnomalyMode&) = delete;
  AnomalyMode& operator=(const AnomalyMode&) = delete;

 private:
  static std::mutex mutex;
  static size_t users;
  Silence silence_;
#if TORCH_VERSION_MAJOR >= 2
  c10::WarningUtils::WarningHandlerGuard quiet_;
#else
  c10::Warning::WarningHandlerGuard quiet_;
#endif
};
std::mutex AnomalyMode::mutex;
size_t AnomalyMode::users = 0;

Napi::Value detectAnomaly(const Napi::CallbackInfo& info, Environment& state) {
  if (!info[0].IsFunction()) throw UsageError("expected a function to run, got " + describe(state, info[0]));
  const AnomalyMode mode;
  return info[0].As<Napi::Function>().Call(info.Env().Undefined(), {});
}

}  // namespace

void registerAutograd(Napi::Env env, Napi::Object exports) {
  define(env, exports, "backward", backward);
  define(env, exports, "gradients", gradients);
  define(env, exports, "detectAnomaly", detectAnomaly);
  define(env, exports, "gradEnabled", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    return Napi::Boolean::New(info.Env(), at::GradMode::is_enabled());
  });
  define(env, exports, "setGradEnabled", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    const bool wanted = toBoolean(info[0], "enabled");
    // A cast that autocast cached while nothing was recorded leads to no gradient: it must not be used from now on.
    if (wanted && !at::GradMode::is_enabled()) at::autocast::clear_cache();
    at::GradMode::set_enabled(wanted);
    return info.Env().Undefined();
  });
  define(env, exports, "requiresGrad", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return Napi::Boolean::New(info.Env(), toTensor(state, info[0], "tensor").requires_grad());
  });
  define(env, exports, "setRequiresGrad", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    at::Tensor tensor = toTensor(state, info[0], "tensor");
    const bool wanted = toBoolean(info[1], "requiresGrad");
    if (wanted && !at::isFloatingType(tensor.scalar_type()))
      throw UsageError("only floating-point tensors can require gradients, got " + describe(tensor));
    if (!wanted && !tensor.is_leaf())
      throw UsageError("only a leaf can stop requiring gradients; use detach()");
    tensor.set_requires_grad(wanted);
    return info.Env().Undefined();
  });
  define(env, exports, "isLeaf", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return Napi::Boolean::New(info.Env(), toTensor(state, info[0], "tensor").is_leaf());
  });
  define(env, exports, "retainGrad", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    toTensor(state, info[0], "tensor").retain_grad();
    return info.Env().Undefined();
  });
  define(env, exports, "grad", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const at::Tensor& tensor = toTensor(state, info[0], "tensor");
    if (!tensor.is_leaf() && !tensor.retains_grad()) return info.Env().Null();
    return fromTensor(info.Env(), state, tensor.grad());
  });
  define(env, exports, "setGrad", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    at::Tensor tensor = toTensor(state, info[0], "tensor");
    if (info[1].IsNull()) {
      tensor.mutable_grad().reset();
      return info.Env().Undefined();
    }
    const at::Tensor& gradient = toTensor(state, info[1], "gradient");
    if (gradient.sizes() != tensor.sizes() || gradient.scalar_type() != tensor.scalar_type() ||
        gradient.device() != tensor.device())
      throw UsageError("expected a gradient of " + describe(tensor) + ", got " + describe(gradient));
    tensor.mutable_grad() = gradient;
    return info.Env().Undefined();
  });
}

}  // namespace stopgrad
