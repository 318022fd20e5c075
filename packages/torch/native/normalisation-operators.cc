// Operators of our own that go over feature maps fewer times than libtorch's, in float32 and bfloat16, channel by channel
// or channels last: batch norm with residual and rectifier in one, mean pooling of windows that do not overlap, and a
// dropout that remembers a seed instead of a mask.
//
// A normalised, added-to and rectified map is read once and written once; between forward and backward only the input,
// the output and two numbers a channel are kept. Whatever the loops do not take, and every differentiation beyond a first
// backward, is put together from libtorch's operators.
#include "feature-maps.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <mutex>

namespace stopgrad {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using OptionalTensor = c10::optional<at::Tensor>;

/** Pixels that one task takes at least. */
constexpr int64_t kPixelsTogether = 2048;

/** A map `[N, C, …]` as the loops see it. */
struct Map {
  int64_t images, channels, pixels;
  Layout layout;

  explicit Map(const at::Tensor& map)
      : images(map.size(0)), channels(map.size(1)), pixels(map.numel() / (map.size(0) * map.size(1))), layout(layoutOf(map)) {}

  int64_t perChannel() const { return images * pixels; }
};

/** Two float64 sums a channel, `body(sums of the first kind, of the second)` for each task's share, added in order. */
template <typename Channelwise, typename Rowwise>
void sumUp(const Map& map, std::vector<double>& first, std::vector<double>& second, Channelwise ofChannel, Rowwise ofRows) {
  first.assign(map.channels, 0), second.assign(map.channels, 0);
  if (map.layout == Layout::runs) {
    at::parallel_for(0, map.channels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; c++) {
        double sums[2] = {0, 0};
        ofChannel(c, sums);
        first[c] = sums[0], second[c] = sums[1];
      }
    });
    return;
  }
  // Shares depend on the number of threads alone, so that the same number gives the same bits.
  const int64_t rows = map.perChannel();
  const int64_t shares = std::clamp<int64_t>(rows / kPixelsTogether, 1, at::get_num_threads());
  std::vector<std::vector<double>> parts(2 * shares, std::vector<double>(map.channels, 0));
  at::parallel_for(0, shares, 1, [&](int64_t begin, int64_t end) {
    for (int64_t share = begin; share < end; share++) {
      const int64_t from = rows * share / shares, to = rows * (share + 1) / shares;
      ofRows(from, to - from, parts[2 * share].data(), parts[2 * share + 1].data());
    }
  });
  for (int64_t share = 0; share < shares; share++)
    for (int64_t c = 0; c < map.channels; c++) first[c] += parts[2 * share][c], second[c] += parts[2 * share + 1][c];
}

/** Calls `ofRun(channel, begin)` for every run, or `ofRows(first row, rows)` for shares of the rows. */
template <typename Runwise, typename Rowwise>
void forAll(const Map& map, Runwise ofRun, Rowwise ofRows) {
  if (map.layout == Layout::runs)
    at::parallel_for(0, map.images * map.channels, 1 + kPixelsTogether / map.pixels, [&](int64_t begin, int64_t end) {
      for (int64_t run = begin; run < end; run++) ofRun(run % map.channels, run * map.pixels);
    });
  else
    at::parallel_for(0, map.perChannel(), kPixelsTogether, [&](int64_t begin, int64_t end) { ofRows(begin, end - begin); });
}

