// Exact bytes of live tensors, and an allocator that reuses blocks.
//
// libtorch's own CPU allocator returns every block to the system, so that each training step pays page faults for the
// same memory again. This one keeps freed blocks in lists by size, and counts the bytes that were asked for (not the
// rounded ones): live now, and the peak since it was last reset. It serves the whole process, worker threads included.
#include "native.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <torch/version.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>

#if defined(__SANITIZE_ADDRESS__)
#define STOPGRAD_REUSE_BLOCKS 0  // the address sanitizer must see every free
#else
#define STOPGRAD_REUSE_BLOCKS 1
#endif

// Since 2.3 `allocate` is no longer const and `copy_data` must be given.
#define STOPGRAD_NEW_ALLOCATOR (TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3))

namespace stopgrad {

namespace {

constexpr size_t kAlignment = 64;

/** Small sizes in steps of 64 bytes, larger ones in eighths of a power of two: at most 12.5 % is wasted. */
size_t roundedSize(size_t bytes) {
  size_t step = kAlignment;
  while (step * 16 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

/** Sits in the 64 bytes before a tensor's data: libtorch wants a block's context to be its data. */
struct Header {
  size_t bytes;
};
static_assert(sizeof(Header) <= kAlignment);

void freeBlock(void* data);

class CountingAllocator final : public c10::Allocator {
 public:
#if STOPGRAD_NEW_ALLOCATOR
  at::DataPtr allocate(size_t bytes) override { return take(bytes); }
  void copy_data(void* target, const void* source, std::size_t count) const override {
    std::memcpy(target, source, count);
  }
#else
  at::DataPtr allocate(size_t bytes) const override { return const_cast<CountingAllocator*>(this)->take(bytes); }
#endif
  at::DeleterFnPtr raw_deleter() const override { return freeBlock; }

  size_t live() { return locked([&] { return live_; }); }
  size_t peak() { return locked([&] { return peak_; }); }
  size_t cached() { return locked([&] { return cached_; }); }
  void resetPeak() {
    locked([&] { return peak_ = live_; });
  }
  void setCacheLimit(size_t bytes) {
    locked([&] { return limit_ = bytes; });
    if (cached() > bytes) emptyCache();
  }

  void emptyCache() {
    std::unordered_map<size_t, std::vector<void*>> blocks;
    locked([&] {
      blocks.swap(free_);
      return cached_ = 0;
    });
    for (auto& [size, list] : blocks)
      for (void* data : list) std::free(data);
  }

  void giveBack(void* data) {
    void* base = static_cast<char*>(data) - kAlignment;
    const size_t bytes = static_cast<Header*>(base)->bytes;
    const size_t rounded = roundedSize(bytes + kAlignment);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      live_ -= bytes;
      if (STOPGRAD_REUSE_BLOCKS && cached_ + rounded <= limit_) {
        free_[rounded].push_back(base);
        cached_ += rounded;
        base = nullptr;
      }
    }
    if (base) std::free(base);
  }

 private:
  template <typename Body>
  size_t locked(Body body) {
    std::lock_guard<std::mutex> lock(mutex_);
    return body();
  }

  at::DataPtr take(size_t bytes);

  std::mutex mutex_;
  std::unordered_map<size_t, std::vector<void*>> free_;
  size_t live_ = 0, peak_ = 0, cached_ = 0;
  size_t limit_ = size_t(2) << 30;
};

// Never destroyed: tensors in static storage may outlive every other object.
CountingAllocator& allocator() {
  static auto* instance = new CountingAllocator();
  return *instance;
}

void freeBlock(void* data) {
  if (data) allocator().giveBack(data);
}

at::DataPtr CountingAllocator::take(size_t bytes) {
  if (bytes == 0) return {nullptr, nullptr, freeBlock, at::Device(at::kCPU)};
  TORCH_CHECK(bytes < (size_t(1) << 48), "out of memory: cannot allocate ", bytes, " bytes");
  const size_t rounded = roundedSize(bytes + kAlignment);
  void* base = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = free_.find(rounded);
    if (found != free_.end() && !found->second.empty()) {
      base = found->second.back();
      found->second.pop_back();
      cached_ -= rounded;
    }
  }
  if (!base) base = std::aligned_alloc(kAlignment, rounded);
  if (!base) {
    emptyCache();
    base = std::aligned_alloc(kAlignment, rounded);
  }
  TORCH_CHECK(base, "out of memory: cannot allocate ", bytes, " bytes");
  {
    std::lock_guard<std::mutex> lock(mutex_);
    live_ += bytes;
    if (live_ > peak_) peak_ = live_;
  }
  static_cast<Header*>(base)->bytes = bytes;
  void* data = static_cast<char*>(base) + kAlignment;
  return {data, data, freeBlock, at::Device(at::kCPU)};
}

}  // namespace

void registerMemory(Napi::Env env, Napi::Object exports) {
  static std::once_flag installed;
  std::call_once(installed, [] { c10::SetCPUAllocator(&allocator(), 100); });

  define(env, exports, "memory", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("liveBytes", Napi::Number::New(info.Env(), static_cast<double>(allocator().live())));
    result.Set("peakBytes", Napi::Number::New(info.Env(), static_cast<double>(allocator().peak())));
    result.Set("cachedBytes", Napi::Number::New(info.Env(), static_cast<double>(allocator().cached())));
    return result;
  });
  define(env, exports, "resetPeakBytes", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    allocator().resetPeak();
    return info.Env().Undefined();
  });
  define(env, exports, "emptyCache", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    allocator().emptyCache();
    return info.Env().Undefined();
  });
  define(env, exports, "setCacheLimit", [](const Napi::CallbackInfo& info, Environment&) -> Napi::Value {
    const int64_t bytes = toInteger(info[0], "bytes");
    if (bytes < 0) throw UsageError("expected bytes of at least 0, got " + std::to_string(bytes));
    allocator().setCacheLimit(static_cast<size_t>(bytes));
    return info.Env().Undefined();
  });
}

}  // namespace stopgrad
