// Automatic mixed precision: libtorch's Autocast dispatch keys, switched on for this thread while a function runs.
// Operators reach them because `call` goes through the dispatcher with the thread's included and excluded keys.
#include "native.h"

#include <ATen/autocast_mode.h>
#include <torch/version.h>

namespace stopgrad {

namespace {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
bool isEnabled(at::DeviceType device) { return at::autocast::is_autocast_enabled(device); }
void setEnabled(at::DeviceType device, bool enabled) { at::autocast::set_autocast_enabled(device, enabled); }
at::ScalarType typeOf(at::DeviceType device) { return at::autocast::get_autocast_dtype(device); }
void setType(at::DeviceType device, at::ScalarType type) { at::autocast::set_autocast_dtype(device, type); }
#else
bool isEnabled(at::DeviceType device) {
  return device == at::kCUDA ? at::autocast::is_enabled() : at::autocast::is_cpu_enabled();
}
void setEnabled(at::DeviceType device, bool enabled) {
  if (device == at::kCUDA)
    at::autocast::set_enabled(enabled);
  else
    at::autocast::set_cpu_enabled(enabled);
}
at::ScalarType typeOf(at::DeviceType device) {
  return device == at::kCUDA ? at::autocast::get_autocast_gpu_dtype() : at::autocast::get_autocast_cpu_dtype();
}
void setType(at::DeviceType device, at::ScalarType type) {
  if (device == at::kCUDA)
    at::autocast::set_autocast_gpu_dtype(type);
  else
    at::autocast::set_autocast_cpu_dtype(type);
}
#endif

/** One level of autocast: restores the level around it, and drops the cached casts with the outermost. */
class AutocastLevel {
 public:
  AutocastLevel(at::DeviceType device, at::ScalarType type, bool enabled, bool cache)
      : device_(device), enabled_(isEnabled(device)), type_(typeOf(device)),
        cache_(at::autocast::is_autocast_cache_enabled()) {
    at::autocast::increment_nesting();
    setEnabled(device, enabled);
    setType(device, type);
    at::autocast::set_autocast_cache_enabled(cache);
  }
  ~AutocastLevel() {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    setEnabled(device_, enabled_);
    setType(device_, type_);
    at::autocast::set_autocast_cache_enabled(cache_);
  }
  AutocastLevel(const AutocastLevel&) = delete;
  AutocastLevel& operator=(const AutocastLevel&) = delete;

 private:
  at::DeviceType device_;
  bool enabled_;
  at::ScalarType type_;
  bool cache_;
};

at::DeviceType toDeviceType(Environment& state, Napi::Value value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name == "cpu") return at::kCPU;
  if (name == "cuda") return at::kCUDA;
  throw UsageError("expected device to be \"cpu\" or \"cuda\", got " + describe(state, value));
}

Napi::Value autocast(const Napi::CallbackInfo& info, Environment& state) {
  const at::DeviceType device = toDeviceType(state, info[0]);
  const at::ScalarType type = toScalarType(info[1], "dtype");
  const bool enabled = toBoolean(info[2], "enabled");
  const bool cache = toBoolean(info[3], "cache");
  if (!info[4].IsFunction()) throw UsageError("expected a function to run, got " + describe(state, info[4]));
  if (type != at::kBFloat16 && !(type == at::kHalf && device == at::kCUDA))
    throw UsageError(std::string("expected dtype to be ") +
                     (device == at::kCUDA ? "\"bfloat16\" or \"float16\"" : "\"bfloat16\" on the CPU") + ", got " +
                     describe(state, info[1]));
  const AutocastLevel level(device, type, enabled, cache);
  return info[4].As<Napi::Function>().Call(info.Env().Undefined(), {});
}

}  // namespace

void registerAutocast(Napi::Env env, Napi::Object exports) {
  define(env, exports, "autocast", autocast);
  define(env, exports, "autocastType", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const at::DeviceType device = toDeviceType(state, info[0]);
    if (!isEnabled(device)) return info.Env().Null();
    return Napi::String::New(info.Env(), scalarTypeName(typeOf(device)));
  });
}

}  // namespace stopgrad
