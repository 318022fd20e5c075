// The operator `stopgrad::centred_gram`: inner products of all pairs of samples less their mean, in float64, which is
// nearly all the time of nHSIC, HSIC and CKA.
//
// From libtorch's operators it takes a float64 copy of the samples, a mean, a difference and a product of which one half
// is the other: several ways through memory, and twice the arithmetic. Here some features of all samples at a time are
// widened, centred and multiplied while they are in the cache, one half of the pairs only (gram-loops.h).
//
// The order of features does not matter to an inner product, so that a sample is read as it lies in memory: maps in
// channels-last format need no copy. Features are divided into parts that depend on their number alone, each with sums of
// its own, which are added in order: results have the same bits for any number of threads.
#include "feature-maps.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/library.h>

#include <algorithm>

namespace stopgrad {

namespace {

/** Features at a time: panels of a tile stay in the first cache, all panels of 128 samples in the second. */
constexpr int64_t kFeatures = 128;
/** Beyond, a matrix product is as quick and needs no sums of its own for each part. */
constexpr int64_t kMostSamples = 1024;
/** Numbers that the sums of all parts hold together, if they are at least `kFewestParts`. */
constexpr int64_t kMostSums = 1 << 21;
constexpr int64_t kMostParts = 16;
constexpr int64_t kFewestParts = 4;

/** What one part of the features works with: some features of all samples, as they are and as panels. */
template <typename T>
struct Block {
  Block(int64_t samples)
      : copy(at::empty({samples, kFeatures}, c10::CppTypeToScalarType<T>::value)),
        panels(at::empty({roundedUp(samples, kPanel), kFeatures}, at::kDouble)) {}

  at::Tensor copy, panels;
  double shift[kFeatures], mean[kFeatures];
};

/** Adds the products of `count` features, at most `kFeatures`, to `sums`. */
template <typename T>
void addFeatures(const GramKernels<T>& k, const T* from, int64_t features, int64_t samples, int64_t count, Block<T>& block,
                 double* sums) {
  const int64_t padded = roundedUp(count, kPanel);
  T* copy = block.copy.template data_ptr<T>();
  // Less the first sample first, so that equal samples leave no rounding error of their mean.
  for (int64_t f = 0; f < padded; f++) block.shift[f] = f < count ? static_cast<double>(from[f]) : 0;
  if (count == padded) {
    k.sumRows(from, features, samples, count, block.shift, copy, block.mean);
  } else {
    for (int64_t s = 0; s < samples; s++)
      for (int64_t f = 0; f < padded; f++) copy[s * padded + f] = f < count ? from[s * features + f] : T(0);
    k.sumRows(copy, padded, samples, padded, block.shift, copy, block.mean);
  }
  for (int64_t f = 0; f < padded; f++) block.mean[f] /= static_cast<double>(samples);
  double* panels = block.panels.template data_ptr<double>();
  k.packPanels(copy, padded, samples, padded, block.shift, block.mean, panels);
  k.gram(panels, roundedUp(samples, kPanel) / kPanel, padded, sums);
}

/** @param rows - `[N, …]`, a sample's features side by side in any order */
template <typename T>
at::Tensor gramOf(const GramKernels<T>& k, const at::Tensor& rows) {
  const int64_t samples = rows.size(0), features = rows.numel() / samples;
  const int64_t side = roundedUp(samples, kPanel), blocks = (features + kFeatures - 1) / kFeatures;
  const int64_t parts = std::min(blocks, std::max(kFewestParts, std::min(kMostParts, kMostSums / (side * side))));
  const at::Tensor sums = at::zeros({parts, side, side}, at::kDouble);
  const T* from = rows.data_ptr<T>();
  double* to = sums.data_ptr<double>();
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    Block<T> block(samples);
    for (int64_t part = begin; part < end; part++)
      for (int64_t at = blocks * part / parts; at < blocks * (part + 1) / parts; at++)
        addFeatures(k, from + at * kFeatures, features, samples, std::min(kFeatures, features - at * kFeatures), block,
                    to + part * side * side);
  });
  at::Tensor result = at::empty({samples, samples}, at::kDouble);
  double* out = result.data_ptr<double>();
  for (int64_t i = 0; i < samples; i++)
    for (int64_t j = 0; j <= i; j++) {
      double sum = 0;
      for (int64_t part = 0; part < parts; part++) sum += to[(part * side + j) * side + i];
      out[i * samples + j] = out[j * samples + i] = sum;
    }
  return result;
}

/** Differentiable, on any device, of any number of samples. */
at::Tensor gramOfLibtorch(const at::Tensor& rows) {
  at::Tensor wide = rows.reshape({rows.size(0), -1}).to(at::kDouble);
  // Out of place, for these may be the caller's own numbers.
  wide = wide - wide.narrow(0, 0, 1);
  const at::Tensor mean = wide.mean(0, true);
  wide = at::GradMode::is_enabled() ? wide - mean : wide.sub_(mean);
  return at::mm(wide, wide.t());
}

/** Samples one after the other, none with gaps in it. */
bool denseSamples(const at::Tensor& rows) {
  return rows.is_non_overlapping_and_dense() && (rows.size(0) == 1 || rows.stride(0) == rows.numel() / rows.size(0));
}

bool exactInFloat(at::ScalarType type) {
  return type != at::kDouble && type != at::kInt && type != at::kLong;
}

at::Tensor centredGram(const at::Tensor& rows) {
  TORCH_CHECK(rows.dim() > 0 && rows.numel() > 0, "expected samples [N, ...] with at least one feature, got ",
              rows.sizes());
  TORCH_CHECK(at::isFloatingType(rows.scalar_type()) || at::isIntegralType(rows.scalar_type(), true),
              "expected real numbers, got ", rows.scalar_type());
  const bool ours = kernels() && atHand(rows) && rows.size(0) <= kMostSamples && !watched(rows) &&
                    !(rows.requires_grad() && at::GradMode::is_enabled());
  if (!ours) return gramOfLibtorch(rows);
  const at::Tensor dense = denseSamples(rows) ? rows : rows.contiguous();
  if (!exactInFloat(dense.scalar_type())) return gramOf(kernels()->doubleGram, dense.to(at::kDouble));
  return gramOf(kernels()->floatGram, dense.to(at::kFloat));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(stopgrad, library) { library.def("centred_gram(Tensor self) -> Tensor", &centredGram); }

}  // namespace stopgrad
