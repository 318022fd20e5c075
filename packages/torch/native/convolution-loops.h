// The two inner loops of direct-convolution.cc, compiled once for each instruction set. The file that includes this
// defines `Vector`, `kLanes`, `columnsFor`, `STOPGRAD_ROWS` and the few functions on vectors before it. No standard templates in here: their code would be compiled for this instruction set and linked anywhere.

/**
 * out[o, p] = bias[o] + Σ_t weights[t, o] · in[p + offsets[t]] for O rows o and C vectors of positions p: the sums stay
 * in registers over all taps t.
 */
template <int O, int C>
inline void productTile(const float* in, const int64_t* offsets, int64_t taps, const float* weights, const float* bias,
                        float* out, int64_t outStride) {
  Vector sum[O][C];
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) sum[o][c] = broadcast(bias + o);
  for (int64_t t = 0; t < taps; t++) {
    const float* x = in + offsets[t];
    Vector value[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) value[c] = load(x + c * kLanes);
#pragma GCC unroll 8
    for (int o = 0; o < O; o++) {
      const Vector weight = broadcast(weights + t * O + o);
#pragma GCC unroll 8
      for (int c = 0; c < C; c++) sum[o][c] = multiplyAdd(weight, value[c], sum[o][c]);
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) store(out + o * outStride + c * kLanes, sum[o][c]);
}

template <int O>
void productRows(const float* in, const int64_t* offsets, int64_t taps, const float* weights, const float* bias,
                 float* out, int64_t outStride, int64_t count) {
  constexpr int C = columnsFor(O);
  int64_t p = 0;
  for (; p + (C - 1) * kLanes < count; p += C * kLanes)
    productTile<O, C>(in + p, offsets, taps, weights, bias, out + p, outStride);
  if constexpr (C > 3)
    for (; p + 2 * kLanes < count; p += 3 * kLanes)
      productTile<O, 3>(in + p, offsets, taps, weights, bias, out + p, outStride);
  if constexpr (C > 2)
    for (; p + kLanes < count; p += 2 * kLanes)
      productTile<O, 2>(in + p, offsets, taps, weights, bias, out + p, outStride);
  if (p < count) productTile<O, 1>(in + p, offsets, taps, weights, bias, out + p, outStride);
}

/** `productTile` over `count` positions, rounded up to whole vectors. */
inline void product(int rows, const float* in, const int64_t* offsets, int64_t taps, const float* weights,
                    const float* bias, float* out, int64_t outStride, int64_t count) {
  switch (rows) {
    case 1: return productRows<1>(in, offsets, taps, weights, bias, out, outStride, count);
    case 2: return productRows<2>(in, offsets, taps, weights, bias, out, outStride, count);
    case 3: return productRows<3>(in, offsets, taps, weights, bias, out, outStride, count);
    case 4: return productRows<4>(in, offsets, taps, weights, bias, out, outStride, count);
    case 5: return productRows<5>(in, offsets, taps, weights, bias, out, outStride, count);
    case 6: return productRows<6>(in, offsets, taps, weights, bias, out, outStride, count);
#if STOPGRAD_ROWS > 6
    case 7: return productRows<7>(in, offsets, taps, weights, bias, out, outStride, count);
    case 8: return productRows<8>(in, offsets, taps, weights, bias, out, outStride, count);
#endif
  }
}

/**
 * result[o, t] += Σ_n Σ_p rows[n, o, p] · in[n, p + offsets[t]] for O rows o and C taps t: the sums stay in registers
 * over all positions of all images. `count` is a multiple of kLanes; rows are zero where there is no output.
 */
