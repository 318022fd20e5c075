// What is no operator on CUDA: devices and their memory, generators, streams, graphs. Compiled in full only where
// libtorch has CUDA and CUDA's headers are there (STOPGRAD_CUDA, see scripts/lib/cuda.mjs); everything that *is* an
// operator needs nothing from here.
//
// Only headers of the CUDA runtime are wanted, none of cuBLAS, cuSPARSE or cuDNN, so that the runtime's own package is
// enough to compile. The runtime is not linked: libtorch brings it, and its symbols are found through libtorch's.
#include "native.h"

#ifdef STOPGRAD_CUDA

#include <cuda.h>  // before CUDAGraph.h, whose members depend on CUDA_VERSION
#include <cuda_runtime_api.h>

#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/version.h>

#include <exception>
#include <memory>
#include <mutex>
#include <type_traits>

namespace stopgrad {

namespace {

using c10::cuda::CUDAStream;
namespace Allocator = c10::cuda::CUDACachingAllocator;

/** libtorch's own kind of device number: a byte, or more in later versions. */
c10::DeviceIndex toDeviceIndex(Napi::Value value) {
  const int64_t index = toInteger(value, "device");
  const int64_t count = c10::cuda::device_count();
  if (index < 0 || index >= count)
    throw UsageError("expected a device from 0 to " + std::to_string(count - 1) + ", got " + std::to_string(index));
  return static_cast<c10::DeviceIndex>(index);
}

at::Device toDevice(Napi::Value value) { return at::Device(at::kCUDA, toDeviceIndex(value)); }

/** libtorch prepares CUDA with the first tensor; its allocator's statistics and generators need that. */
void prepare(at::Device device) {
  static std::once_flag done;
  std::call_once(done, [&] { at::empty({0}, at::TensorOptions().device(device)); });
}

/**
 * Streams by number, for the whole process: libtorch hands them out from a pool and never ends them. A number that is
 * no stream's is refused.
 */
class Streams {
 public:
  double numberOf(CUDAStream stream) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = 0; i < known_.size(); i++)
      if (known_[i] == stream) return static_cast<double>(i);
    known_.push_back(stream);
    return static_cast<double>(known_.size() - 1);
  }

  CUDAStream at(Napi::Value value, const char* what) {
    const int64_t number = toInteger(value, what);
    std::lock_guard<std::mutex> lock(mutex_);
    if (number < 0 || number >= static_cast<int64_t>(known_.size()))
      throw UsageError(std::string("expected '") + what + "' to be a stream, got " + std::to_string(number));
    return known_[number];
  }

 private:
  std::mutex mutex_;
  std::vector<CUDAStream> known_;
};

Streams& streams() {
  static auto* instance = new Streams();
  return *instance;
}

Napi::Value number(Napi::Env env, double value) { return Napi::Number::New(env, value); }

Napi::Value properties(const Napi::CallbackInfo& info, Environment&) {
  const c10::DeviceIndex index = toDeviceIndex(info[0]);
  cudaDeviceProp found;
  C10_CUDA_CHECK(cudaGetDeviceProperties(&found, index));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("name", Napi::String::New(info.Env(), found.name));
  result.Set("totalBytes", number(info.Env(), static_cast<double>(found.totalGlobalMem)));
  result.Set("major", number(info.Env(), found.major));
  result.Set("minor", number(info.Env(), found.minor));
  result.Set("multiprocessors", number(info.Env(), found.multiProcessorCount));
  return result;
}

Napi::Value memory(const Napi::CallbackInfo& info, Environment&) {
  const at::Device device = toDevice(info[0]);
  prepare(device);
  const auto statistics = Allocator::getDeviceStats(device.index());
  // Entry 0 is the sum over the pools of small and large blocks.
  const auto &allocated = statistics.allocated_bytes[0], &reserved = statistics.reserved_bytes[0];
  size_t free = 0, total = 0;
  {
    const c10::DeviceGuard guard(device);
    C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  }
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("allocatedBytes", number(info.Env(), static_cast<double>(allocated.current)));
  result.Set("peakAllocatedBytes", number(info.Env(), static_cast<double>(allocated.peak)));
  result.Set("reservedBytes", number(info.Env(), static_cast<double>(reserved.current)));
  result.Set("peakReservedBytes", number(info.Env(), static_cast<double>(reserved.peak)));
  result.Set("freeBytes", number(info.Env(), static_cast<double>(free)));
  result.Set("totalBytes", number(info.Env(), static_cast<double>(total)));
  return result;
}

