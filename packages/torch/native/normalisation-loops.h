// The inner loops of batch norm, mean pooling and dropout, compiled once for each instruction set like
// convolution-loops.h. T is float, or uint16_t for the bits of a bfloat16; arithmetic is float32, long sums are float64.
//
// Maps lie in memory in one of two ways. "Runs": [N, C, H·W], a channel is N runs of H·W elements, its constants are
// numbers. "Rows": [N·H·W, C], a pixel is a row of C elements, the constants are arrays over the channels.

/** Elements a float32 sum takes in before it goes to a float64 one. */
constexpr int64_t kShortSum = 4096;
/** Rows that one pass over the channels takes. */
constexpr int64_t kRowsTogether = 64;

/** out += (Σ x − shift, Σ (x − shift)²) over `runs` runs. */
template <typename T>
void momentsOfRuns(const T* x, int64_t runs, int64_t stride, int64_t length, float shift, double* out) {
  const Vector k = broadcast(&shift);
  Vector sum = zero(), square = zero();
  int64_t taken = 0;
  for (int64_t n = 0; n < runs; n++) {
    const T* run = x + n * stride;
    int64_t i = 0;
    for (; i + kLanes <= length; i += kLanes) {
      const Vector v = load(run + i) - k;
      sum = sum + v;
      square = multiplyAdd(v, v, square);
      if ((taken += kLanes) >= kShortSum * kLanes) {
        out[0] += sumOf(sum), out[1] += sumOf(square);
        sum = square = zero(), taken = 0;
      }
    }
    if (i < length) {
      const Vector v = keepFirst(length - i, load(run + i, length - i) - k);
      sum = sum + v;
      square = multiplyAdd(v, v, square);
      taken += kLanes;
    }
  }
  out[0] += sumOf(sum), out[1] += sumOf(square);
}

/** sum[c] += Σ x − shift[c], square[c] += Σ (x − shift[c])² over `rows` rows. */
template <typename T>
void momentsOfRows(const T* x, int64_t rows, int64_t channels, const float* shift, double* sum, double* square) {
  for (int64_t first = 0; first < rows; first += kRowsTogether) {
    const int64_t last = first + kRowsTogether < rows ? first + kRowsTogether : rows;
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int64_t left = channels - c;
      const Vector k = load(shift + c, left);
      Vector sums = zero(), squares = zero();
      for (int64_t r = first; r < last; r++) {
        const Vector v = load(x + r * channels + c, left) - k;
        sums = sums + v;
        squares = multiplyAdd(v, v, squares);
      }
      addTo(sum + c, left, sums);
      addTo(square + c, left, squares);
    }
  }
}

/** y = (x − mean) scale + bias, plus the residual, rectified if asked. */
template <typename T>
inline void normaliseVector(const T* x, const T* residual, T* y, int64_t left, Vector mean, Vector scale, Vector bias,
                            bool rectify) {
  Vector v = multiplyAdd(load(x, left) - mean, scale, bias);
  if (residual) v = v + load(residual, left);
  if (rectify) v = choose(atMostZero(v), zero(), v);
  store(y, left, v);
}

template <typename T>
void normaliseRun(const T* x, const T* residual, T* y, int64_t length, float mean, float scale, float bias,
                  bool rectify) {
  const Vector m = broadcast(&mean), s = broadcast(&scale), b = broadcast(&bias);
  for (int64_t i = 0; i < length; i += kLanes)
    normaliseVector(x + i, residual ? residual + i : nullptr, y + i, length - i, m, s, b, rectify);
}

template <typename T>
void normaliseRows(const T* x, const T* residual, T* y, int64_t rows, int64_t channels, const float* mean,
                   const float* scale, const float* bias, bool rectify) {
  for (int64_t r = 0; r < rows; r++) {
    const int64_t at = r * channels;
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int64_t left = channels - c;
      normaliseVector(x + at + c, residual ? residual + at + c : nullptr, y + at + c, left, load(mean + c, left),
                      load(scale + c, left), load(bias + c, left), rectify);
    }
  }
}

/** The gradient that passes the rectifier: `gradient` where y is not at most zero; all of it where y is null. */
template <typename T>
inline Vector passed(const T* gradient, const T* y, int64_t left) {
  const Vector g = load(gradient, left);
  return y ? choose(atMostZero(load(y, left)), zero(), g) : g;
}

