// Seeded random generators (libtorch's Mersenne Twister on the CPU, its Philox on CUDA, so that a seed gives PyTorch's
// numbers) with savable state.
#include "native.h"

#include <ATen/CPUGeneratorImpl.h>

#include <mutex>

namespace stopgrad {

void registerRandom(Napi::Env env, Napi::Object exports) {
  define(env, exports, "generator", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const int64_t seed = toInteger(info[0], "seed");
    if (seed < 0) throw UsageError("expected a seed of at least 0, got " + std::to_string(seed));
    // Without a number of a CUDA device the CPU's.
    const bool onCpu = info[1].IsUndefined() || info[1].IsNull();
    return Napi::Number::New(
        info.Env(), state.generators.insert(
                        onCpu ? at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(seed))
                              : makeCudaGenerator(toInteger(info[1], "device"), static_cast<uint64_t>(seed))));
  });
  define(env, exports, "defaultGenerator", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return Napi::Number::New(info.Env(), state.generators.insert(at::detail::getDefaultCPUGenerator()));
  });
  define(env, exports, "generatorDevice", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return Napi::String::New(info.Env(), toGenerator(state, info[0], "generator").device().str());
  });
  define(env, exports, "seedGenerator", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    at::Generator& generator = toGenerator(state, info[0], "generator");
    const int64_t seed = toInteger(info[1], "seed");
    if (seed < 0) throw UsageError("expected a seed of at least 0, got " + std::to_string(seed));
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(static_cast<uint64_t>(seed));
    return info.Env().Undefined();
  });
  define(env, exports, "generatorState", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    at::Generator& generator = toGenerator(state, info[0], "generator");
    std::lock_guard<std::mutex> lock(generator.mutex());
    return fromTensor(info.Env(), state, generator.get_state());
  });
  define(env, exports, "setGeneratorState", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    at::Generator& generator = toGenerator(state, info[0], "generator");
    const at::Tensor& saved = toTensor(state, info[1], "state");
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(saved.contiguous());
    return info.Env().Undefined();
  });
  define(env, exports, "releaseGenerator", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    if (!info[0].IsNumber()) throw UsageError("expected a generator");
    state.generators.release(info[0].As<Napi::Number>().DoubleValue());
    return info.Env().Undefined();
  });
}

}  // namespace stopgrad
