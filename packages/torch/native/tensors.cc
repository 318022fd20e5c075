// Tensors in and out of JavaScript: made from bytes, read back as bytes, described, released.
#include "native.h"

#include <cstring>

namespace stopgrad {

namespace {

struct Bytes {
  const uint8_t* data;
  size_t length;
};

Bytes bytesOf(Napi::Value value) {
  if (value.IsTypedArray()) {
    Napi::TypedArray array = value.As<Napi::TypedArray>();
    if (!array.ArrayBuffer().IsArrayBuffer()) throw UsageError("expected a typed array whose memory no other thread shares");
    return {static_cast<const uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
  }
  throw UsageError("expected a typed array");
}

Napi::Value fromBytes(const Napi::CallbackInfo& info, Environment& state) {
  const at::ScalarType type = toScalarType(info[1], "dtype");
  const std::vector<int64_t> shape = toShape(info[2], "shape");
  const Bytes bytes = bytesOf(info[0]);  // last: reading the shape may run a getter, which may detach the bytes
  size_t elements = 1;
  for (int64_t size : shape) elements *= static_cast<size_t>(size);
  const size_t expected = elements * c10::elementSize(type);
  if (bytes.length != expected) {
    std::string text;
    for (int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
    throw UsageError("expected " + std::to_string(expected) + " bytes for " + scalarTypeName(type) + "[" + text +
                     "], got " + std::to_string(bytes.length));
  }
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(type));
  if (type == at::kBool) {  // a C++ bool holds 0 or 1 and nothing else
    bool* values = tensor.data_ptr<bool>();
    for (size_t i = 0; i < expected; i++) values[i] = bytes.data[i] != 0;
  } else if (expected) {
    std::memcpy(tensor.data_ptr(), bytes.data, expected);
  }
  return fromTensor(info.Env(), state, std::move(tensor));
}

/** The elements in row-major order in the CPU's memory: what libtorch remembers instead of doing is done. */
at::Tensor inMemory(const at::Tensor& tensor) {
  at::Tensor source = tensor.detach().cpu();
  if (source.layout() != at::kStrided || !source.unsafeGetTensorImpl()->has_storage())
    throw UsageError("expected a dense tensor, got " + describe(tensor));
  if (source._is_zerotensor()) return at::zeros(source.sizes(), source.options());  // a tangent may have no memory
  return source.resolve_conj().resolve_neg().contiguous();
}

Napi::Value toBytes(const Napi::CallbackInfo& info, Environment& state) {
  const at::Tensor source = inMemory(toTensor(state, info[0], "tensor"));
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(info.Env(), source.nbytes());
  if (source.nbytes()) std::memcpy(buffer.Data(), source.data_ptr(), source.nbytes());
  return buffer;
}

Napi::Value item(const Napi::CallbackInfo& info, Environment& state) {
  const at::Tensor& tensor = toTensor(state, info[0], "tensor");
  if (tensor.numel() != 1) throw UsageError("expected a tensor of one element, got " + describe(tensor));
  const at::Scalar scalar = tensor.item();
  if (scalar.isBoolean()) return Napi::Boolean::New(info.Env(), scalar.toBool());
  if (scalar.isFloatingPoint()) return Napi::Number::New(info.Env(), scalar.toDouble());
  const int64_t value = scalar.toLong();
  if (value > 9007199254740991LL || value < -9007199254740991LL)
    throw UsageError("the integer " + std::to_string(value) + " is too large for a JavaScript number");
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

Napi::Value numbers(Napi::Env env, at::IntArrayRef values) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); i++)
    array.Set(static_cast<uint32_t>(i), Napi::Number::New(env, static_cast<double>(values[i])));
  return array;
}

}  // namespace

void registerTensors(Napi::Env env, Napi::Object exports) {
  define(env, exports, "fromBytes", fromBytes);
  define(env, exports, "toBytes", toBytes);
  define(env, exports, "item", item);
  define(env, exports, "shape", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return numbers(info.Env(), toTensor(state, info[0], "tensor").sizes());
  });
  define(env, exports, "strides", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return numbers(info.Env(), toTensor(state, info[0], "tensor").strides());
  });
  define(env, exports, "dtype", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return Napi::String::New(info.Env(), scalarTypeName(toTensor(state, info[0], "tensor").scalar_type()));
  });
  define(env, exports, "device", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return Napi::String::New(info.Env(), toTensor(state, info[0], "tensor").device().str());
  });
  define(env, exports, "isContiguous", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const at::Tensor& tensor = toTensor(state, info[0], "tensor");
    const at::MemoryFormat format =
        info[1].IsUndefined() ? at::MemoryFormat::Contiguous : toMemoryFormat(info[1], "format");
    if (format == at::MemoryFormat::Preserve) throw UsageError("expected a format to compare with, got \"preserve\"");
    return Napi::Boolean::New(info.Env(), tensor.is_contiguous(format));
  });
  define(env, exports, "storageOffset", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(toTensor(state, info[0], "tensor").storage_offset()));
  });
  define(env, exports, "sharesStorage", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    const at::Tensor first = toTensor(state, info[0], "tensor");
    const at::Tensor second = toTensor(state, info[1], "other");
    return Napi::Boolean::New(info.Env(), first.has_storage() && second.has_storage() &&
                                              first.storage().unsafeGetStorageImpl() ==
                                                  second.storage().unsafeGetStorageImpl());
  });
  define(env, exports, "isLive", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return Napi::Boolean::New(info.Env(), info[0].IsNumber() &&
                                              state.tensors.find(info[0].As<Napi::Number>().DoubleValue()) != nullptr);
  });
  // Releasing twice is no error: a scope may end after a tensor was disposed by hand.
  define(env, exports, "release", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    if (info[0].IsNumber()) {
      state.tensors.release(info[0].As<Napi::Number>().DoubleValue());
    } else if (info[0].IsArray()) {
      Napi::Array handles = info[0].As<Napi::Array>();
      if (handles.Length() > (1u << 28)) throw UsageError("expected at most 2^28 handles");
      for (uint32_t i = 0, length = handles.Length(); i < length; i++) {
        Napi::Value handle = handles.Get(i);
        if (handle.IsNumber()) state.tensors.release(handle.As<Napi::Number>().DoubleValue());
      }
    } else {
      throw UsageError("expected a handle or a list of handles");
    }
    return info.Env().Undefined();
  });
  define(env, exports, "liveTensors", [](const Napi::CallbackInfo& info, Environment& state) -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(state.tensors.live()));
  });
}

}  // namespace stopgrad
