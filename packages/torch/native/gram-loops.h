// The inner loops of gram-operators.cc, compiled once for each instruction set like those of the other *-loops.h. The
// file that includes this defines `Doubles`, `kDoubles` lanes of them and `transpose` before it. Panels are of `kPanel` (kernels.h).
//
// Samples lie as panels of eight, `[panel][feature][8]`: features of a whole panel side by side, so that a product of two
// panels is one multiply-add a feature for each sample of the second, without a sum across lanes. Every entry of the
// result is summed feature by feature in order, whatever the instruction set, so that all give the same bits.

/** Vectors of a panel's eight samples. */
constexpr int kPanelVectors = static_cast<int>(kPanel / kDoubles);

/**
 * `rows` samples of `count` features in floats or doubles, less `shift` and then less `mean`, into panels. Samples missing
 * from the last panel are zeros.
 * @param count - a multiple of eight
 */
template <typename T>
void packPanels(const T* from, int64_t stride, int64_t rows, int64_t count, const double* shift, const double* mean,
                double* to) {
  for (int64_t first = 0; first < rows; first += kPanel, to += kPanel * count)
    for (int64_t k = 0; k < count; k += kDoubles) {
      const Doubles less = loadDoubles(shift + k), middle = loadDoubles(mean + k);
      for (int64_t at = 0; at < kPanel; at += kDoubles) {
        Doubles block[kDoubles];
#pragma GCC unroll 8
        for (int64_t i = 0; i < kDoubles; i++) {
          const int64_t row = first + at + i;
          block[i] = row < rows ? loadDoubles(from + row * stride + k) - less - middle : noDoubles();
        }
        transpose(block);
#pragma GCC unroll 8
        for (int64_t i = 0; i < kDoubles; i++) storeDoubles(to + (k + i) * kPanel + at, block[i]);
      }
    }
}

/** to[k] = Σ (from[row, k] − shift[k]) over the rows, each copied to `copy` on the way. @param count - a multiple of eight */
template <typename T>
void sumRows(const T* from, int64_t stride, int64_t rows, int64_t count, const double* shift, T* copy, double* to) {
  for (int64_t k = 0; k < count; k++) to[k] = 0;
  for (int64_t row = 0; row < rows; row++) {
    const T* x = from + row * stride;
    T* y = copy + row * count;
    for (int64_t k = 0; k < count; k += kDoubles) {
      storeDoubles(to + k, loadDoubles(to + k) + (loadDoubles(x + k) - loadDoubles(shift + k)));
      copyLanes(y + k, x + k);
    }
  }
}

/** out[j, i] += Σ_k a[k, i] b[k, j] for the samples i of `A` vectors and the next `C` samples j. */
template <int A, int C>
inline void gramTile(const double* a, const double* b, int64_t count, double* out, int64_t stride) {
  Doubles sum[C][A];
#pragma GCC unroll 8
  for (int c = 0; c < C; c++)
#pragma GCC unroll 8
    for (int v = 0; v < A; v++) sum[c][v] = noDoubles();
  for (int64_t k = 0; k < count; k++) {
    Doubles left[A];
#pragma GCC unroll 8
    for (int v = 0; v < A; v++)
      left[v] = loadDoubles(a + (v / kPanelVectors) * kPanel * count + k * kPanel + (v % kPanelVectors) * kDoubles);
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) {
      const Doubles right = broadcastDouble(b + k * kPanel + c);
#pragma GCC unroll 8
      for (int v = 0; v < A; v++) sum[c][v] = multiplyAddDoubles(left[v], right, sum[c][v]);
    }
  }
#pragma GCC unroll 8
  for (int c = 0; c < C; c++)
#pragma GCC unroll 8
    for (int v = 0; v < A; v++) {
      double* to = out + c * stride + v * kDoubles;
      storeDoubles(to, loadDoubles(to) + sum[c][v]);
    }
}

/** `P` panels of columns from `at` on, with every panel of rows up to their last. */
template <int P>
inline void gramColumns(const double* panels, int64_t at, int64_t count, double* out, int64_t stride) {
  constexpr int C = kGramRows;
  for (int64_t j = 0; j < (at + P) * kPanel; j += C)
    gramTile<P * kPanelVectors, C>(panels + at * kPanel * count, panels + j / kPanel * kPanel * count + j % kPanel, count,
                                   out + j * stride + at * kPanel, stride);
}

/**
 * out[j, i] += Σ_k x[i, k] x[j, k] over `count` features, for all pairs of samples of which j is in a panel not after i's
 * (and some others).
 * @param panels - `[panelCount][count][8]`
 * @param out - `[8 panelCount, 8 panelCount]`
 */
inline void gram(const double* panels, int64_t panelCount, int64_t count, double* out) {
  const int64_t stride = panelCount * kPanel;
  int64_t at = 0;
  for (; at + kGramPanels <= panelCount; at += kGramPanels) gramColumns<kGramPanels>(panels, at, count, out, stride);
  if constexpr (kGramPanels > 2)
    for (; at + 2 <= panelCount; at += 2) gramColumns<2>(panels, at, count, out, stride);
  for (; at < panelCount; at++) gramColumns<1>(panels, at, count, out, stride);
}

template <typename T>
GramKernels<T> gramKernels() {
  return {sumRows<T>, packPanels<T>, gram};
}