template <int O, int C>
inline void correlationTile(const float* rows, int64_t rowStride, int64_t rowsPerImage, const float* in,
                            int64_t inPerImage, const int64_t* offsets, int64_t images, int64_t count, float* result,
                            int64_t resultStride, int used) {
  Vector sum[O][C];
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) sum[o][c] = zero();
  for (int64_t n = 0; n < images; n++) {
    const float* g = rows + n * rowsPerImage;
    const float* x[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) x[c] = in + n * inPerImage + offsets[c];
    for (int64_t p = 0; p < count; p += kLanes) {
      Vector value[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; c++) value[c] = load(x[c] + p);
#pragma GCC unroll 8
      for (int o = 0; o < O; o++) {
        const Vector gradient = load(g + o * rowStride + p);
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) sum[o][c] = multiplyAdd(gradient, value[c], sum[o][c]);
      }
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 8
    for (int c = 0; c < C; c++)
      if (c < used) result[o * resultStride + c] += sumOf(sum[o][c]);
}

template <int O>
void correlationRows(const float* rows, int64_t rowStride, int64_t rowsPerImage, const float* in, int64_t inPerImage,
                     const int64_t* offsets, int64_t taps, int64_t images, int64_t count, float* result) {
  constexpr int C = columnsFor(O);
  for (int64_t t = 0; t < taps; t += C) {
    int64_t chosen[C];  // the last group repeats its last tap
    for (int c = 0; c < C; c++) chosen[c] = offsets[t + c < taps ? t + c : taps - 1];
    const int used = taps - t < C ? static_cast<int>(taps - t) : C;
    correlationTile<O, C>(rows, rowStride, rowsPerImage, in, inPerImage, chosen, images, count, result + t, taps, used);
  }
}

/** `correlationTile` over all taps: `result` is `[rows, taps]`. */
inline void correlation(int rowCount, const float* rows, int64_t rowStride, int64_t rowsPerImage, const float* in,
                        int64_t inPerImage, const int64_t* offsets, int64_t taps, int64_t images, int64_t count,
                        float* result) {
#define STOPGRAD_CASE(O)                                                                                              \
  case O:                                                                                                             \
    return correlationRows<O>(rows, rowStride, rowsPerImage, in, inPerImage, offsets, taps, images, count, result);
  switch (rowCount) {
    STOPGRAD_CASE(1)
    STOPGRAD_CASE(2)
    STOPGRAD_CASE(3)
    STOPGRAD_CASE(4)
    STOPGRAD_CASE(5)
    STOPGRAD_CASE(6)
#if STOPGRAD_ROWS > 6
    STOPGRAD_CASE(7)
    STOPGRAD_CASE(8)
#endif
  }
#undef STOPGRAD_CASE
}

/**
 * Largest value of each 2x2 window of two rows, in PyTorch's order (first row first), where a later value is taken when
 * it is larger or NaN. The last vector is loaded and stored in part.
 */
inline void poolRows(const float* above, const float* below, float* out, int64_t width) {
  for (int64_t x = 0; x < width; x += kLanes) {
    const int64_t left = width - x;
    Vector a, b, c, d;
    deinterleave(above + 2 * x, left, a, b);
    deinterleave(below + 2 * x, left, c, d);
    Vector best = choose(replaces(b, a), b, a);
    best = choose(replaces(c, best), c, best);
    store(out + x, left, choose(replaces(d, best), d, best));
  }
}

/** The gradient of `poolRows`: to the value that was taken, the others get zero. */
inline void poolRowsBackward(const float* above, const float* below, const float* gradient, float* toAbove,
                             float* toBelow, int64_t width) {
  for (int64_t x = 0; x < width; x += kLanes) {
    const int64_t left = width - x;
    Vector a, b, c, d;
    deinterleave(above + 2 * x, left, a, b);
    deinterleave(below + 2 * x, left, c, d);
    const Vector none = zero(), g = load(gradient + x, left);
    const Mask takesB = replaces(b, a);
    const Vector ab = choose(takesB, b, a);
    const Mask takesC = replaces(c, ab);
    const Mask takesD = replaces(d, choose(takesC, c, ab));
    const Vector toFirst = choose(takesC, none, choose(takesD, none, g));  // what the first row gets
    interleave(toAbove + 2 * x, left, choose(takesB, none, toFirst), choose(takesB, toFirst, none));
    interleave(toBelow + 2 * x, left, choose(takesD, none, choose(takesC, g, none)), choose(takesD, g, none));
  }
}