/** Mean and biased variance of every channel, float64. */
template <typename T>
void momentsOf(const MapKernels<T>& k, const Map& map, const T* x, std::vector<double>& mean, std::vector<double>& variance) {
  // Sums of squares are taken around the mean of a first stretch, near enough to the whole's that nothing cancels.
  std::vector<float> shift(map.channels, 0);
  const std::vector<float> none(map.channels, 0);
  std::vector<double> square(map.channels, 0);
  mean.assign(map.channels, 0);
  if (map.layout == Layout::runs) {
    for (int64_t c = 0; c < map.channels; c++) {
      double sums[2] = {0, 0};
      k.momentsOfRuns(x + c * map.pixels, 1, 0, map.pixels, 0, sums);
      shift[c] = static_cast<float>(sums[0] / map.pixels);
    }
  } else {
    const int64_t some = std::min<int64_t>(map.perChannel(), 64);
    k.momentsOfRows(x, some, map.channels, none.data(), mean.data(), square.data());
    for (int64_t c = 0; c < map.channels; c++) shift[c] = static_cast<float>(mean[c] / some);
  }
  sumUp(
      map, mean, square,
      [&](int64_t c, double* sums) {
        k.momentsOfRuns(x + c * map.pixels, map.images, map.channels * map.pixels, map.pixels, shift[c], sums);
      },
      [&](int64_t from, int64_t rows, double* sums, double* squares) {
        k.momentsOfRows(x + from * map.channels, rows, map.channels, shift.data(), sums, squares);
      });
  variance.resize(map.channels);
  const auto count = static_cast<double>(map.perChannel());
  for (int64_t c = 0; c < map.channels; c++) {
    const double offset = mean[c] / count;
    variance[c] = std::max(0.0, square[c] / count - offset * offset);
    mean[c] = shift[c] + offset;
    if (std::isnan(square[c])) variance[c] = square[c];
  }
}

struct NormSettings {
  bool training, rectify;
  double epsilon;
};

