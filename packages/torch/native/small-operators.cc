// Operators of our own, `stopgrad::conv2d` and `stopgrad::max_pool2d`: libtorch's results for the shapes that small
// networks have, several times as fast on the CPU. (normalisation-operators.cc has those that fuse.)
//
// libtorch's kernels are made for many channels: with 3 in and 6 out they leave most of each vector empty, and its
// pooling of contiguous maps is scalar. Here a convolution of stride 1 is a sum of shifted planes: in a padded image with
// rows of S pixels, output position p = y S + x takes, for tap (channel, ky, kx), the pixel p + channel plane + ky S + kx.
// All positions, the few between rows included, are one long vector loop, and the sums of several output channels
// stay in registers over all taps (convolution-loops.h). The gradient of the input is the same product with the
// weights turned round; the gradient of the weights is a correlation of the same planes.
//
// Which operator takes which shape is decided here: everything else, and every differentiation beyond a first
// backward, goes to libtorch's own operators. Sums are ordered otherwise than in libtorch, so results agree to rounding.
#include "feature-maps.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>

namespace stopgrad {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/** Where measurements on LeNet5 to ResNet stems say that our loops win; see bench/. */
constexpr int64_t kMostInputs = 16;
constexpr int64_t kMostOutputs = 16;
constexpr int64_t kMostTaps = 512;
/** Images whose planes the correlation goes through before it takes the next taps: they stay in the second cache. */
constexpr int64_t kImagesTogether = 8;

/** Sizes of one convolution of stride 1, and its places in a padded image. */
struct Geometry {
  int64_t images, inputs, height, width, outputs, kernelHeight, kernelWidth, padHeight, padWidth;

  int64_t stride() const { return width + 2 * padWidth; }
  int64_t plane() const { return (height + 2 * padHeight) * stride(); }
  int64_t outHeight() const { return height + 2 * padHeight - kernelHeight + 1; }
  int64_t outWidth() const { return width + 2 * padWidth - kernelWidth + 1; }
  int64_t taps() const { return inputs * kernelHeight * kernelWidth; }
  /** Positions from the first output to the last, those between rows included. */
  int64_t positions() const { return (outHeight() - 1) * stride() + outWidth(); }
};

Geometry geometryOf(at::IntArrayRef input, at::IntArrayRef weight, at::IntArrayRef padding) {
  return {input[0], input[1], input[2], input[3], weight[0], weight[2], weight[3], padding[0], padding[padding.size() - 1]};
}

at::Tensor scratch(int64_t floats) { return at::empty({floats}, at::kFloat); }

/** Rows for one call of the loops: as even as can be, at most `most`. */
int64_t blockOf(int64_t rows, int64_t most) {
  const int64_t blocks = (rows + most - 1) / most;
  return (rows + blocks - 1) / blocks;
}

/** One image `[C, H, W]` into zero-bordered planes of row length `stride`. The border must be zero already. */
void intoPlanes(const float* image, float* planes, int64_t channels, int64_t height, int64_t width, int64_t stride,
                int64_t plane, int64_t top, int64_t left) {
  for (int64_t c = 0; c < channels; c++)
    for (int64_t y = 0; y < height; y++)
      std::copy_n(image + (c * height + y) * width, width, planes + c * plane + (y + top) * stride + left);
}

/** The other way: rows of length `width` out of rows of length `stride`. */
void outOfPlanes(const float* planes, float* image, int64_t channels, int64_t height, int64_t width, int64_t stride,
                 int64_t plane, int64_t top, int64_t left) {
  for (int64_t c = 0; c < channels; c++)
    for (int64_t y = 0; y < height; y++)
      std::copy_n(planes + c * plane + (y + top) * stride + left, width, image + (c * height + y) * width);
}

std::vector<int64_t> tapOffsets(const Geometry& g) {
  std::vector<int64_t> offsets;
  offsets.reserve(g.taps());
  for (int64_t c = 0; c < g.inputs; c++)
    for (int64_t y = 0; y < g.kernelHeight; y++)
      for (int64_t x = 0; x < g.kernelWidth; x++) offsets.push_back(c * g.plane() + y * g.stride() + x);
  return offsets;
}

/** `[rows, taps]` → `[block][tap][row of the block]`, as the product reads them. */
std::vector<float> packed(const float* weights, int64_t rows, int64_t taps, int64_t block) {
  std::vector<float> result(rows * taps);
  float* to = result.data();
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    for (int64_t t = 0; t < taps; t++)
      for (int64_t o = 0; o < count; o++) *to++ = weights[(first + o) * taps + t];
  }
  return result;
}