/** Everything queued on `waiting` from now on starts after what is queued on `other` now. */
void waitFor(CUDAStream waiting, CUDAStream other) {
  if (waiting == other) return;
  c10::Event event(c10::DeviceType::CUDA);
  event.record(other.unwrap());
  event.block(waiting.unwrap());
}

/** `generator` draws anew at each replay. libtorch before 2.4 knows only the device's default generator. */
template <typename Graph, typename = void>
struct HasRegistration : std::false_type {};
template <typename Graph>
struct HasRegistration<Graph, std::void_t<decltype(std::declval<Graph&>().register_generator_state(
                                  std::declval<const at::Generator&>()))>> : std::true_type {};

template <typename Graph>
void registerGenerator(Graph& graph, const at::Generator& generator) {
  if constexpr (HasRegistration<Graph>::value) {
    graph.register_generator_state(generator);
  } else {
    // A libtorch that is newer than the registration keeps a state for each capture, which a generator that is asked
    // during it joins by itself.
    (void)graph;
    constexpr bool joinsByItself = TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4);
    const auto& usual = at::cuda::detail::getDefaultCUDAGenerator(generator.device().index());
    if (!joinsByItself && generator != usual)
      throw UsageError("this libtorch (" TORCH_VERSION
                       ") can capture the device's default generator only, got another one");
  }
}

/**
 * Runs `body` while everything queued on a stream of its own is recorded instead of run. The graph owns the memory of
 * all tensors made inside (a private pool), so that each replay writes the same places.
 */
Napi::Value captureGraph(const Napi::CallbackInfo& info, Environment& state) {
  const at::Device device = toDevice(info[0]);
  if (!info[1].IsArray()) throw UsageError("expected a list of generators");
  if (!info[2].IsFunction()) throw UsageError("expected a function to capture, got " + describe(state, info[2]));
  if (capturing(device)) throw UsageError("expected to be called outside of another captured graph");
  prepare(device);
  const c10::DeviceGuard guard(device);
  auto graph = std::make_shared<at::cuda::CUDAGraph>();
  const Napi::Array generators = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < generators.Length(); i++) {
    const at::Generator generator = toGenerator(state, generators.Get(i), "generators");
    if (generator.device() != device)
      throw UsageError("expected generators of " + device.str() + ", got one of " + generator.device().str());
    registerGenerator(*graph, generator);
  }
  const CUDAStream before = c10::cuda::getCurrentCUDAStream(device.index());
  const CUDAStream side = c10::cuda::getStreamFromPool(false, device.index());
  waitFor(side, before);
  c10::cuda::device_synchronize();  // what is still running must not fall into the capture
  {
    const c10::StreamGuard onSide(side.unwrap());
    graph->capture_begin();
    try {
      info[2].As<Napi::Function>().Call(info.Env().Undefined(), {});
    } catch (...) {
      const std::exception_ptr failure = std::current_exception();
      // A capture that was broken off must be ended all the same; that this fails too is no news.
      try {
        graph->capture_end();
      } catch (const std::exception&) {
        (void)cudaGetLastError();
      }
      std::rethrow_exception(failure);
    }
    graph->capture_end();
  }
  waitFor(before, side);
  return number(info.Env(), state.graphs.insert(std::shared_ptr<void>(graph)));
}

at::cuda::CUDAGraph& toGraph(Environment& state, Napi::Value value) {
  std::shared_ptr<void>* found =
      value.IsNumber() ? state.graphs.find(value.As<Napi::Number>().DoubleValue()) : nullptr;
  if (!found) throw UsageError("expected a graph, got a disposed one or something else");
  return *static_cast<at::cuda::CUDAGraph*>(found->get());
}

}  // namespace

at::Generator makeCudaGenerator(int64_t index, uint64_t seed) {
  const int64_t count = c10::cuda::device_count();
  if (index < 0 || index >= count)
    throw UsageError("expected a CUDA device that is there (" + std::to_string(count) + " are), got cuda:" +
                     std::to_string(index));
  prepare(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index)));
  at::Generator generator = at::cuda::detail::createCUDAGenerator(static_cast<c10::DeviceIndex>(index));
  generator.set_current_seed(seed);
  return generator;
}

bool capturing(at::Device device) {
  if (!device.is_cuda()) return false;
  cudaStreamCaptureStatus status;
  C10_CUDA_CHECK(cudaStreamIsCapturing(c10::cuda::getCurrentCUDAStream(device.index()), &status));
  return status != cudaStreamCaptureStatusNone;
}