/** out += (Σ g, Σ g (x − mean)) over `runs` runs, g the passed gradient, which is also written to `kept` if given. */
template <typename T>
void gradientSumsOfRuns(const T* gradient, const T* y, const T* x, T* kept, int64_t runs, int64_t stride,
                        int64_t length, float mean, double* out) {
  const Vector m = broadcast(&mean);
  Vector sum = zero(), dot = zero();
  int64_t taken = 0;
  for (int64_t n = 0; n < runs; n++)
    for (int64_t i = 0; i < length; i += kLanes) {
      const int64_t at = n * stride + i, left = length - i;
      const Vector g = passed(gradient + at, y ? y + at : nullptr, left);
      if (kept) store(kept + at, left, g);
      sum = sum + g;
      dot = multiplyAdd(g, load(x + at, left) - m, dot);
      if ((taken += kLanes) >= kShortSum * kLanes) {
        out[0] += sumOf(sum), out[1] += sumOf(dot);
        sum = dot = zero(), taken = 0;
      }
    }
  out[0] += sumOf(sum), out[1] += sumOf(dot);
}

template <typename T>
void gradientSumsOfRows(const T* gradient, const T* y, const T* x, T* kept, int64_t rows, int64_t channels,
                        const float* mean, double* sum, double* dot) {
  for (int64_t first = 0; first < rows; first += kRowsTogether) {
    const int64_t last = first + kRowsTogether < rows ? first + kRowsTogether : rows;
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int64_t left = channels - c;
      const Vector m = load(mean + c, left);
      Vector sums = zero(), dots = zero();
      for (int64_t r = first; r < last; r++) {
        const int64_t at = r * channels + c;
        const Vector g = passed(gradient + at, y ? y + at : nullptr, left);
        if (kept) store(kept + at, left, g);
        sums = sums + g;
        dots = multiplyAdd(g, load(x + at, left) - m, dots);
      }
      addTo(sum + c, left, sums);
      addTo(dot + c, left, dots);
    }
  }
}

/** result = g scale + (x − mean) slope + offset, g the passed gradient. */
template <typename T>
void gradientOfRun(const T* gradient, const T* y, const T* x, T* result, int64_t length, float mean, float scale,
                   float slope, float offset) {
  const Vector m = broadcast(&mean), a = broadcast(&scale), b = broadcast(&slope), d = broadcast(&offset);
  for (int64_t i = 0; i < length; i += kLanes) {
    const int64_t left = length - i;
    const Vector g = passed(gradient + i, y ? y + i : nullptr, left);
    store(result + i, left, multiplyAdd(g, a, multiplyAdd(load(x + i, left) - m, b, d)));
  }
}

template <typename T>
void gradientOfRows(const T* gradient, const T* y, const T* x, T* result, int64_t rows, int64_t channels,
                    const float* mean, const float* scale, const float* slope, const float* offset) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int64_t at = r * channels + c, left = channels - c;
      const Vector g = passed(gradient + at, y ? y + at : nullptr, left);
      const Vector v = load(x + at, left) - load(mean + c, left);
      store(result + at, left, multiplyAdd(g, load(scale + c, left), multiplyAdd(v, load(slope + c, left), load(offset + c, left))));
    }
}

/** out = scale · Σ of `height` · `width` pixels, each a row of channels; `down` elements lie between pixel rows. */
template <typename T>
void meanOfPixels(const T* x, T* out, int64_t height, int64_t width, int64_t down, int64_t channels, float scale) {
  const Vector s = broadcast(&scale);
  for (int64_t c = 0; c < channels; c += kLanes) {
    const int64_t left = channels - c;
    Vector sum = zero();
    for (int64_t y = 0; y < height; y++)
      for (int64_t p = 0; p < width; p++) sum = sum + load(x + y * down + p * channels + c, left);
    store(out + c, left, sum * s);
  }
}

/** The gradient of `meanOfPixels`: the same to every pixel. */
template <typename T>
void spreadToPixels(const T* gradient, T* x, int64_t height, int64_t width, int64_t down, int64_t channels,
                    float scale) {
  const Vector s = broadcast(&scale);
  for (int64_t c = 0; c < channels; c += kLanes) {
    const int64_t left = channels - c;
    const Vector g = load(gradient + c, left) * s;
    for (int64_t y = 0; y < height; y++)
      for (int64_t p = 0; p < width; p++) store(x + y * down + p * channels + c, left, g);
  }
}

