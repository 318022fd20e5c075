// One native call an optimizer step: SGD and Adam over a list of parameters, each read and written once.
//
// The arithmetic is PyTorch's (torch/optim/sgd.py and adam.py, single-tensor form), in the same order, so that twenty
// steps agree to rounding. Contiguous float32 on the CPU takes the fused loop; everything else takes libtorch's operators.
#include "native.h"

#include <ATen/core/grad_mode.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define STOPGRAD_VECTORISED __attribute__((target_clones("default", "avx2", "avx512f"), optimize("O3")))
#else
#define STOPGRAD_VECTORISED
#endif

namespace stopgrad {

namespace {

bool fusable(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, const at::Tensor& d) {
  for (const at::Tensor* tensor : {&a, &b, &c, &d})
    if (tensor->defined() && (!tensor->is_contiguous() || tensor->scalar_type() != at::kFloat ||
                              !tensor->device().is_cpu() || tensor->numel() != a.numel()))
      return false;
  return true;
}

struct AdamConstants {
  float beta1, beta2, oneMinusBeta1, oneMinusBeta2, stepSize, correction2Root, epsilon, decay, shrink;
};

STOPGRAD_VECTORISED void adamLoop(float* __restrict parameter, const float* __restrict gradient, float* __restrict mean,
                                  float* __restrict square, int64_t count, AdamConstants k) {
  for (int64_t i = 0; i < count; i++) {
    const float g = gradient[i] + k.decay * parameter[i];
    const float m = mean[i] * k.beta1 + k.oneMinusBeta1 * g;
    const float s = square[i] * k.beta2 + k.oneMinusBeta2 * g * g;  // addcmul's order: g * g alone may overflow
    mean[i] = m;
    square[i] = s;
    parameter[i] = parameter[i] * k.shrink - k.stepSize * (m / (__builtin_sqrtf(s) / k.correction2Root + k.epsilon));
  }
}

struct SgdConstants {
  float learningRate, momentum, oneMinusDampening, decay;
  bool nesterov, first;
};

STOPGRAD_VECTORISED void sgdLoop(float* __restrict parameter, const float* __restrict gradient, float* __restrict buffer,
                                 int64_t count, SgdConstants k) {
  for (int64_t i = 0; i < count; i++) {
    const float g = gradient[i] + k.decay * parameter[i];
    const float b = k.first ? g : buffer[i] * k.momentum + k.oneMinusDampening * g;
    buffer[i] = b;
    parameter[i] -= k.learningRate * (k.nesterov ? g + k.momentum * b : b);
  }
}

STOPGRAD_VECTORISED void plainSgdLoop(float* __restrict parameter, const float* __restrict gradient, int64_t count,
                                      float learningRate, float decay) {
  for (int64_t i = 0; i < count; i++) parameter[i] -= learningRate * (gradient[i] + decay * parameter[i]);
}

struct Adam {
  double learningRate, beta1, beta2, epsilon, weightDecay;
  bool decoupled;
};

void adamStep(at::Tensor parameter, at::Tensor mean, at::Tensor square, double step, const Adam& o) {
  at::Tensor gradient = parameter.grad();
  const double correction1 = 1 - std::pow(o.beta1, step);
  const double correction2Root = std::sqrt(1 - std::pow(o.beta2, step));
  const double stepSize = o.learningRate / correction1;
  if (fusable(parameter, gradient, mean, square)) {
    adamLoop(parameter.data_ptr<float>(), gradient.data_ptr<float>(), mean.data_ptr<float>(), square.data_ptr<float>(),
             parameter.numel(),
             {static_cast<float>(o.beta1), static_cast<float>(o.beta2), static_cast<float>(1 - o.beta1),
              static_cast<float>(1 - o.beta2), static_cast<float>(stepSize), static_cast<float>(correction2Root),
              static_cast<float>(o.epsilon), static_cast<float>(o.decoupled ? 0 : o.weightDecay),
              static_cast<float>(o.decoupled ? 1 - o.learningRate * o.weightDecay : 1)});
    parameter.unsafeGetTensorImpl()->bump_version();  // autograd must see that the values changed
    return;
  }
  if (o.weightDecay != 0) {
    if (o.decoupled)
      parameter.mul_(1 - o.learningRate * o.weightDecay);
    else
      gradient = gradient.add(parameter, o.weightDecay);
  }
  mean.mul_(o.beta1).add_(gradient, 1 - o.beta1);
  square.mul_(o.beta2).addcmul_(gradient, gradient, 1 - o.beta2);
  parameter.addcdiv_(mean, square.sqrt().div_(correction2Root).add_(o.epsilon), -stepSize);
}

struct Sgd {
  double learningRate, momentum, dampening, weightDecay;
  bool nesterov;
};

void sgdStep(at::Tensor parameter, at::Tensor buffer, bool first, const Sgd& o) {
  at::Tensor gradient = parameter.grad();
  if (fusable(parameter, gradient, buffer, {})) {
    float* p = parameter.data_ptr<float>();
    const float* g = gradient.data_ptr<float>();
    const auto rate = static_cast<float>(o.learningRate), decay = static_cast<float>(o.weightDecay);
    if (o.momentum == 0)
      plainSgdLoop(p, g, parameter.numel(), rate, decay);
    else
      sgdLoop(p, g, buffer.data_ptr<float>(), parameter.numel(),
              {rate, static_cast<float>(o.momentum), static_cast<float>(1 - o.dampening), decay, o.nesterov, first});
    parameter.unsafeGetTensorImpl()->bump_version();
    return;
  }
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

/** Steps taken by each parameter, in place: one that has no gradient is passed over and keeps its count. */
double* stepsOf(Napi::Value value, size_t count) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array ||
      value.As<Napi::TypedArray>().ElementLength() != count)
    throw UsageError("expected 'steps' to be a Float64Array with a number for each parameter");
  return value.As<Napi::Float64Array>().Data();
}

void checkPair(const at::Tensor& parameter, const at::Tensor& companion, const char* what) {
  if (companion.sizes() != parameter.sizes())
    throw UsageError(std::string("expected ") + what + " of " + describe(parameter) + ", got " + describe(companion));
}

}  // namespace