void registerCuda(Napi::Env env, Napi::Object addon) {
  addon.Set("cudaSupport", Napi::String::New(env, "built"));
  Napi::Object exports = Napi::Object::New(env);
  addon.Set("cuda", exports);

  // Why there is no device, in CUDA's words; null where there is one.
  define(env, exports, "problem", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0) return info.Env().Null();
    (void)cudaGetLastError();
    return Napi::String::New(info.Env(), error == cudaSuccess ? "no device was found" : cudaGetErrorString(error));
  });
  define(env, exports, "deviceCount", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    return number(info.Env(), c10::cuda::device_count());
  });
  define(env, exports, "currentDevice", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    return number(info.Env(), c10::cuda::current_device());
  });
  define(env, exports, "properties", properties);
  define(env, exports, "synchronize", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    const c10::DeviceGuard guard(toDevice(info[0]));
    c10::cuda::device_synchronize();
    return info.Env().Undefined();
  });

  // cuDNN's kernels that give the same bits each time, or whichever is fastest.
  define(env, exports, "setDeterministic", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    at::globalContext().setDeterministicCuDNN(toBoolean(info[0], "deterministic"));
    return info.Env().Undefined();
  });

  define(env, exports, "memory", memory);
  define(env, exports, "resetPeakBytes", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    const at::Device device = toDevice(info[0]);
    prepare(device);
    Allocator::resetPeakStats(device.index());
    return info.Env().Undefined();
  });
  define(env, exports, "emptyCache", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    Allocator::emptyCache();
    return info.Env().Undefined();
  });

  define(env, exports, "defaultGenerator", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const at::Device device = toDevice(info[0]);
    prepare(device);
    return number(info.Env(), state.generators.insert(at::cuda::detail::getDefaultCUDAGenerator(device.index())));
  });

  define(env, exports, "currentStream", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    return number(info.Env(), streams().numberOf(c10::cuda::getCurrentCUDAStream(toDeviceIndex(info[0]))));
  });
  define(env, exports, "newStream", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    const c10::DeviceIndex index = toDeviceIndex(info[0]);
    return number(info.Env(), streams().numberOf(c10::cuda::getStreamFromPool(toBoolean(info[1], "priority"), index)));
  });
  define(env, exports, "onStream", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    if (!info[1].IsFunction()) throw UsageError("expected a function to run, got " + describe(state, info[1]));
    const c10::StreamGuard guard(streams().at(info[0], "stream").unwrap());
    return info[1].As<Napi::Function>().Call(info.Env().Undefined(), {});
  });
  define(env, exports, "waitForStream", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    waitFor(streams().at(info[0], "stream"), streams().at(info[1], "other"));
    return info.Env().Undefined();
  });
  define(env, exports, "synchronizeStream", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    streams().at(info[0], "stream").synchronize();
    return info.Env().Undefined();
  });
  // The memory is not given to another tensor before what is queued on the stream now is done.
  define(env, exports, "recordStream", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const at::Tensor& tensor = toTensor(state, info[0], "tensor");
    const CUDAStream stream = streams().at(info[1], "stream");
    if (!tensor.is_cuda()) throw UsageError("expected a tensor on a CUDA device, got " + describe(tensor));
    tensor.record_stream(stream.unwrap());
    return info.Env().Undefined();
  });

  define(env, exports, "captureGraph", captureGraph);
  define(env, exports, "replayGraph", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    toGraph(state, info[0]).replay();
    return info.Env().Undefined();
  });
  define(env, exports, "releaseGraph", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    if (!info[0].IsNumber()) throw UsageError("expected a graph");
    state.graphs.release(info[0].As<Napi::Number>().DoubleValue());
    return info.Env().Undefined();
  });
}

}  // namespace stopgrad

#else  // without CUDA

namespace stopgrad {

at::Generator makeCudaGenerator(int64_t, uint64_t) {
  throw UsageError("expected a generator of the CPU, because this addon is built without CUDA");
}

bool capturing(at::Device) { return false; }

void registerCuda(Napi::Env env, Napi::Object addon) {
#ifdef STOPGRAD_CUDA_HEADERS_MISSING
  addon.Set("cudaSupport", Napi::String::New(env, "no headers"));
#else
  addon.Set("cudaSupport", Napi::String::New(env, "no libtorch"));
#endif
}

}  // namespace stopgrad

#endif