/** One row of windows of one map: `count` windows of `height` rows, `width` wide; `row` floats are for scratch. */
template <typename T>
void meanOfWindows(const T* x, T* out, int64_t height, int64_t width, int64_t count, float scale, float* row) {
  const int64_t length = count * width;
  for (int64_t i = 0; i < length; i += kLanes) {
    Vector sum = zero();
    for (int64_t y = 0; y < height; y++) sum = sum + load(x + y * length + i, length - i);
    store(row + i, length - i, sum);
  }
  for (int64_t o = 0; o < count; o++) {
    float sum = 0;
    for (int64_t p = 0; p < width; p++) sum += row[o * width + p];
    storeOne(out + o, sum * scale);
  }
}

template <typename T>
void spreadToWindows(const T* gradient, T* x, int64_t height, int64_t width, int64_t count, float scale, float* row) {
  const int64_t length = count * width;
  for (int64_t o = 0; o < count; o++)
    for (int64_t p = 0; p < width; p++) row[o * width + p] = loadOne(gradient + o) * scale;
  for (int64_t y = 0; y < height; y++)
    for (int64_t i = 0; i < length; i += kLanes) store(x + y * length + i, length - i, load(row + i, length - i));
}

/** Elements that one call of `philox` decides, whatever the length of a vector. */
constexpr int64_t kDropBlock = 64;

/**
 * Random bits by counter: Philox 4x32 with ten rounds (Salmon et al. 2011) for counters `counter` to `counter` + 15 and
 * key `seed`, the four words of each one, word by word: any of them can be made again without those before it.
 */
inline void philox(uint64_t seed, uint64_t counter, uint32_t* words) {
  constexpr int kCounters = kDropBlock / 4;
  uint32_t a[kCounters], b[kCounters], c[kCounters], d[kCounters];
  for (int i = 0; i < kCounters; i++) {
    a[i] = static_cast<uint32_t>(counter + i);
    b[i] = static_cast<uint32_t>((counter + i) >> 32);
    c[i] = d[i] = 0;
  }
  auto low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < kCounters; i++) {
      const uint64_t p = 0xD2511F53ull * a[i], q = 0xCD9E8D57ull * c[i];
      a[i] = static_cast<uint32_t>(q >> 32) ^ b[i] ^ low;
      c[i] = static_cast<uint32_t>(p >> 32) ^ d[i] ^ high;
      b[i] = static_cast<uint32_t>(q);
      d[i] = static_cast<uint32_t>(p);
    }
    low += 0x9E3779B9u, high += 0xBB67AE85u;
  }
  for (int i = 0; i < kCounters; i++) {
    words[i] = a[i];
    words[kCounters + i] = b[i];
    words[2 * kCounters + i] = c[i];
    words[3 * kCounters + i] = d[i];
  }
}

/** y = x scale where the element's word is at least `threshold`, else 0; elements `begin` (a multiple of 64) to `end`. */
template <typename T>
void dropElements(const T* x, T* y, int64_t begin, int64_t end, uint64_t seed, uint32_t threshold, float scale) {
  uint32_t words[kDropBlock];
  const Vector s = broadcast(&scale);
  for (int64_t i = begin; i < end; i += kDropBlock) {
    philox(seed, static_cast<uint64_t>(i / 4), words);
    for (int64_t j = 0; j < kDropBlock && i + j < end; j += kLanes) {
      const int64_t left = end - i - j;
      const Vector v = load(x + i + j, left) * s;
      store(y + i + j, left, choose(wordsBelow(words + j, threshold), zero(), v));
    }
  }
}

template <typename T>
MapKernels<T> mapKernels() {
  return {momentsOfRuns<T>,  momentsOfRows<T>,  normaliseRun<T>,  normaliseRows<T>, gradientSumsOfRuns<T>,
          gradientSumsOfRows<T>, gradientOfRun<T>, gradientOfRows<T>, meanOfPixels<T>,  spreadToPixels<T>,
          meanOfWindows<T>,  spreadToWindows<T>, dropElements<T>};
}
