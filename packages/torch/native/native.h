// What the parts of the addon share: the per-thread environment with its table of live tensors, conversion between
// JavaScript values and libtorch's, and the wrapper that turns every C++ exception into a JavaScript error.
//
// Ownership: JavaScript never holds a pointer. A tensor is a handle, a number that names a slot and the slot's
// generation, so a disposed or foreign handle is recognised and refused instead of read. See README.md beside this file.
#pragma once

// A worker thread that is being terminated can take no more exceptions; without this the process would abort instead.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/Exception.h>

#include <cmath>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace stopgrad {

/** A mistake of the caller: becomes a TorchError with this message. */
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/**
 * Slots for values of one kind. A handle is `base + generation * 2^28 + index`, an integer above 2^52, so that no
 * ordinary number is taken for a handle; a slot's generation grows at each release, so that a stale handle fails.
 */
template <typename T>
class SlotTable {
 public:
  explicit SlotTable(double base) : base_(base) {}

  double insert(T value) {
    uint32_t index;
    if (free_.empty()) {
      index = static_cast<uint32_t>(slots_.size());
      if (index >= (1u << 28)) throw UsageError("more than 268,435,456 live handles");
      slots_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    Slot& slot = slots_[index];
    slot.value = std::move(value);
    slot.live = true;
    live_++;
    return base_ + static_cast<double>(slot.generation) * 268435456.0 + index;
  }

  T* find(double handle) {
    Slot* slot = locate(handle);
    return slot ? &slot->value : nullptr;
  }

  bool release(double handle) {
    Slot* slot = locate(handle);
    if (!slot) return false;
    T dying = std::move(slot->value);  // destroyed last: its destructor may run libtorch code
    slot->value = T();
    slot->live = false;
    slot->generation++;
    // A slot whose generations are used up is retired, so that no handle ever names two values.
    if (slot->generation <= kLastGeneration) free_.push_back(static_cast<uint32_t>(slot - slots_.data()));
    live_--;
    return true;
  }

  /** True for any number in this table's range, live or not: to tell "disposed" from "not a handle". */
  bool owns(double value) const { return value >= base_ && value < base_ + 1125899906842624.0; }
  size_t live() const { return live_; }

 private:
  static constexpr uint32_t kLastGeneration = 0x3fffff;

  struct Slot {
    T value;
    uint32_t generation = 0;
    bool live = false;
  };

  Slot* locate(double handle) {
    if (!(handle >= base_) || handle >= base_ + 1125899906842624.0) return nullptr;
    const double offset = handle - base_;
    const auto bits = static_cast<uint64_t>(offset);
    if (static_cast<double>(bits) != offset) return nullptr;
    const auto index = static_cast<uint32_t>(bits & 0xfffffff);
    if (index >= slots_.size()) return nullptr;
    Slot& slot = slots_[index];
    return slot.live && slot.generation == static_cast<uint32_t>(bits >> 28) ? &slot : nullptr;
  }

  double base_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  size_t live_ = 0;
};

using UnaryOperator = c10::TypedOperatorHandle<at::Tensor(const at::Tensor&)>;
using BinaryOperator = c10::TypedOperatorHandle<at::Tensor(const at::Tensor&, const at::Tensor&)>;
using BinaryScaledOperator = c10::TypedOperatorHandle<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Scalar&)>;

/** An argument of integers that is looked at before a call: see `checkIntegers` in operators.cc. */
struct IntegerArgument {
  size_t index;
  /** Entries that the list must have, 0 for any number. */
  size_t length;
  bool mayBeEmpty;
  int64_t least, most;
};

struct Operator {
  c10::OperatorHandle handle;
  std::string name;
  /** Set where the operator takes tensors alone and gives one: then it need not be boxed. */
  c10::optional<UnaryOperator> unary;
  c10::optional<BinaryOperator> binary;
  /** `add` and `sub`, whose factor for the second tensor is one when it is not given. */
  c10::optional<BinaryScaledOperator> binaryScaled;
  std::vector<IntegerArgument> integers;
  /** Integers, if it is given some, are divided by others. */
  bool divides = false;
  /** Whether it iterates until it converges, which infinite numbers may prevent. */
  bool iterates = false;
};