/** The product for every block of rows. */
void productOfBlocks(const Kernels& k, int64_t rows, int64_t block, const float* in, const std::vector<int64_t>& offsets,
                     const float* weights, const float* bias, float* out, int64_t outStride, int64_t count) {
  const auto taps = static_cast<int64_t>(offsets.size());
  for (int64_t first = 0; first < rows; first += block)
    k.product(static_cast<int>(std::min(block, rows - first)), in, offsets.data(), taps, weights + first * taps,
              bias + first, out + first * outStride, outStride, count);
}

at::Tensor convolveForward(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const Geometry& g) {
  const Kernels& k = *kernels();
  const int64_t block = blockOf(g.outputs, k.rows);
  const std::vector<int64_t> offsets = tapOffsets(g);
  const std::vector<float> weights = packed(weight.data_ptr<float>(), g.outputs, g.taps(), block);
  std::vector<float> shift(g.outputs, 0);
  if (bias.defined()) std::copy_n(bias.data_ptr<float>(), g.outputs, shift.data());
  at::Tensor result = at::empty({g.images, g.outputs, g.outHeight(), g.outWidth()}, input.options());
  const float* in = input.data_ptr<float>();
  float* out = result.data_ptr<float>();
  const int64_t inSize = g.inputs * g.height * g.width, outSize = g.outputs * g.outHeight() * g.outWidth();
  const int64_t outStride = roundedUp(g.positions(), k.lanes);
  at::parallel_for(0, g.images, 1, [&](int64_t begin, int64_t end) {
    at::Tensor planesTensor = scratch(g.inputs * g.plane() + kSlack), rowsTensor = scratch(g.outputs * outStride);
    float* planes = planesTensor.data_ptr<float>();
    float* rows = rowsTensor.data_ptr<float>();
    std::fill_n(planes, planesTensor.numel(), 0.0f);
    for (int64_t n = begin; n < end; n++) {
      intoPlanes(in + n * inSize, planes, g.inputs, g.height, g.width, g.stride(), g.plane(), g.padHeight, g.padWidth);
      productOfBlocks(k, g.outputs, block, planes, offsets, weights.data(), shift.data(), rows, outStride, g.positions());
      outOfPlanes(rows, out + n * outSize, g.outputs, g.outHeight(), g.outWidth(), g.stride(), outStride, 0, 0);
    }
  });
  return result;
}

at::Tensor inputGradient(const at::Tensor& gradient, const at::Tensor& weight, const Geometry& g) {
  const Kernels& k = *kernels();
  // Position q of the padded image takes weight (o, c, ky, kx) times output q - ky S - kx: with planes of outputs that
  // begin `lead` zeros late, offsets lead - ky S - kx, never negative.
  const int64_t lead = (g.kernelHeight - 1) * g.stride() + g.kernelWidth - 1;
  const int64_t plane = lead + roundedUp(g.plane(), k.lanes);
  const int64_t area = g.kernelHeight * g.kernelWidth;
  std::vector<int64_t> offsets;
  std::vector<float> turned(g.inputs * g.outputs * area);
  const float* w = weight.data_ptr<float>();
  for (int64_t o = 0; o < g.outputs; o++)
    for (int64_t y = 0; y < g.kernelHeight; y++)
      for (int64_t x = 0; x < g.kernelWidth; x++) {
        const auto tap = static_cast<int64_t>(offsets.size());
        for (int64_t c = 0; c < g.inputs; c++)
          turned[c * g.outputs * area + tap] = w[(o * g.inputs + c) * area + y * g.kernelWidth + x];
        offsets.push_back(o * plane + lead - y * g.stride() - x);
      }
  const auto taps = static_cast<int64_t>(offsets.size());
  const int64_t block = blockOf(g.inputs, k.rows);
  const std::vector<float> weights = packed(turned.data(), g.inputs, taps, block);
  const std::vector<float> shift(g.inputs, 0);
  at::Tensor result = at::empty({g.images, g.inputs, g.height, g.width}, gradient.options());
  const float* from = gradient.data_ptr<float>();
  float* to = result.data_ptr<float>();
  const int64_t inSize = g.inputs * g.height * g.width, outSize = g.outputs * g.outHeight() * g.outWidth();
  const int64_t rowStride = roundedUp(g.plane(), k.lanes);
  at::parallel_for(0, g.images, 1, [&](int64_t begin, int64_t end) {
    at::Tensor planesTensor = scratch(g.outputs * plane + kSlack), rowsTensor = scratch(g.inputs * rowStride);
    float* planes = planesTensor.data_ptr<float>();
    float* rows = rowsTensor.data_ptr<float>();
    std::fill_n(planes, planesTensor.numel(), 0.0f);
    for (int64_t n = begin; n < end; n++) {
      intoPlanes(from + n * outSize, planes + lead, g.outputs, g.outHeight(), g.outWidth(), g.stride(), plane, 0, 0);
      productOfBlocks(k, g.inputs, block, planes, offsets, weights.data(), shift.data(), rows, rowStride, g.plane());
      outOfPlanes(rows, to + n * inSize, g.inputs, g.height, g.width, g.stride(), rowStride, g.padHeight, g.padWidth);
    }
  });
  return result;
}