/** Batch norm, the residual added, rectified if asked: `[N, C, …]`. */
struct FusedBatchNorm : torch::autograd::Function<FusedBatchNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const OptionalTensor& weightGiven,
                            const OptionalTensor& biasGiven, const OptionalTensor& residualGiven,
                            const OptionalTensor& meanGiven, const OptionalTensor& varianceGiven, bool training,
                            double momentum, double epsilon, bool rectify) {
    const at::Tensor weight = orNone(weightGiven), bias = orNone(biasGiven), residual = orNone(residualGiven),
                     runningMean = orNone(meanGiven), runningVariance = orNone(varianceGiven);
    const Map map(input);
    at::Tensor saved = at::empty({2, map.channels}, input.options().dtype(at::kFloat).memory_format(at::MemoryFormat::Contiguous));
    float *mean = data<float>(saved), *inverse = mean + map.channels;
    std::vector<float> scale(map.channels), shift(map.channels);
    at::Tensor output = at::empty_like(input);
    forElement(input, [&](auto element) {
      using T = decltype(element);
      const MapKernels<T>& k = kernels()->maps(element);
      const T* x = data<T>(input);
      if (training) {
        std::vector<double> means, variances;
        momentsOf(k, map, x, means, variances);
        const auto count = static_cast<double>(map.perChannel());
        for (int64_t c = 0; c < map.channels; c++) {
          mean[c] = static_cast<float>(means[c]);
          inverse[c] = static_cast<float>(1 / std::sqrt(variances[c] + epsilon));
        }
        if (runningMean.defined()) {
          float *m = data<float>(runningMean), *v = data<float>(runningVariance);
          for (int64_t c = 0; c < map.channels; c++) {
            m[c] = static_cast<float>(momentum * means[c] + (1 - momentum) * m[c]);
            v[c] = static_cast<float>(momentum * variances[c] * count / (count - 1) + (1 - momentum) * v[c]);
          }
          runningMean.unsafeGetTensorImpl()->bump_version();
          runningVariance.unsafeGetTensorImpl()->bump_version();
        }
      } else {
        const float *m = data<float>(runningMean), *v = data<float>(runningVariance);
        for (int64_t c = 0; c < map.channels; c++) {
          mean[c] = m[c];
          inverse[c] = static_cast<float>(1 / std::sqrt(static_cast<double>(v[c]) + epsilon));
        }
      }
      for (int64_t c = 0; c < map.channels; c++) {
        scale[c] = inverse[c] * (weight.defined() ? data<float>(weight)[c] : 1);
        shift[c] = bias.defined() ? data<float>(bias)[c] : 0;
      }
      const T* added = residual.defined() ? data<T>(residual) : nullptr;
      T* y = data<T>(output);
      forAll(
          map,
          [&](int64_t c, int64_t at) {
            k.normaliseRun(x + at, added ? added + at : nullptr, y + at, map.pixels, mean[c], scale[c], shift[c], rectify);
          },
          [&](int64_t from, int64_t rows) {
            const int64_t at = from * map.channels;
            k.normaliseRows(x + at, added ? added + at : nullptr, y + at, rows, map.channels, mean, scale.data(),
                            shift.data(), rectify);
          });
    });
    context->save_for_backward({input, weight, saved, rectify ? output : at::Tensor()});
    context->saved_data["residual"] = residual.defined();
    context->saved_data["bias"] = bias.defined();
    context->saved_data["training"] = training;
    context->saved_data["epsilon"] = epsilon;
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list kept = context->get_saved_variables();
    const at::Tensor &input = kept[0], &weight = kept[1], &saved = kept[2], &output = kept[3];
    const bool training = context->saved_data["training"].toBool();
    const std::vector<bool> wants = wanted(
        context, {true, weight.defined(), context->saved_data["bias"].toBool(), context->saved_data["residual"].toBool()});
    const bool wantsInput = wants[0], wantsWeight = wants[1], wantsBias = wants[2], wantsResidual = wants[3];
    variable_list result(10);
    if (!gradients[0].defined()) return result;
    if (at::GradMode::is_enabled()) {
      at::Tensor passed = gradients[0];
      if (output.defined()) passed = at::where(output.le(0), at::zeros_like(passed), passed);
      const double epsilon = context->saved_data["epsilon"].toDouble();
      const at::Tensor inverse = saved[1], variance = inverse.pow(-2).sub(epsilon);
      std::tie(result[0], result[1], result[2]) = at::native_batch_norm_backward(
          passed.contiguous(), input.contiguous(), weight, saved[0], variance, saved[0], inverse, training, epsilon,
          {true, weight.defined(), true});
      if (!wantsInput) result[0] = at::Tensor();
      if (!wantsWeight) result[1] = at::Tensor();
      if (!wantsBias) result[2] = at::Tensor();
      if (wantsResidual) result[3] = passed;
      return result;
    }
    const Map map(input);
    at::Tensor gradient = laidOut(gradients[0], input.scalar_type(), formatOf(input));
    const float *mean = data<float>(saved), *inverse = mean + map.channels;
    forElement(input, [&](auto element) {
      using T = decltype(element);
      const MapKernels<T>& k = kernels()->maps(element);
      const T *g = data<T>(gradient), *x = data<T>(input), *y = output.defined() ? data<T>(output) : nullptr;
      // Only a residual that wants it, and has something taken away by the rectifier, needs the passed gradient as a map.
      T* passed = nullptr;
      if (wantsResidual) {
        result[3] = y ? at::empty_like(input) : gradient;
        if (y) passed = data<T>(result[3]);
      }
      std::vector<double> sums, dots;
      sumUp(
          map, sums, dots,
          [&](int64_t c, double* both) {
            const int64_t at = c * map.pixels;
            k.gradientSumsOfRuns(g + at, y ? y + at : nullptr, x + at, passed ? passed + at : nullptr, map.images,
                                 map.channels * map.pixels, map.pixels, mean[c], both);
          },
          [&](int64_t from, int64_t rows, double* sum, double* dot) {
            const int64_t at = from * map.channels;
            k.gradientSumsOfRows(g + at, y ? y + at : nullptr, x + at, passed ? passed + at : nullptr, rows,
                                 map.channels, mean, sum, dot);
          });
      const at::TensorOptions options = input.options().dtype(at::kFloat).memory_format(at::MemoryFormat::Contiguous);
      if (wantsWeight) {
        result[1] = at::empty({map.channels}, options);
        for (int64_t c = 0; c < map.channels; c++) data<float>(result[1])[c] = static_cast<float>(dots[c] * inverse[c]);
      }
      if (wantsBias) {
        result[2] = at::empty({map.channels}, options);
        for (int64_t c = 0; c < map.channels; c++) data<float>(result[2])[c] = static_cast<float>(sums[c]);
      }
      if (!wantsInput) return;
      std::vector<float> scale(map.channels), slope(map.channels, 0), offset(map.channels, 0);
      const auto count = static_cast<double>(map.perChannel());
      for (int64_t c = 0; c < map.channels; c++) {
        const double a = static_cast<double>(inverse[c]) * (weight.defined() ? data<float>(weight)[c] : 1);
        scale[c] = static_cast<float>(a);
        if (!training) continue;
        slope[c] = static_cast<float>(-a * inverse[c] * inverse[c] * dots[c] / count);
        offset[c] = static_cast<float>(-a * sums[c] / count);
      }
      if (passed) g = passed, y = nullptr;
      result[0] = at::empty_like(input);
      T* to = data<T>(result[0]);
      forAll(
          map,
          [&](int64_t c, int64_t at) {
            k.gradientOfRun(g + at, y ? y + at : nullptr, x + at, to + at, map.pixels, mean[c], scale[c], slope[c], offset[c]);
          },
          [&](int64_t from, int64_t rows) {
            const int64_t at = from * map.channels;
            k.gradientOfRows(g + at, y ? y + at : nullptr, x + at, to + at, rows, map.channels, mean, scale.data(),
                             slope.data(), offset.data());
          });
    });
    return result;
  }
};

