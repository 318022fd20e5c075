// Any libtorch operator by name: found once in the dispatcher, then called through its boxed kernel.
#include "native.h"

#include <algorithm>
#include <limits>

namespace stopgrad {

namespace {

/** Kind of each result for the TypeScript side: `tensor`, `tensors` or `value`. */
const char* resultKind(const c10::TypePtr& type) {
  if (type->kind() == c10::TypeKind::TensorType) return "tensor";
  if (type->kind() == c10::TypeKind::ListType &&
      type->castRaw<c10::ListType>()->getElementType()->kind() == c10::TypeKind::TensorType)
    return "tensors";
  return "value";
}

/** Finds the form in which a call need not be boxed: tensors in, a new tensor out. */
void findDirectForm(Operator& op) try {
  const c10::FunctionSchema& schema = op.handle.schema();
  const auto& arguments = schema.arguments();
  const auto plainTensor = [](const c10::Argument& argument) {
    return argument.type()->kind() == c10::TypeKind::TensorType && !argument.alias_info() && !argument.kwarg_only();
  };
  if (schema.returns().size() != 1 || !plainTensor(schema.returns()[0]) || arguments.empty()) return;
  if (!plainTensor(arguments[0])) return;
  if (arguments.size() == 1) {
    op.unary = op.handle.typed<at::Tensor(const at::Tensor&)>();
  } else if (plainTensor(arguments[1]) && arguments.size() == 2) {
    op.binary = op.handle.typed<at::Tensor(const at::Tensor&, const at::Tensor&)>();
  } else if (op.name == "aten::add.Tensor" || op.name == "aten::sub.Tensor") {
    op.binaryScaled = op.handle.typed<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Scalar&)>();
  }
} catch (const c10::Error&) {
  // Its C++ signature is another one than its schema says: the boxed call is always right.
}

/** Windows are no larger: sizes of results would overflow, and some loops go over every tap, inside the input or not. */
constexpr int64_t kLargestWindow = int64_t(1) << 24, kLargestProduct = int64_t(1) << 40;
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

struct Range {
  const char* name;
  int64_t least, most;
};
/** How the windows of a convolution, pooling or folding lie. */
constexpr Range kWindowRanges[] = {{"kernel_size", 1, kLargestWindow},
                                   {"stride", 1, kLargestWindow},
                                   {"dilation", 1, kLargestWindow},
                                   {"padding", 0, kLargestWindow},
                                   {"output_padding", 0, kLargestWindow}};
/** Factors that kernels take the square of. */
constexpr Range kFactorRanges[] = {{"upscale_factor", 1, 1 << 15}, {"downscale_factor", 1, 1 << 15}};

/** Which lists have a fixed length, and which integers a range. */
void findIntegers(Operator& op) {
  const auto& arguments = op.handle.schema().arguments();
  const auto named = [&](const char* name) {
    return std::any_of(arguments.begin(), arguments.end(), [&](const c10::Argument& argument) { return argument.name() == name; });
  };
  const bool windowed = named("kernel_size") || named("dilation");
  for (size_t i = 0; i < arguments.size(); i++) {
    c10::TypePtr type = arguments[i].type();
    if (type->kind() == c10::TypeKind::OptionalType) type = type->castRaw<c10::OptionalType>()->getElementType();
    const bool list = type->kind() == c10::TypeKind::ListType;
    if (list) type = type->castRaw<c10::ListType>()->getElementType();
    if (type->kind() != c10::TypeKind::IntType) continue;
    IntegerArgument integers{i, 0, false, -kNoLimit, kNoLimit};
    if (list && arguments[i].N().value_or(0) > 1) integers.length = static_cast<size_t>(*arguments[i].N());
    const auto& standard = arguments[i].default_value();
    integers.mayBeEmpty = standard && standard->isIntList() && standard->toIntVector().empty();
    const auto limit = [&](const Range& range) {
      if (arguments[i].name() == range.name) integers.least = range.least, integers.most = range.most;
    };
    if (windowed) std::for_each(std::begin(kWindowRanges), std::end(kWindowRanges), limit);
    std::for_each(std::begin(kFactorRanges), std::end(kFactorRanges), limit);
    if (integers.length > 0 || integers.most < kNoLimit) op.integers.push_back(integers);
  }
}

/**
 * What kernels do not look at themselves: lists of a fixed length (`int[2]`), of which they read every entry (one is
 * taken for all), and windows and factors that make no sense.
 *
 * @throws UsageError naming the argument
 */
void checkIntegers(const Operator& op, torch::jit::Stack& stack) {
  for (const IntegerArgument& wanted : op.integers) {
    c10::IValue& value = stack[wanted.index];
    if (value.isNone()) continue;
    std::vector<int64_t> entries = value.isInt() ? std::vector<int64_t>{value.toInt()} : value.toIntVector();
    const std::string what = "expected '" + op.handle.schema().arguments()[wanted.index].name() + "' ";
    if (wanted.length > 0 && entries.size() == 1) {
      entries.resize(wanted.length, entries[0]);
      value = entries;
    }
    if (wanted.length > 0 && entries.size() != wanted.length && !(entries.empty() && wanted.mayBeEmpty))
      throw UsageError(what + "to have " + std::to_string(wanted.length) + " integers, got " + std::to_string(entries.size()));
    if (wanted.most == kNoLimit) continue;
    int64_t product = 1;
    for (const int64_t entry : entries) {
      if (entry < wanted.least || entry > wanted.most)
        throw UsageError(what + "from " + std::to_string(wanted.least) + " to " + std::to_string(wanted.most) + ", got " +
                         std::to_string(entry));
      product *= std::max<int64_t>(entry, 1);
      if (product > kLargestProduct) throw UsageError(what + "with a product of at most 2^40");
    }
  }
}

/** Whether an integer divided by another one is what `name` computes. */
bool dividesIntegers(const std::string& name) {
  for (const char* start : {"aten::fmod", "aten::remainder", "aten::floor_divide", "aten::lcm"})
    if (name.rfind(start, 0) == 0) return true;
  return name.rfind("aten::div", 0) == 0 && name.find("_mode") != std::string::npos;
}

/** Whether an operand, as an integer of `type`, is `number` somewhere. */
bool holds(const c10::IValue& value, at::ScalarType type, int64_t number) {
  if (!value.isTensor())  // a number is cut to the bits that there are
    return value.isInt() && (type == at::kInt ? static_cast<int32_t>(value.toInt()) : value.toInt()) == number;
  const at::Tensor& tensor = value.toTensor();
  return at::isIntegralType(tensor.scalar_type(), false) && tensor.device().is_cpu() && tensor.layout() == at::kStrided &&
         (tensor.scalar_type() == type || number == -1) && tensor.eq(number).any().item().toBool();
}

/** @throws UsageError for the least integer divided by -1, at which the processor ends the process */
void checkDivision(const std::string& name, const torch::jit::Stack& stack) {
  const c10::IValue &dividend = stack[0], &divisor = stack[1];
  const c10::IValue& tensor = dividend.isTensor() ? dividend : divisor;
  if (!tensor.isTensor() || !tensor.toTensor().defined()) return;
  const at::ScalarType type = dividend.isTensor() && divisor.isTensor()
                                  ? at::result_type(dividend.toTensor(), divisor.toTensor())
                                  : tensor.toTensor().scalar_type();
  if (type != at::kLong && type != at::kInt) return;  // the smaller ones are computed in 32 bits
  const int64_t least = type == at::kLong ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int32_t>::min();
  const bool found = name.rfind("aten::lcm", 0) == 0  // the divisor is one of the two, or negative, at the least
                         ? holds(dividend, type, least) || holds(divisor, type, least)
                         : holds(divisor, type, -1) && holds(dividend, type, least);
  if (found)
    throw UsageError("expected no division of " + std::to_string(least) + " by -1, whose result " + scalarTypeName(type) +
                     " cannot hold");
}

/** Whether `name` is a decomposition that iterates until it converges: LAPACK's need not, where a number is infinite. */
bool iterates(const std::string& name) {
  for (const char* start : {"aten::linalg_svd", "aten::svd", "aten::linalg_pinv", "aten::pinverse", "aten::linalg_matrix_rank",
                            "aten::matrix_rank", "aten::linalg_cond", "aten::nuclear_norm", "aten::linalg_eigh",
                            "aten::linalg_eigvalsh", "aten::symeig", "aten::linalg_lstsq", "aten::linalg_norm",
                            "aten::linalg_matrix_norm"})
    if (name.rfind(start, 0) == 0) return true;
  return false;
}

/** Whether these arguments of a norm ask for singular values: the nuclear norm, or ±2 of matrices. */
bool takesSingularValues(const torch::jit::Stack& stack) {
  if (stack.size() < 2 || !stack[0].isTensor() || stack[0].toTensor().dim() < 2) return false;
  const c10::IValue& order = stack[1];
  if (order.isString()) return order.toStringRef() == "nuc";
  return order.isScalar() && std::abs(order.toScalar().to<double>()) == 2;
}

/** @throws UsageError for NaN or infinity in a decomposition, as PyTorch throws for NaN */
void checkFinite(const std::string& name, const torch::jit::Stack& stack) {
  const bool isNorm = name.rfind("aten::linalg_norm", 0) == 0 || name.rfind("aten::linalg_matrix_norm", 0) == 0;
  if (isNorm && !takesSingularValues(stack)) return;
  at::NoGradGuard noGrad;
  for (const c10::IValue& value : stack) {
    if (!value.isTensor() || !value.toTensor().defined()) continue;
    const at::Tensor& tensor = value.toTensor();
    if (!tensor.is_floating_point() || at::isfinite(tensor).all().item<bool>()) continue;
    throw UsageError("expected finite numbers to decompose, got NaN or infinity among " + describe(tensor));
  }
}

/** The tensor of an argument, null when it is none: then the ordinary way finds the words for it. */
const at::Tensor* tensorOf(Environment& state, const Napi::CallbackInfo& info, size_t at) {
  const Napi::Value value = info[at];
  return value.IsNumber() ? state.tensors.find(value.As<Napi::Number>().DoubleValue()) : nullptr;
}

/** Calls the direct form; false when there is none or the arguments do not fit it. */
bool callDirectly(const Operator& op, const Napi::CallbackInfo& info, Environment& state, at::Tensor& result) {
  if (op.unary && info.Length() == 2) {
    const at::Tensor* found = tensorOf(state, info, 1);
    if (!found) return false;
    const at::Tensor self(*found);
    result = op.unary->call(self);
    return true;
  }
  if ((op.binary || op.binaryScaled) && info.Length() == 3) {
    const at::Tensor *first = tensorOf(state, info, 1), *second = tensorOf(state, info, 2);
    if (!first || !second) return false;
    const at::Tensor self(*first), other(*second);
    result = op.binary ? op.binary->call(self, other) : op.binaryScaled->call(self, other, 1);
    return true;
  }
  return false;
}

Napi::Value findOperator(const Napi::CallbackInfo& info, Environment& state) {
  Napi::Env env = info.Env();
  if (!info[0].IsString() || !info[1].IsString()) throw UsageError("expected an operator name and an overload name");
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  const std::string overload = info[1].As<Napi::String>().Utf8Value();
  const std::string full = overload.empty() ? name : name + "." + overload;
  auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!handle) throw UsageError("unknown operator " + full);