at::Tensor weightGradient(const at::Tensor& gradient, const at::Tensor& input, const Geometry& g) {
  const Kernels& k = *kernels();
  const std::vector<int64_t> offsets = tapOffsets(g);
  const int64_t block = blockOf(g.outputs, k.rows);
  const int64_t size = g.outputs * g.taps();
  const int64_t inSize = g.inputs * g.height * g.width, outSize = g.outputs * g.outHeight() * g.outWidth();
  const int64_t count = roundedUp(g.positions(), k.lanes);
  const int64_t planesPerImage = g.inputs * g.plane() + kSlack, rowsPerImage = g.outputs * count;
  const int64_t groups = (g.images + kImagesTogether - 1) / kImagesTogether;
  // A partial sum for each thread's share, added in the shares' order: the same bits for the same number of threads.
  const int64_t shares = std::min<int64_t>(groups, at::get_num_threads());
  at::Tensor partial = at::zeros({shares, g.outputs, g.inputs, g.kernelHeight, g.kernelWidth}, gradient.options());
  const float* from = gradient.data_ptr<float>();
  const float* in = input.data_ptr<float>();
  float* sums = partial.data_ptr<float>();
  at::parallel_for(0, shares, 1, [&](int64_t begin, int64_t end) {
    at::Tensor planesTensor = scratch(kImagesTogether * planesPerImage), rowsTensor = scratch(kImagesTogether * rowsPerImage);
    float* planes = planesTensor.data_ptr<float>();
    float* rows = rowsTensor.data_ptr<float>();
    std::fill_n(planes, planesTensor.numel(), 0.0f);
    std::fill_n(rows, rowsTensor.numel(), 0.0f);
    for (int64_t share = begin; share < end; share++)
      for (int64_t group = groups * share / shares; group < groups * (share + 1) / shares; group++) {
        const int64_t first = group * kImagesTogether, images = std::min(kImagesTogether, g.images - first);
        for (int64_t n = 0; n < images; n++) {
          intoPlanes(in + (first + n) * inSize, planes + n * planesPerImage, g.inputs, g.height, g.width, g.stride(),
                     g.plane(), g.padHeight, g.padWidth);
          intoPlanes(from + (first + n) * outSize, rows + n * rowsPerImage, g.outputs, g.outHeight(), g.outWidth(),
                     g.stride(), count, 0, 0);
        }
        for (int64_t o = 0; o < g.outputs; o += block)
          k.correlation(static_cast<int>(std::min(block, g.outputs - o)), rows + o * count, count, rowsPerImage, planes,
                        planesPerImage, offsets.data(), g.taps(), images, count, sums + share * size + o * g.taps());
      }
  });
  if (shares == 1) return partial.select(0, 0);
  return partial.sum(0);
}

/** A convolution of stride 1 of few channels. */
struct DirectConvolution : torch::autograd::Function<DirectConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const c10::optional<at::Tensor>& bias, const std::vector<int64_t>& padding) {
    context->save_for_backward({input, weight});
    context->saved_data["padding"] = padding;
    context->saved_data["bias"] = bias.has_value();
    return convolveForward(input, weight, orNone(bias), geometryOf(input.sizes(), weight.sizes(), padding));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const std::vector<int64_t> padding = context->saved_data["padding"].toIntVector();
    const bool biased = context->saved_data["bias"].toBool();
    const std::vector<bool> wants = wanted(context, {true, true, biased});
    at::Tensor result[3];
    if (!gradients[0].defined()) return {result[0], result[1], result[2], at::Tensor()};
    if (at::GradMode::is_enabled()) {
      const std::vector<int64_t> one{1, 1}, none{0, 0}, biasSizes{weight.size(0)};
      std::tie(result[0], result[1], result[2]) =
          at::convolution_backward(gradients[0], input, weight, biased ? at::OptionalIntArrayRef(biasSizes) : c10::nullopt,
                                   one, padding, one, false, none, 1, {wants[0], wants[1], wants[2]});
    } else {
      const at::Tensor gradient = laidOut(gradients[0], at::kFloat, at::MemoryFormat::Contiguous);
      const Geometry g = geometryOf(input.sizes(), weight.sizes(), padding);
      if (wants[0]) result[0] = inputGradient(gradient, weight, g);
      if (wants[1]) result[1] = weightGradient(gradient, input, g);
      if (wants[2]) result[2] = gradient.sum({0, 2, 3});
    }
    return {result[0], result[1], result[2], at::Tensor()};
  }
};