/** Absent, or so many float32 in a row. */
bool perChannel(const at::Tensor& tensor, int64_t channels) {
  return !tensor.defined() || (plainFloat(tensor, 1) && tensor.size(0) == channels && !watched(tensor));
}

at::Tensor batchNorm(const at::Tensor& input, const OptionalTensor& weightGiven, const OptionalTensor& biasGiven,
                     const OptionalTensor& meanGiven, const OptionalTensor& varianceGiven, const OptionalTensor& residualGiven,
                     bool training, double momentum, double epsilon, bool rectify) {
  const at::Tensor weight = orNone(weightGiven), bias = orNone(biasGiven), mean = orNone(meanGiven),
                   variance = orNone(varianceGiven), residual = orNone(residualGiven);
  const int64_t channels = input.dim() >= 2 ? input.size(1) : 0;
  const bool ours = kernels() && mapAtHand(input) && !watched(input) && perChannel(weight, channels) &&
                    perChannel(bias, channels) && perChannel(mean, channels) && perChannel(variance, channels) &&
                    mean.defined() == variance.defined() && (training || mean.defined()) &&
                    (!training || input.numel() > channels) &&
                    (!residual.defined() ||
                     (mapAtHand(residual) && !watched(residual) && residual.scalar_type() == input.scalar_type() &&
                      residual.sizes() == input.sizes() && residual.is_contiguous(formatOf(input))));
  if (ours)
    return FusedBatchNorm::apply(input, ifDefined(weight), ifDefined(bias), ifDefined(residual), ifDefined(mean),
                                 ifDefined(variance), training, momentum, epsilon, rectify);
  at::Tensor result =
      at::batch_norm(input, weight, bias, mean, variance, training, momentum, epsilon, at::globalContext().userEnabledCuDNN());
  if (residual.defined()) {
    if (residual.sizes() != input.sizes())
      throw UsageError("expected 'residual' to have the input's shape, got " + describe(residual) + " beside " + describe(input));
    result = result.add(residual);
  }
  return rectify ? result.relu() : result;
}