  const c10::FunctionSchema& schema = handle->schema();
  const auto known = std::find_if(state.operators.begin(), state.operators.end(),
                                  [&](const Operator& op) { return op.name == full; });
  const auto index = known - state.operators.begin();
  if (known == state.operators.end()) {
    state.operators.push_back({*handle, full, {}, {}, {}, {}, dividesIntegers(full), iterates(full)});
    if (!state.operators.back().divides) findDirectForm(state.operators.back());
    findIntegers(state.operators.back());
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("index", Napi::Number::New(env, static_cast<double>(index)));
  Napi::Array arguments = Napi::Array::New(env);
  for (size_t i = 0; i < schema.arguments().size(); i++)
    arguments.Set(static_cast<uint32_t>(i), Napi::String::New(env, schema.arguments()[i].name()));
  result.Set("arguments", arguments);
  Napi::Array results = Napi::Array::New(env);
  for (size_t i = 0; i < schema.returns().size(); i++)
    results.Set(static_cast<uint32_t>(i), Napi::String::New(env, resultKind(schema.returns()[i].type())));
  result.Set("results", results);
  return result;
}

/** Every operator of the dispatcher's with its schema, `aten::relu(Tensor self) -> Tensor`. */
Napi::Value listSchemas(const Napi::CallbackInfo& info, Environment&) {
  std::vector<std::string> schemas;
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames())
    if (const auto handle = c10::Dispatcher::singleton().findSchema(name)) schemas.push_back(c10::toString(handle->schema()));
  std::sort(schemas.begin(), schemas.end());
  Napi::Array result = Napi::Array::New(info.Env(), schemas.size());
  for (size_t i = 0; i < schemas.size(); i++)
    result.Set(static_cast<uint32_t>(i), Napi::String::New(info.Env(), schemas[i]));
  return result;
}