bool all(at::IntArrayRef values, int64_t wanted) {
  return std::all_of(values.begin(), values.end(), [wanted](int64_t value) { return value == wanted; });
}

bool takesConvolution(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, at::IntArrayRef stride,
                      at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
  if (!kernels() || groups != 1 || !all(stride, 1) || !all(dilation, 1) || padding.empty() || padding.size() > 2) return false;
  if (!plainFloat(input, 4) || !plainFloat(weight, 4) || input.size(1) != weight.size(1)) return false;
  if (bias.defined() && (!plainFloat(bias, 1) || bias.size(0) != weight.size(0))) return false;
  const Geometry g = geometryOf(input.sizes(), weight.sizes(), padding);
  if (g.inputs > kMostInputs || g.outputs > kMostOutputs || g.taps() > kMostTaps) return false;
  if (g.padHeight < 0 || g.padWidth < 0 || g.outHeight() < 1 || g.outWidth() < 1) return false;
  if (g.padHeight >= g.kernelHeight || g.padWidth >= g.kernelWidth) return false;
  return !autocasting() && !watched(input) && !watched(weight) && !watched(bias);
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
  const at::Tensor shift = orNone(bias);
  if (!takesConvolution(input, weight, shift, stride, padding, dilation, groups))
    return at::conv2d(input, weight, bias, stride, padding, dilation, groups);
  return DirectConvolution::apply(input, weight, ifDefined(shift), padding.vec());
}

/** Pooling of 2x2 windows that do not overlap, without padding. */
struct PairPooling : torch::autograd::Function<PairPooling> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input) {
    context->save_for_backward({input});
    const int64_t height = input.size(2), width = input.size(3), maps = input.size(0) * input.size(1);
    at::Tensor result = at::empty({input.size(0), input.size(1), height / 2, width / 2}, input.options());
    const float* in = input.data_ptr<float>();
    float* out = result.data_ptr<float>();
    const Kernels& k = *kernels();
    at::parallel_for(0, maps, 64, [&](int64_t begin, int64_t end) {
      for (int64_t map = begin; map < end; map++)
        for (int64_t y = 0; y < height / 2; y++) {
          const float* row = in + (map * height + 2 * y) * width;
          k.poolRows(row, row + width, out + (map * (height / 2) + y) * (width / 2), width / 2);
        }
    });
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor input = context->get_saved_variables()[0];
    if (!gradients[0].defined()) return {at::Tensor()};
    if (at::GradMode::is_enabled()) {
      const std::vector<int64_t> two{2, 2}, none{0, 0}, one{1, 1};
      const at::Tensor places = std::get<1>(at::max_pool2d_with_indices(input, two, two));
      return {at::max_pool2d_with_indices_backward(gradients[0], input, two, two, none, one, false, places)};
    }
    const at::Tensor gradient = laidOut(gradients[0], at::kFloat, at::MemoryFormat::Contiguous);
    const int64_t height = input.size(2), width = input.size(3), maps = input.size(0) * input.size(1);
    // A last odd row or column belongs to no window.
    at::Tensor result = height % 2 || width % 2 ? at::zeros_like(input) : at::empty_like(input);
    const float *in = input.data_ptr<float>(), *from = gradient.data_ptr<float>();
    float* to = result.data_ptr<float>();
    const Kernels& k = *kernels();
    at::parallel_for(0, maps, 64, [&](int64_t begin, int64_t end) {
      for (int64_t map = begin; map < end; map++)
        for (int64_t y = 0; y < height / 2; y++) {
          const int64_t row = (map * height + 2 * y) * width;
          k.poolRowsBackward(in + row, in + row + width, from + (map * (height / 2) + y) * (width / 2), to + row,
                             to + row + width, width / 2);
        }
    });
    return {result};
  }
};

at::Tensor maxPool(const at::Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride, at::IntArrayRef padding,
                   at::IntArrayRef dilation, bool ceilMode) {
  const bool ours = kernels() && !kernel.empty() && all(kernel, 2) && all(stride, 2) && all(padding, 0) &&
                    all(dilation, 1) && !ceilMode && kernel.size() <= 2 && stride.size() <= 2 &&
                    plainFloat(input, 4) && input.size(2) >= 2 && input.size(3) >= 2 && !watched(input);
  if (!ours) return at::max_pool2d(input, kernel, stride, padding, dilation, ceilMode);
  return PairPooling::apply(input);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(stopgrad, library) {
  library.def(
      "conv2d(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, int[2] dilation=1, "
      "int groups=1) -> Tensor",
      &convolution);
  library.def(
      "max_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, "
      "bool ceil_mode=False) -> Tensor",
      &maxPool);
}

}  // namespace stopgrad
