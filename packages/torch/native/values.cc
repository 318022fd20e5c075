// Between JavaScript values and libtorch's. Arguments of an operator are converted by the operator's own schema, so a
// wrong one is refused with the argument's name before libtorch sees it.
#include "native.h"

#include <ATen/core/List.h>

namespace stopgrad {

namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

struct NamedCode {
  const char* name;
  int64_t code;
};

// Element types under their PyTorch names; the codes are libtorch's ScalarType.
constexpr NamedCode kScalarTypes[] = {
    {"float32", static_cast<int64_t>(at::kFloat)}, {"float64", static_cast<int64_t>(at::kDouble)},
    {"float16", static_cast<int64_t>(at::kHalf)},  {"bfloat16", static_cast<int64_t>(at::kBFloat16)},
    {"int64", static_cast<int64_t>(at::kLong)},    {"int32", static_cast<int64_t>(at::kInt)},
    {"int16", static_cast<int64_t>(at::kShort)},   {"int8", static_cast<int64_t>(at::kChar)},
    {"uint8", static_cast<int64_t>(at::kByte)},    {"bool", static_cast<int64_t>(at::kBool)},
};

// Other enumerations that a schema passes as integers.
constexpr NamedCode kMemoryFormats[] = {
    {"contiguous_format", static_cast<int64_t>(at::MemoryFormat::Contiguous)},
    {"preserve_format", static_cast<int64_t>(at::MemoryFormat::Preserve)},
    {"channels_last", static_cast<int64_t>(at::MemoryFormat::ChannelsLast)},
    {"channels_last_3d", static_cast<int64_t>(at::MemoryFormat::ChannelsLast3d)},
    // The names of the TypeScript side.
    {"row-major", static_cast<int64_t>(at::MemoryFormat::Contiguous)},
    {"preserve", static_cast<int64_t>(at::MemoryFormat::Preserve)},
    {"channels-last", static_cast<int64_t>(at::MemoryFormat::ChannelsLast)},
    {"channels-last-3d", static_cast<int64_t>(at::MemoryFormat::ChannelsLast3d)},
};
constexpr NamedCode kLayouts[] = {{"strided", static_cast<int64_t>(at::Layout::Strided)}};

bool isInteger(double value) { return std::trunc(value) == value && std::abs(value) <= kMaxSafeInteger; }

std::string quoted(const std::string& name) { return "'" + name + "'"; }

[[noreturn]] void refuse(Environment& state, Napi::Value value, const std::string& what, const char* expected) {
  throw UsageError("expected " + quoted(what) + " to be " + expected + ", got " + describe(state, value));
}

/** An integer that is no handle: a tensor where a size belongs must not become a size of 2^52. */
int64_t integerOf(Environment& state, Napi::Value value, const std::string& what) {
  if (!value.IsNumber()) refuse(state, value, what, "an integer");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!isInteger(number) || state.tensors.owns(number) || state.generators.owns(number))
    refuse(state, value, what, "an integer");
  return static_cast<int64_t>(number);
}

template <size_t N>
int64_t codeOf(Environment& state, Napi::Value value, const std::string& what, const NamedCode (&names)[N],
               const char* expected) {
  if (value.IsString()) {
    const std::string name = value.As<Napi::String>().Utf8Value();
    for (const auto& entry : names)
      if (name == entry.name) return entry.code;
  }
  refuse(state, value, what, expected);
}

/** What a schema calls `int` may be an enumeration, which is passed by name: its real type tells. */
int64_t integerOrName(Environment& state, Napi::Value value, const c10::Argument& argument) {
  c10::TypePtr type = argument.real_type();
  if (type->kind() == c10::TypeKind::OptionalType) type = type->castRaw<c10::OptionalType>()->getElementType();
  const std::string& what = argument.name();
  switch (type->kind()) {
    case c10::TypeKind::ScalarTypeType:
      return codeOf(state, value, what, kScalarTypes, "an element type such as \"float32\"");
    case c10::TypeKind::MemoryFormatType:
      return codeOf(state, value, what, kMemoryFormats, "a memory format such as \"channels-last\"");
    case c10::TypeKind::LayoutType:
      return codeOf(state, value, what, kLayouts, "the layout \"strided\"");
    default:
      return integerOf(state, value, what);
  }
}