/** Everything one JavaScript thread owns; a worker thread has one of its own. */
struct Environment {
  SlotTable<at::Tensor> tensors{4503599627370496.0};         // 2^52
  SlotTable<at::Generator> generators{5629499534213120.0};   // 2^52 + 2^50
  /** CUDA graphs, whose type only cuda.cc knows. */
  SlotTable<std::shared_ptr<void>> graphs{6755399441055744.0};  // 2^52 + 2^51
  std::deque<Operator> operators;  // where one stands, it stays: a call may look up others
  Napi::FunctionReference errorClass;
};

inline Environment& environment(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

// values.cc
const at::Tensor& toTensor(Environment& state, Napi::Value value, const char* what);
std::vector<at::Tensor> toTensors(Environment& state, Napi::Value value, const char* what);
at::Generator& toGenerator(Environment& state, Napi::Value value, const char* what);
int64_t toInteger(Napi::Value value, const char* what);
double toNumber(Napi::Value value, const char* what);
bool toBoolean(Napi::Value value, const char* what);
std::vector<int64_t> toShape(Napi::Value value, const char* what);
at::ScalarType toScalarType(Napi::Value value, const char* what);
at::MemoryFormat toMemoryFormat(Napi::Value value, const char* what);
const char* scalarTypeName(at::ScalarType type);
Napi::Value fromTensor(Napi::Env env, Environment& state, at::Tensor tensor);
std::string describe(Environment& state, Napi::Value value);
std::string describe(const at::Tensor& tensor);
c10::IValue toIValue(Environment& state, Napi::Value value, const c10::Argument& argument);
Napi::Value fromIValue(Napi::Env env, Environment& state, c10::IValue value);

// cuda.cc
/** @throws UsageError where the addon is built without CUDA, or there is no such device */
at::Generator makeCudaGenerator(int64_t index, uint64_t seed);
/** Whether work on this device is being recorded into a graph instead of run. */
bool capturing(at::Device device);

// addon.cc
Napi::Error makeError(Napi::Env env, const std::string& message);

/** libtorch's message without its C++ backtrace and without the places in its source. */
std::string messageOf(const std::exception& error);

/** Registers `body(info, state)` as export `name`: the only way into the addon, and no exception leaves it raw. */
template <typename Body>
void define(Napi::Env env, Napi::Object exports, const char* name, Body body) {
  exports.Set(name, Napi::Function::New(
                        env,
                        [body, name](const Napi::CallbackInfo& info) -> Napi::Value {
                          Environment& state = environment(info.Env());
                          try {
                            return body(info, state);
                          } catch (const Napi::Error&) {
                            throw;
                          } catch (const UsageError& error) {
                            throw makeError(info.Env(), std::string(name) + ": " + error.what());
                          } catch (const std::exception& error) {
                            std::string arguments;
                            for (size_t i = 0; i < info.Length(); i++)
                              arguments += (i ? ", " : "") + describe(state, info[i]);
                            throw makeError(info.Env(), std::string(name) + ": " + messageOf(error) + " (called with " +
                                                            arguments + ")");
                          } catch (...) {
                            throw makeError(info.Env(), std::string(name) + ": unknown native exception");
                          }
                        },
                        name));
}

void registerTensors(Napi::Env env, Napi::Object exports);
void registerOperators(Napi::Env env, Napi::Object exports);
void registerAutograd(Napi::Env env, Napi::Object exports);
void registerAutocast(Napi::Env env, Napi::Object exports);
void registerForward(Napi::Env env, Napi::Object exports);
void registerMemory(Napi::Env env, Napi::Object exports);
void registerRandom(Napi::Env env, Napi::Object exports);
void registerOptim(Napi::Env env, Napi::Object exports);
void registerCuda(Napi::Env env, Napi::Object exports);

}  // namespace stopgrad
