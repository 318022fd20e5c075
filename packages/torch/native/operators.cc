// Any libtorch operator by name: found once in the dispatcher, then called through its boxed kernel.
#include "native.h"

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
  state.operators.push_back({*handle, full, {}, {}, {}});
  findDirectForm(state.operators.back());
  Napi::Object result = Napi::Object::New(env);
  result.Set("index", Napi::Number::New(env, static_cast<double>(state.operators.size() - 1)));
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
  define(env, exports, "call", callOperator);
}

}  // namespace stopgrad
