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

Napi::Value findOperator(const Napi::CallbackInfo& info, Environment& state) {
  Napi::Env env = info.Env();
  if (!info[0].IsString() || !info[1].IsString()) throw UsageError("expected an operator name and an overload name");
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  const std::string overload = info[1].As<Napi::String>().Utf8Value();
  const std::string full = overload.empty() ? name : name + "." + overload;
  auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!handle) throw UsageError("unknown operator " + full);

  const c10::FunctionSchema& schema = handle->schema();
  state.operators.push_back({*handle, full});
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
  // A copy of the handle: a nested call could grow the vector.
  const Operator op = state.operators[static_cast<size_t>(index)];
  const c10::FunctionSchema& schema = op.handle.schema();
  const auto& arguments = schema.arguments();

  try {
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