double numberOf(Environment& state, Napi::Value value, const std::string& what) {
  if (!value.IsNumber()) refuse(state, value, what, "a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (state.tensors.owns(number) || state.generators.owns(number)) refuse(state, value, what, "a number");
  return number;
}

// JavaScript has one number type: a whole number becomes an integer scalar, as `2` would in Python.
at::Scalar scalarOf(Environment& state, Napi::Value value, const std::string& what) {
  if (value.IsBoolean()) return at::Scalar(value.As<Napi::Boolean>().Value());
  const double number = numberOf(state, value, what);
  return isInteger(number) && !(number == 0 && std::signbit(number)) ? at::Scalar(static_cast<int64_t>(number))
                                                                    : at::Scalar(number);
}

const at::Tensor& tensorOf(Environment& state, Napi::Value value, const std::string& what) {
  if (value.IsNumber()) {
    const double handle = value.As<Napi::Number>().DoubleValue();
    if (const at::Tensor* tensor = state.tensors.find(handle)) return *tensor;
  }
  refuse(state, value, what, "a tensor");
}

/** Entries of a list at most: a sparse array may say it has 2^32. */
constexpr uint32_t kLongestList = 1u << 24;

Napi::Array arrayOf(Environment& state, Napi::Value value, const std::string& what, const char* expected) {
  if (!value.IsArray()) refuse(state, value, what, expected);
  const Napi::Array array = value.As<Napi::Array>();
  if (array.Length() > kLongestList)
    throw UsageError("expected " + quoted(what) + " to have at most " + std::to_string(kLongestList) + " entries, got " +
                     std::to_string(array.Length()));
  return array;
}

c10::IValue listToIValue(Environment& state, Napi::Value value, const c10::TypePtr& element,
                         const c10::Argument& argument, const std::string& what) {
  switch (element->kind()) {
    case c10::TypeKind::TensorType: {
      Napi::Array array = arrayOf(state, value, what, "a list of tensors");
      c10::List<at::Tensor> list;
      for (uint32_t i = 0, length = array.Length(); i < length; i++)
        list.push_back(tensorOf(state, array.Get(i), what + "[" + std::to_string(i) + "]"));
      return list;
    }
    case c10::TypeKind::OptionalType: {
      Napi::Array array = arrayOf(state, value, what, "a list of tensors or nulls");
      c10::List<c10::optional<at::Tensor>> list;
      for (uint32_t i = 0, length = array.Length(); i < length; i++) {
        Napi::Value item = array.Get(i);
        if (item.IsNull() || item.IsUndefined())
          list.push_back(c10::nullopt);
        else
          list.push_back(tensorOf(state, item, what + "[" + std::to_string(i) + "]"));
      }
      return list;
    }
    case c10::TypeKind::IntType: {
      std::vector<int64_t> list;
      if (value.IsNumber() && argument.N().value_or(0) > 0) {  // `int[2] stride` given as one number
        list.assign(static_cast<size_t>(*argument.N()), integerOf(state, value, what));
      } else {
        Napi::Array array = arrayOf(state, value, what, "a list of integers");
        for (uint32_t i = 0, length = array.Length(); i < length; i++)
          list.push_back(integerOf(state, array.Get(i), what + "[" + std::to_string(i) + "]"));
      }
      return c10::IValue(list);
    }
    case c10::TypeKind::FloatType: {
      Napi::Array array = arrayOf(state, value, what, "a list of numbers");
      std::vector<double> list;
      for (uint32_t i = 0, length = array.Length(); i < length; i++)
        list.push_back(numberOf(state, array.Get(i), what + "[" + std::to_string(i) + "]"));
      return c10::IValue(list);
    }
    case c10::TypeKind::BoolType: {
      Napi::Array array = arrayOf(state, value, what, "a list of booleans");
      c10::List<bool> list;
      for (uint32_t i = 0, length = array.Length(); i < length; i++) {
        Napi::Value item = array.Get(i);
        if (!item.IsBoolean()) refuse(state, item, what, "a list of booleans");
        list.push_back(item.As<Napi::Boolean>().Value());
      }
      return list;
    }
    case c10::TypeKind::NumberType: {
      Napi::Array array = arrayOf(state, value, what, "a list of numbers");
      c10::impl::GenericList list(element);
      for (uint32_t i = 0, length = array.Length(); i < length; i++)
        list.push_back(c10::IValue(scalarOf(state, array.Get(i), what + "[" + std::to_string(i) + "]")));
      return list;
    }
    default:
      throw UsageError("argument " + quoted(what) + " has a type that cannot be passed from JavaScript: " +
                       element->str() + "[]");
  }
}

c10::IValue typedToIValue(Environment& state, Napi::Value value, const c10::TypePtr& type,
                          const c10::Argument& argument) {
  const std::string& what = argument.name();
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return c10::IValue(tensorOf(state, value, what));
    case c10::TypeKind::OptionalType:
      if (value.IsNull() || value.IsUndefined()) return c10::IValue();
      return typedToIValue(state, value, type->castRaw<c10::OptionalType>()->getElementType(), argument);
    case c10::TypeKind::ListType:
      return listToIValue(state, value, type->castRaw<c10::ListType>()->getElementType(), argument, what);
    case c10::TypeKind::IntType:
      return c10::IValue(integerOrName(state, value, argument));
    case c10::TypeKind::FloatType:
      return c10::IValue(numberOf(state, value, what));
    case c10::TypeKind::NumberType:
      return c10::IValue(scalarOf(state, value, what));
    case c10::TypeKind::BoolType:
      if (!value.IsBoolean()) refuse(state, value, what, "a boolean");
      return c10::IValue(value.As<Napi::Boolean>().Value());
    case c10::TypeKind::StringType:
      if (!value.IsString()) refuse(state, value, what, "a string");
      return c10::IValue(value.As<Napi::String>().Utf8Value());
    case c10::TypeKind::DeviceObjType:
      if (!value.IsString()) refuse(state, value, what, "a device name");
      return c10::IValue(c10::Device(value.As<Napi::String>().Utf8Value()));
    case c10::TypeKind::GeneratorType:
      return c10::IValue(toGenerator(state, value, what.c_str()));
    default:
      throw UsageError("argument " + quoted(what) + " has a type that cannot be passed from JavaScript: " +
                       type->str());
  }
}

}  // namespace

