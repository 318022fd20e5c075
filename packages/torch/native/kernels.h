// The loops of *-loops.h for the instruction set of this processor, chosen at start.
#pragma once

#include <cstdint>

namespace stopgrad {

/** Floats that a loop may read or write beyond the positions asked for. */
constexpr int64_t kSlack = 64;

/** Samples of a panel in gram-loops.h. */
constexpr int64_t kPanel = 8;

inline int64_t roundedUp(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

/** Loops over feature maps of float (T float) or bfloat16 (T uint16_t, its bits); see normalisation-loops.h. */
template <typename T>
struct MapKernels {
  void (*momentsOfRuns)(const T* x, int64_t runs, int64_t stride, int64_t length, float shift, double* out);
  void (*momentsOfRows)(const T* x, int64_t rows, int64_t channels, const float* shift, double* sum, double* square);
  void (*normaliseRun)(const T* x, const T* residual, T* y, int64_t length, float mean, float scale, float bias,
                       bool rectify);
  void (*normaliseRows)(const T* x, const T* residual, T* y, int64_t rows, int64_t channels, const float* mean,
                        const float* scale, const float* bias, bool rectify);
  void (*gradientSumsOfRuns)(const T* gradient, const T* y, const T* x, T* kept, int64_t runs, int64_t stride,
                             int64_t length, float mean, double* out);
  void (*gradientSumsOfRows)(const T* gradient, const T* y, const T* x, T* kept, int64_t rows, int64_t channels,
                             const float* mean, double* sum, double* dot);
  void (*gradientOfRun)(const T* gradient, const T* y, const T* x, T* result, int64_t length, float mean, float scale,
                        float slope, float offset);
  void (*gradientOfRows)(const T* gradient, const T* y, const T* x, T* result, int64_t rows, int64_t channels,
                         const float* mean, const float* scale, const float* slope, const float* offset);
  void (*meanOfPixels)(const T* x, T* out, int64_t height, int64_t width, int64_t down, int64_t channels, float scale);
  void (*spreadToPixels)(const T* gradient, T* x, int64_t height, int64_t width, int64_t down, int64_t channels,
                         float scale);
  void (*meanOfWindows)(const T* x, T* out, int64_t height, int64_t width, int64_t count, float scale, float* row);
  void (*spreadToWindows)(const T* gradient, T* x, int64_t height, int64_t width, int64_t count, float scale,
                          float* row);
  void (*dropElements)(const T* x, T* y, int64_t begin, int64_t end, uint64_t seed, uint32_t threshold, float scale);
};

/** Loops for products of all pairs of samples of float or double; see gram-loops.h. */
template <typename T>
struct GramKernels {
  void (*sumRows)(const T* from, int64_t stride, int64_t rows, int64_t count, const double* shift, T* copy, double* to);
  void (*packPanels)(const T* from, int64_t stride, int64_t rows, int64_t count, const double* shift, const double* mean,
                     double* to);
  void (*gram)(const double* panels, int64_t panelCount, int64_t count, double* out);
};

struct Kernels {
  const char* name;
  /** Rows a call of `product` and `correlation` takes at most. */
  int rows;
  /** Positions are rounded up to a multiple of this. */
  int64_t lanes;
  void (*product)(int rows, const float* in, const int64_t* offsets, int64_t taps, const float* weights,
                  const float* bias, float* out, int64_t outStride, int64_t count);
  void (*correlation)(int rowCount, const float* rows, int64_t rowStride, int64_t rowsPerImage, const float* in,
                      int64_t inPerImage, const int64_t* offsets, int64_t taps, int64_t images, int64_t count,
                      float* result);
  void (*poolRows)(const float* above, const float* below, float* out, int64_t width);
  void (*poolRowsBackward)(const float* above, const float* below, const float* gradient, float* toAbove,
                           float* toBelow, int64_t width);
  MapKernels<float> floats;
  MapKernels<uint16_t> bfloats;
  GramKernels<float> floatGram;
  GramKernels<double> doubleGram;

  const MapKernels<float>& maps(float) const { return floats; }
  const MapKernels<uint16_t>& maps(uint16_t) const { return bfloats; }
};

/** Null where there are none for this processor: then libtorch's own operators do the work. */
const Kernels* kernels();

}  // namespace stopgrad
