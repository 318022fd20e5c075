// Entry of the addon: one Environment a JavaScript thread, errors, and facts about the libtorch it runs on.
#include "native.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/version.h>

#include <dlfcn.h>

namespace stopgrad {

Napi::Error makeError(Napi::Env env, const std::string& message) {
  Environment& state = environment(env);
  if (state.errorClass.IsEmpty()) return Napi::Error::New(env, message);
  return Napi::Error(env, state.errorClass.New({Napi::String::New(env, message)}));
}

/** What to do when a kernel lacks an element type, which libtorch says as `"dot" not implemented for 'Half'`. */
static std::string cureOf(const std::string& message) {
  const std::string mark = "not implemented for '";
  const size_t at = message.find(mark);
  if (at == std::string::npos) return "";
  const std::string type = message.substr(at + mark.size());
  const bool half = type.rfind("Half", 0) == 0 || type.rfind("BFloat16", 0) == 0;
  return half ? "; this libtorch has no such kernel on this device: convert to float32 first"
              : "; convert to an element type it has, such as float32, first";
}

std::string messageOf(const std::exception& error) {
  std::string text;
  if (const auto* torchError = dynamic_cast<const c10::Error*>(&error)) {
    text = torchError->what_without_backtrace();
  } else if (dynamic_cast<const std::bad_alloc*>(&error)) {
    text = "out of memory";
  } else {
    text = error.what();
  }
  // Nothing after what went wrong: C++ frames, and the dispatcher's list of every kernel there is.
  for (const char* end : {"\nException raised from ", " This could be because the operator doesn't exist", "\n\n",
                          "\nSearch for `cuda", "\nCUDA kernel errors might be", "\nCompile with `TORCH_USE_CUDA_DSA"}) {
    const size_t at = text.find(end);
    if (at != std::string::npos) text.resize(at);
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text + cureOf(text);
}

namespace {

int64_t deviceCount(at::DeviceType type) {
  try {
    return c10::impl::VirtualGuardImpl(type).deviceCount();
  } catch (const std::exception&) {
    return 0;
  }
}

int toThreads(const Napi::Value& value) {
  const int64_t threads = toInteger(value, "threads");
  if (threads < 1 || threads > 4096)
    throw UsageError("expected threads in 1 to 4096, got " + std::to_string(threads));
  return static_cast<int>(threads);
}

/** Debian's OpenBLAS has threads of its own, which libtorch does not know of. Nothing where the BLAS is another. */
void setBlasThreads(int threads) {
  static const auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set) set(threads);
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment());

  define(env, exports, "setErrorClass", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    if (!info[0].IsFunction()) throw UsageError("expected a class");
    state.errorClass = Napi::Persistent(info[0].As<Napi::Function>());
    return info.Env().Undefined();
  });
  define(env, exports, "version", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    return Napi::String::New(info.Env(), TORCH_VERSION);
  });
  define(env, exports, "configuration", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    return Napi::String::New(info.Env(), at::show_config() + "\n" + at::get_parallel_info());
  });
  define(env, exports, "cudaDevices", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(deviceCount(at::kCUDA)));
  });
  define(env, exports, "threads", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    return Napi::Number::New(info.Env(), at::get_num_threads());
  });
  define(env, exports, "setThreads", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    const int threads = toThreads(info[0]);
    at::set_num_threads(threads);
    setBlasThreads(threads);
    return info.Env().Undefined();
  });
  define(env, exports, "setBlasThreads", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    setBlasThreads(toThreads(info[0]));
    return info.Env().Undefined();
  });

  registerTensors(env, exports);
  registerOperators(env, exports);
  registerAutograd(env, exports);
  registerAutocast(env, exports);
  registerForward(env, exports);
  registerMemory(env, exports);
  registerRandom(env, exports);
  registerOptim(env, exports);
  registerCuda(env, exports);
  return exports;
}

}  // namespace
}  // namespace stopgrad

static Napi::Object init(Napi::Env env, Napi::Object exports) { return stopgrad::initialise(env, exports); }
NODE_API_MODULE(stopgrad_torch, init)