/** Means of windows `height` x `width` that do not overlap and cover the map. */
struct WindowMeans : torch::autograd::Function<WindowMeans> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, int64_t height, int64_t width) {
    context->save_for_backward({});
    context->saved_data["sizes"] = input.sizes().vec();
    context->saved_data["kernel"] = std::vector<int64_t>{height, width};
    context->saved_data["channelsLast"] = formatOf(input) == at::MemoryFormat::ChannelsLast;
    at::Tensor result = at::empty({input.size(0), input.size(1), input.size(2) / height, input.size(3) / width},
                                  input.options().memory_format(formatOf(input)));
    each(result, input, height, width, [](const auto& k, auto* out, auto* x, auto... rest) { k.meanOfPixels(x, out, rest...); },
         [](const auto& k, auto* out, auto* x, auto... rest) { k.meanOfWindows(x, out, rest...); });
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    if (!gradients[0].defined()) return {at::Tensor(), at::Tensor(), at::Tensor()};
    const std::vector<int64_t> sizes = context->saved_data["sizes"].toIntVector(), kernel = context->saved_data["kernel"].toIntVector();
    if (at::GradMode::is_enabled()) {
      const at::Tensor wide = gradients[0].unsqueeze(3).unsqueeze(5).expand(
          {sizes[0], sizes[1], sizes[2] / kernel[0], kernel[0], sizes[3] / kernel[1], kernel[1]});
      return {wide.reshape(sizes).div(static_cast<double>(kernel[0] * kernel[1])), at::Tensor(), at::Tensor()};
    }
    const auto format = context->saved_data["channelsLast"].toBool() ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    const at::Tensor gradient = laidOut(gradients[0], gradients[0].scalar_type(), format);
    at::Tensor result = at::empty(sizes, gradient.options().memory_format(format));
    each(gradient, result, kernel[0], kernel[1],
         [](const auto& k, auto* g, auto* x, auto... rest) { k.spreadToPixels(g, x, rest...); },
         [](const auto& k, auto* g, auto* x, auto... rest) { k.spreadToWindows(g, x, rest...); });
    return {result, at::Tensor(), at::Tensor()};
  }

 private:
  /** `ofPixels` for every window when channels lie last, else `ofWindows` for every row of windows of every map. */
  template <typename Pixelwise, typename Windowwise>
  static void each(const at::Tensor& small, const at::Tensor& large, int64_t height, int64_t width, Pixelwise ofPixels,
                   Windowwise ofWindows) {
    const int64_t images = large.size(0), channels = large.size(1), across = large.size(3), down = small.size(2), count = small.size(3);
    const auto scale = static_cast<float>(1.0 / static_cast<double>(height * width));
    // A map of one pixel or one channel lies both ways; the layout of the larger one decides.
    const bool rows = large.is_contiguous(at::MemoryFormat::ChannelsLast) && small.is_contiguous(at::MemoryFormat::ChannelsLast);
    forElement(large, [&](auto element) {
      using T = decltype(element);
      const MapKernels<T>& k = kernels()->maps(element);
      T *s = data<T>(small), *l = data<T>(large);
      if (rows)
        at::parallel_for(0, images * down, 1 + kPixelsTogether / (across * height), [&](int64_t begin, int64_t end) {
          for (int64_t at = begin; at < end; at++)
            for (int64_t o = 0; o < count; o++)
              ofPixels(k, s + (at * count + o) * channels, l + (at * height * across + o * width) * channels, height, width,
                       across * channels, channels, scale);
        });
      else
        at::parallel_for(0, images * channels * down, 64, [&](int64_t begin, int64_t end) {
          std::vector<float> row(across);
          for (int64_t at = begin; at < end; at++)
            ofWindows(k, s + at * count, l + at * height * across, height, width, count, scale, row.data());
        });
    });
  }
};

at::Tensor meanPool(const at::Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride, at::IntArrayRef padding,
                    bool ceilMode, bool countIncludePad) {
  const auto of = [](at::IntArrayRef pair) { return std::pair<int64_t, int64_t>(pair[0], pair[pair.size() - 1]); };
  bool ours = kernels() && mapAtHand(input) && input.dim() == 4 && !watched(input) && !kernel.empty() && kernel.size() <= 2 &&
              stride.size() <= 2 && std::all_of(padding.begin(), padding.end(), [](int64_t side) { return side == 0; });
  if (ours) {
    const auto [height, width] = of(kernel);
    ours = height > 0 && width > 0 && input.size(2) % height == 0 && input.size(3) % width == 0 &&
           (stride.empty() || of(stride) == of(kernel));
    if (ours) return WindowMeans::apply(input, height, width);
  }
  return at::avg_pool2d(input, kernel, stride, padding, ceilMode, countIncludePad);
}

