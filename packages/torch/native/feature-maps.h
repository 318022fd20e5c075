// What our own operators ask of a feature map before they take it, and how it lies in memory.
#pragma once

#include "native.h"

#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "kernels.h"

namespace stopgrad {

/** True while something other than plain reverse-mode differentiation watches operators. */
inline bool watched(const at::Tensor& tensor) { return tensor.defined() && tensor._fw_grad(0).defined(); }

inline bool autocasting() { return !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutocastCPU); }

/** A dense tensor on the CPU, its elements at hand. */
inline bool atHand(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().is_cpu() && tensor.layout() == at::kStrided && !tensor.is_neg() &&
         !tensor._is_zerotensor() && !tensor.unsafeGetTensorImpl()->is_python_dispatch() && tensor.numel() > 0;
}

/** float32, contiguous, of so many dimensions. */
inline bool plainFloat(const at::Tensor& tensor, int64_t dimensions) {
  return atHand(tensor) && tensor.dim() == dimensions && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

/** How a map `[N, C, …]` lies in memory: channel by channel, or pixel by pixel ("channels last"). */
enum class Layout { runs, rows, other };

inline Layout layoutOf(const at::Tensor& map) {
  if (map.is_contiguous()) return map.dim() > 2 ? Layout::runs : Layout::rows;
  if (map.dim() == 4 && map.is_contiguous(at::MemoryFormat::ChannelsLast)) return Layout::rows;
  return Layout::other;
}

inline at::MemoryFormat formatOf(const at::Tensor& map) {
  return map.is_contiguous() ? at::MemoryFormat::Contiguous : at::MemoryFormat::ChannelsLast;
}

/** float32 or bfloat16 in a layout that the loops know. */
inline bool mapAtHand(const at::Tensor& map) {
  return atHand(map) && map.dim() >= 2 && (map.scalar_type() == at::kFloat || map.scalar_type() == at::kBFloat16) &&
         layoutOf(map) != Layout::other;
}

/** A tensor that may be absent, as autograd's functions take it. */
inline c10::optional<at::Tensor> ifDefined(const at::Tensor& tensor) {
  return tensor.defined() ? c10::optional<at::Tensor>(tensor) : c10::nullopt;
}

inline at::Tensor orNone(const c10::optional<at::Tensor>& tensor) { return tensor.has_value() ? *tensor : at::Tensor(); }

/**
 * Which of a function's tensor arguments want a gradient: autograd numbers those that are there, `present` says which.
 */
inline std::vector<bool> wanted(torch::autograd::AutogradContext* context, const std::vector<bool>& present) {
  std::vector<bool> result;
  size_t edge = 0;
  for (const bool there : present) result.push_back(there && context->needs_input_grad(edge++));
  return result;
}

/** A gradient with its elements at hand, in a type and a layout: copied when it is not so. */
inline at::Tensor laidOut(const at::Tensor& gradient, at::ScalarType type, at::MemoryFormat format) {
  if (gradient._is_zerotensor()) return at::zeros(gradient.sizes(), gradient.options().dtype(type).memory_format(format));
  return gradient.to(type).resolve_neg().contiguous(format);
}

template <typename T>
T* data(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

/** Calls `body` with a value of the element's type: float, or uint16_t for bfloat16. */
template <typename Body>
void forElement(const at::Tensor& map, Body body) {
  if (map.scalar_type() == at::kFloat)
    body(float());
  else
    body(uint16_t());
}

}  // namespace stopgrad