const char* scalarTypeName(at::ScalarType type) {
  for (const auto& entry : kScalarTypes)
    if (entry.code == static_cast<int64_t>(type)) return entry.name;
  return c10::toString(type);
}

std::string describe(const at::Tensor& tensor) {
  if (!tensor.defined()) return "undefined tensor";
  std::string text = scalarTypeName(tensor.scalar_type());
  text += "[";
  for (int64_t i = 0; i < tensor.dim(); i++) text += (i ? ", " : "") + std::to_string(tensor.size(i));
  text += "]";
  if (!tensor.device().is_cpu()) text += " on " + tensor.device().str();
  return text;
}

std::string describe(Environment& state, Napi::Value value) {
  if (value.IsEmpty() || value.IsUndefined()) return "undefined";
  if (value.IsNull()) return "null";
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value() ? "true" : "false";
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (const at::Tensor* tensor = state.tensors.find(number)) return describe(*tensor);
    if (state.tensors.owns(number)) return "a disposed tensor";
    if (state.generators.find(number)) return "a generator";
    if (state.generators.owns(number)) return "a disposed generator";
    return value.ToString().Utf8Value();
  }
  if (value.IsString()) {
    std::string text = value.As<Napi::String>().Utf8Value();
    if (text.size() > 40) text = text.substr(0, 40) + "...";
    return "\"" + text + "\"";
  }
  if (value.IsArray()) {
    Napi::Array array = value.As<Napi::Array>();
    std::string text = "[";
    for (uint32_t i = 0; i < array.Length() && i < 8; i++) {
      Napi::Value item = array.Get(i);
      text += (i ? ", " : "") + (item.IsArray() ? std::string("[...]") : describe(state, item));
    }
    return text + (array.Length() > 8 ? ", ...]" : "]");
  }
  if (value.IsTypedArray() || value.IsArrayBuffer() || value.IsDataView()) return "an array of bytes";
  if (value.IsFunction()) return "a function";
  if (value.IsBigInt()) return "a bigint";
  if (value.IsSymbol()) return "a symbol";
  return "an object";
}

const at::Tensor& toTensor(Environment& state, Napi::Value value, const char* what) {
  return tensorOf(state, value, what);
}