/** x / (1 − p) with probability 1 − p, else 0. The mask is made again in the backward pass from its seed. */
struct SeededDropout : torch::autograd::Function<SeededDropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, double p, int64_t seed) {
    context->saved_data["p"] = p;
    context->saved_data["seed"] = seed;
    context->saved_data["strides"] = input.strides().vec();
    return dropped(input, p, seed);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    if (!gradients[0].defined()) return {at::Tensor(), at::Tensor(), at::Tensor()};
    const double p = context->saved_data["p"].toDouble();
    const int64_t seed = context->saved_data["seed"].toInt();
    const std::vector<int64_t> strides = context->saved_data["strides"].toIntVector();
    at::Tensor gradient = gradients[0];
    if (gradient.strides() != at::IntArrayRef(strides) || gradient.is_neg() || gradient._is_zerotensor()) {
      const at::Tensor copy = at::empty_strided(gradient.sizes(), strides, gradient.options());
      copy.copy_(gradient.detach());
      if (!at::GradMode::is_enabled()) gradient = copy;
    }
    if (at::GradMode::is_enabled()) {
      // The mask as a tensor, so that the product can be differentiated again.
      const at::Tensor ones = at::empty_strided(gradient.sizes(), strides, gradient.options()).fill_(1);
      return {gradient.mul(dropped(ones, p, seed)), at::Tensor(), at::Tensor()};
    }
    return {dropped(gradient, p, seed), at::Tensor(), at::Tensor()};
  }

  /** `input` is dense: every element of its storage between the first and the last is one of its own. */
  static at::Tensor dropped(const at::Tensor& input, double p, int64_t seed) {
    at::Tensor result = at::empty_strided(input.sizes(), input.strides(), input.options());
    const auto threshold = static_cast<uint32_t>(std::min(p * 4294967296.0, 4294967295.0));
    const auto scale = static_cast<float>(1 / (1 - p));
    forElement(input, [&](auto element) {
      using T = decltype(element);
      const MapKernels<T>& k = kernels()->maps(element);
      constexpr int64_t block = 64;
      const int64_t blocks = (input.numel() + block - 1) / block;
      at::parallel_for(0, blocks, 512, [&](int64_t begin, int64_t end) {
        k.dropElements(data<T>(input), data<T>(result), begin * block, std::min(end * block, input.numel()),
                       static_cast<uint64_t>(seed), threshold, scale);
      });
    });
    return result;
  }
};

at::Tensor dropout(const at::Tensor& input, double p, c10::optional<at::Generator> generator) {
  if (!(p >= 0 && p < 1)) throw UsageError("expected 'p' to be in [0, 1), got " + std::to_string(p));
  const bool ours = kernels() && atHand(input) && !watched(input) && input.is_non_overlapping_and_dense() &&
                    (input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16);
  if (!ours) {
    at::Tensor mask;
    {
      at::NoGradGuard noGrad;
      mask = at::empty_like(input).bernoulli_(1 - p, generator).div_(1 - p);
    }
    return input.mul(mask);
  }
  at::CPUGeneratorImpl* source = at::get_generator_or_default<at::CPUGeneratorImpl>(generator, at::detail::getDefaultCPUGenerator());
  int64_t seed;
  {
    std::lock_guard<std::mutex> lock(source->mutex_);
    seed = static_cast<int64_t>(source->random64());
  }
  return SeededDropout::apply(input, p, seed);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(stopgrad, library) {
  library.def(
      "batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
      "Tensor? residual, bool training, float momentum, float eps, bool rectify) -> Tensor",
      &batchNorm);
  library.def(
      "avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, bool ceil_mode=False, "
      "bool count_include_pad=True) -> Tensor",
      &meanPool);
  library.def("dropout(Tensor input, float p, *, Generator? generator=None) -> Tensor", &dropout);
}

}  // namespace stopgrad