void registerOptim(Napi::Env env, Napi::Object exports) {
  define(env, exports, "adamStep", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const auto parameters = toTensors(state, info[0], "parameters");
    const auto means = toTensors(state, info[1], "means");
    const auto squares = toTensors(state, info[2], "squares");
    if (means.size() != parameters.size() || squares.size() != parameters.size())
      throw UsageError("expected as many moments as parameters");
    double* steps = stepsOf(info[3], parameters.size());
    const Adam options{toNumber(info[4], "learningRate"), toNumber(info[5], "beta1"),       toNumber(info[6], "beta2"),
                       toNumber(info[7], "epsilon"),      toNumber(info[8], "weightDecay"), toBoolean(info[9], "decoupled")};
    at::NoGradGuard noGrad;
    for (size_t i = 0; i < parameters.size(); i++) {
      if (!parameters[i].grad().defined()) continue;
      checkPair(parameters[i], means[i], "a first moment");
      checkPair(parameters[i], squares[i], "a second moment");
      adamStep(parameters[i], means[i], squares[i], ++steps[i], options);
    }
    return info.Env().Undefined();
  });
  define(env, exports, "sgdStep", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const auto parameters = toTensors(state, info[0], "parameters");
    const Sgd options{toNumber(info[3], "learningRate"), toNumber(info[4], "momentum"), toNumber(info[5], "dampening"),
                      toNumber(info[6], "weightDecay"), toBoolean(info[7], "nesterov")};
    const auto buffers = options.momentum == 0 ? std::vector<at::Tensor>(parameters.size())
                                               : toTensors(state, info[1], "buffers");
    if (buffers.size() != parameters.size()) throw UsageError("expected as many momentum buffers as parameters");
    double* steps = stepsOf(info[2], parameters.size());
    at::NoGradGuard noGrad;
    for (size_t i = 0; i < parameters.size(); i++) {
      if (!parameters[i].grad().defined()) continue;
      if (buffers[i].defined()) checkPair(parameters[i], buffers[i], "a momentum buffer");
      sgdStep(parameters[i], buffers[i], ++steps[i] == 1, options);
    }
    return info.Env().Undefined();
  });
  define(env, exports, "zeroGrad", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    for (at::Tensor parameter : toTensors(state, info[0], "parameters")) parameter.mutable_grad().reset();
    return info.Env().Undefined();
  });
}

}  // namespace stopgrad