std::vector<at::Tensor> toTensors(Environment& state, Napi::Value value, const char* what) {
  Napi::Array array = arrayOf(state, value, what, "a list of tensors");
  std::vector<at::Tensor> tensors;
  tensors.reserve(array.Length());
  for (uint32_t i = 0, length = array.Length(); i < length; i++)
    tensors.push_back(tensorOf(state, array.Get(i), std::string(what) + "[" + std::to_string(i) + "]"));
  return tensors;
}

at::Generator& toGenerator(Environment& state, Napi::Value value, const char* what) {
  if (value.IsNumber())
    if (at::Generator* generator = state.generators.find(value.As<Napi::Number>().DoubleValue())) return *generator;
  refuse(state, value, what, "a generator");
}

// A seed may be any integer, also one in the range of handles.
int64_t toInteger(Napi::Value value, const char* what) {
  Environment& state = environment(value.Env());
  if (!value.IsNumber() || !isInteger(value.As<Napi::Number>().DoubleValue()))
    refuse(state, value, what, "an integer");
  return static_cast<int64_t>(value.As<Napi::Number>().DoubleValue());
}

double toNumber(Napi::Value value, const char* what) { return numberOf(environment(value.Env()), value, what); }

bool toBoolean(Napi::Value value, const char* what) {
  if (!value.IsBoolean()) refuse(environment(value.Env()), value, what, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::vector<int64_t> toShape(Napi::Value value, const char* what) {
  Environment& state = environment(value.Env());
  Napi::Array array = arrayOf(state, value, what, "a list of sizes");
  std::vector<int64_t> shape;
  double elements = 1;  // without the empty dimensions: strides must not overflow either
  for (uint32_t i = 0, length = array.Length(); i < length; i++) {
    const int64_t size = toInteger(array.Get(i), what);
    if (size < 0) refuse(state, value, what, "a list of sizes of at least 0");
    elements *= static_cast<double>(size > 1 ? size : 1);
    shape.push_back(size);
  }
  if (elements > kMaxSafeInteger / 8) refuse(state, value, what, "a shape of fewer than 2^50 elements");
  return shape;
}

at::ScalarType toScalarType(Napi::Value value, const char* what) {
  Environment& state = environment(value.Env());
  return static_cast<at::ScalarType>(
      codeOf(state, value, what, kScalarTypes, "an element type such as \"float32\""));
}

at::MemoryFormat toMemoryFormat(Napi::Value value, const char* what) {
  return static_cast<at::MemoryFormat>(codeOf(environment(value.Env()), value, what, kMemoryFormats,
                                              "a memory format such as \"channels-last\""));
}

Napi::Value fromTensor(Napi::Env env, Environment& state, at::Tensor tensor) {
  if (!tensor.defined()) return env.Null();
  return Napi::Number::New(env, state.tensors.insert(std::move(tensor)));
}

c10::IValue toIValue(Environment& state, Napi::Value value, const c10::Argument& argument) {
  if (value.IsUndefined()) {
    if (argument.default_value()) return *argument.default_value();
    if (argument.type()->kind() == c10::TypeKind::OptionalType) return c10::IValue();
    throw UsageError("missing argument " + quoted(argument.name()));
  }
  return typedToIValue(state, value, argument.type(), argument);
}

Napi::Value fromIValue(Napi::Env env, Environment& state, c10::IValue value) {
  if (value.isTensor()) return fromTensor(env, state, std::move(value).toTensor());
  if (value.isNone()) return env.Null();
  if (value.isBool()) return Napi::Boolean::New(env, value.toBool());
  if (value.isInt()) return Napi::Number::New(env, static_cast<double>(value.toInt()));
  if (value.isDouble()) return Napi::Number::New(env, value.toDouble());
  if (value.isString()) return Napi::String::New(env, value.toStringRef());
  if (value.isTuple() || value.isList()) {
    const auto items = value.isTuple() ? value.toTupleRef().elements().vec() : value.toListRef().vec();
    Napi::Array array = Napi::Array::New(env, items.size());
    for (size_t i = 0; i < items.size(); i++)
      array.Set(static_cast<uint32_t>(i), fromIValue(env, state, items[i]));
    return array;
  }
  throw UsageError("a result of type " + value.tagKind() + " cannot be returned to JavaScript");
}

}  // namespace stopgrad