Napi::Value callOperator(const Napi::CallbackInfo& info, Environment& state) {
  Napi::Env env = info.Env();
  if (!info[0].IsNumber()) throw UsageError("expected the index of an operator");
  const double index = info[0].As<Napi::Number>().DoubleValue();
  if (!(index >= 0) || index >= static_cast<double>(state.operators.size()) || std::trunc(index) != index)
    throw UsageError("expected the index of an operator");
  const Operator& op = state.operators[static_cast<size_t>(index)];
  const c10::FunctionSchema& schema = op.handle.schema();
  const auto& arguments = schema.arguments();

  try {
    at::Tensor direct;
    if (callDirectly(op, info, state, direct)) return fromTensor(env, state, std::move(direct));
    if (info.Length() - 1 > arguments.size())
      throw UsageError("expected at most " + std::to_string(arguments.size()) + " arguments, got " +
                       std::to_string(info.Length() - 1));
    torch::jit::Stack stack;
    stack.reserve(arguments.size());
    for (size_t i = 0; i < arguments.size(); i++) stack.push_back(toIValue(state, info[i + 1], arguments[i]));
    if (!op.integers.empty()) checkIntegers(op, stack);
    if (op.divides) checkDivision(op.name, stack);
    if (op.iterates) checkFinite(op.name, stack);
    op.handle.callBoxed(stack);
    if (stack.empty()) return env.Undefined();
    if (stack.size() == 1) return fromIValue(env, state, std::move(stack[0]));
    Napi::Array results = Napi::Array::New(env, stack.size());
    for (size_t i = 0; i < stack.size(); i++)
      results.Set(static_cast<uint32_t>(i), fromIValue(env, state, std::move(stack[i])));
    return results;
  } catch (const Napi::Error&) {
    throw;
  } catch (const UsageError& error) {
    throw makeError(env, op.name + ": " + error.what());
  } catch (const std::exception& error) {
    std::string given;
    for (size_t i = 1; i < info.Length(); i++)
      if (!info[i].IsUndefined())
        given += (given.empty() ? "" : ", ") + arguments[i - 1].name() + " " + describe(state, info[i]);
    throw makeError(env, op.name + ": " + messageOf(error) + " (called with " + given + ")");
  }
}

}  // namespace

void registerOperators(Napi::Env env, Napi::Object exports) {
  define(env, exports, "findOperator", findOperator);
  define(env, exports, "schemas", listSchemas);
  define(env, exports, "call", callOperator);
}

}  // namespace stopgrad
