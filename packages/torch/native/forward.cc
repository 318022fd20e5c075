// Forward-mode differentiation: dual tensors, a value with its tangent, at libtorch's one level of it.
//
// A level belongs to the whole process, and its number is the depth: kernels know level 0 only. So threads share it:
// the first to enter makes it, the last to leave releases it, and with it every tangent that is left.
#include "native.h"

#include <torch/csrc/autograd/forward_grad.h>

#include <mutex>

namespace stopgrad {

namespace {

using torch::autograd::ForwardADLevel;

std::mutex levelMutex;
size_t levelUsers = 0;
uint64_t levelIndex = 0;
thread_local size_t depth = 0;

class DualLevel {
 public:
  DualLevel() {
    std::lock_guard<std::mutex> lock(levelMutex);
    if (levelUsers == 0) levelIndex = ForwardADLevel::get_next_idx();
    levelUsers++;
    depth++;
  }
  ~DualLevel() {
    std::lock_guard<std::mutex> lock(levelMutex);
    depth--;
    if (--levelUsers == 0) ForwardADLevel::release_idx(levelIndex);
  }
  DualLevel(const DualLevel&) = delete;
  DualLevel& operator=(const DualLevel&) = delete;
};

Napi::Value forwardLevel(const Napi::CallbackInfo& info, Environment& state) {
  if (!info[0].IsFunction()) throw UsageError("expected a function to run, got " + describe(state, info[0]));
  if (depth > 0) throw UsageError("a forward derivative of a forward derivative is not supported by libtorch");
  const DualLevel level;
  return info[0].As<Napi::Function>().Call(info.Env().Undefined(), {});
}

void requireLevel() {
  if (depth == 0) throw UsageError("expected a call inside forwardGradient, which opens a level of tangents");
}

Napi::Value makeDual(const Napi::CallbackInfo& info, Environment& state) {
  const at::Tensor primal = toTensor(state, info[0], "primal");
  const at::Tensor tangent = toTensor(state, info[1], "tangent");
  requireLevel();
  if (!at::isFloatingType(primal.scalar_type()))
    throw UsageError("only floating-point tensors have tangents, got " + describe(primal));
  if (primal.sizes() != tangent.sizes() || primal.scalar_type() != tangent.scalar_type() ||
      primal.device() != tangent.device())
    throw UsageError("expected a tangent of " + describe(primal) + ", got " + describe(tangent));
  return fromTensor(info.Env(), state, at::_make_dual(primal, tangent, static_cast<int64_t>(levelIndex)));
}

Napi::Value unpackDual(const Napi::CallbackInfo& info, Environment& state) {
  const at::Tensor dual = toTensor(state, info[0], "tensor");
  requireLevel();
  auto [primal, tangent] = at::_unpack_dual(dual, static_cast<int64_t>(levelIndex));
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result.Set(0u, fromTensor(info.Env(), state, std::move(primal)));
  result.Set(1u, fromTensor(info.Env(), state, std::move(tangent)));
  return result;
}

}  // namespace

void registerForward(Napi::Env env, Napi::Object exports) {
  define(env, exports, "forwardLevel", forwardLevel);
  define(env, exports, "makeDual", makeDual);
  define(env, exports, "unpackDual", unpackDual);
}

}  // namespace stopgrad
