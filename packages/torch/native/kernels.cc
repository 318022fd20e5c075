// The loops of *-loops.h, compiled for each instruction set, and the choice between them: AVX-512 or AVX2 with FMA on x86-64, none elsewhere.
//
// STOPGRAD_KERNELS=avx2 or none lowers the choice, for tests and for bit-equal runs on unlike machines.
#include "kernels.h"

#include <cstdlib>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

// GCC 12's own headers warn of the registers they leave undefined on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace stopgrad {

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#define STOPGRAD_ROWS 8
namespace avx512 {
namespace {
using Vector = __m512;
constexpr int kLanes = 16;
/** 32 registers: 24 sums, the columns' values, one weight. */
constexpr int columnsFor(int rows) { return rows > 6 ? 3 : 4; }
inline Vector load(const float* from) { return _mm512_loadu_ps(from); }
inline void store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
inline Vector broadcast(const float* from) { return _mm512_set1_ps(*from); }
inline Vector zero() { return _mm512_setzero_ps(); }
inline Vector multiplyAdd(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
inline float sumOf(Vector value) { return _mm512_reduce_add_ps(value); }
using Mask = __mmask16;
/** Whether `b` is taken for `a` as the largest so far: it is larger, or NaN. */
inline Mask replaces(Vector b, Vector a) {
  return _mm512_cmp_ps_mask(b, a, _CMP_GT_OQ) | _mm512_cmp_ps_mask(b, b, _CMP_UNORD_Q);
}
inline Vector choose(Mask mask, Vector yes, Vector no) { return _mm512_mask_blend_ps(mask, no, yes); }
/** The first `left` lanes, all when there are more. */
inline __mmask16 first(int64_t left) { return left >= 16 ? 0xffff : left <= 0 ? 0 : (1u << left) - 1; }
inline Vector load(const float* from, int64_t left) { return _mm512_maskz_loadu_ps(first(left), from); }
inline void store(float* to, int64_t left, Vector value) { _mm512_mask_storeu_ps(to, first(left), value); }
inline Vector widened(__m256i bits) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
/** To bfloat16: to the nearest, to even between two; a NaN becomes PyTorch's. */
inline __m256i narrowed(Vector value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff))), 16);
  const __mmask16 wrong = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_set1_epi32(rounded, wrong, 0x7fc0));
}
inline Vector load(const uint16_t* from) { return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))); }
inline Vector load(const uint16_t* from, int64_t left) { return widened(_mm256_maskz_loadu_epi16(first(left), from)); }
inline void store(uint16_t* to, int64_t left, Vector value) { _mm256_mask_storeu_epi16(to, first(left), narrowed(value)); }
inline Vector keepFirst(int64_t left, Vector value) { return _mm512_maskz_mov_ps(first(left), value); }
/** False for a NaN. */
inline Mask atMostZero(Vector value) { return _mm512_cmp_ps_mask(value, zero(), _CMP_LE_OQ); }
inline Mask wordsBelow(const uint32_t* words, uint32_t threshold) {
  return _mm512_cmplt_epu32_mask(_mm512_loadu_si512(words), _mm512_set1_epi32(static_cast<int>(threshold)));
}
/** `2 left` floats, at most two vectors of them, apart by parity. */
inline void deinterleave(const float* from, int64_t left, Vector& even, Vector& odd) {
  const __m512i evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odds = _mm512_add_epi32(evens, _mm512_set1_epi32(1));
  const Vector low = load(from, 2 * left), high = load(from + 16, 2 * left - 16);
  even = _mm512_permutex2var_ps(low, evens, high);
  odd = _mm512_permutex2var_ps(low, odds, high);
}
inline void interleave(float* to, int64_t left, Vector even, Vector odd) {
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
  store(to, 2 * left, _mm512_permutex2var_ps(even, low, odd));
  store(to + 16, 2 * left - 16, _mm512_permutex2var_ps(even, high, odd));
}
using Doubles = __m512d;
constexpr int64_t kDoubles = 8;
/** 32 registers: 24 sums, three vectors, one broadcast number. */
constexpr int kGramPanels = 3, kGramRows = 8;
inline Doubles loadDoubles(const double* from) { return _mm512_loadu_pd(from); }
inline Doubles loadDoubles(const float* from) { return _mm512_cvtps_pd(_mm256_loadu_ps(from)); }
inline void storeDoubles(double* to, Doubles value) { _mm512_storeu_pd(to, value); }
inline Doubles broadcastDouble(const double* from) { return _mm512_set1_pd(*from); }
inline Doubles noDoubles() { return _mm512_setzero_pd(); }
inline Doubles multiplyAddDoubles(Doubles a, Doubles b, Doubles c) { return _mm512_fmadd_pd(a, b, c); }
inline void copyLanes(double* to, const double* from) { storeDoubles(to, loadDoubles(from)); }
inline void copyLanes(float* to, const float* from) { _mm256_storeu_ps(to, _mm256_loadu_ps(from)); }
/** Eight rows of eight numbers. */
inline void transpose(Doubles* rows) {
  Doubles pairs[8], fours[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm512_unpacklo_pd(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_pd(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      fours[i + j] = _mm512_shuffle_f64x2(pairs[i + j], pairs[i + j + 2], 0b10001000);
      fours[i + j + 2] = _mm512_shuffle_f64x2(pairs[i + j], pairs[i + j + 2], 0b11011101);
    }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    rows[j] = _mm512_shuffle_f64x2(fours[j], fours[j + 4], 0b10001000);
    rows[j + 4] = _mm512_shuffle_f64x2(fours[j], fours[j + 4], 0b11011101);
  }
}
#include "common-loops.h"
#include "convolution-loops.h"
#include "normalisation-loops.h"
#include "gram-loops.h"
#include "kernel-table.h"
}  // namespace
}  // namespace avx512
#undef STOPGRAD_ROWS
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define STOPGRAD_ROWS 6
namespace avx2 {
namespace {
using Vector = __m256;
constexpr int kLanes = 8;
/** 16 registers: 12 sums, two values, one weight. */
constexpr int columnsFor(int) { return 2; }
inline Vector load(const float* from) { return _mm256_loadu_ps(from); }
inline void store(float* to, Vector value) { _mm256_storeu_ps(to, value); }
inline Vector broadcast(const float* from) { return _mm256_broadcast_ss(from); }
inline Vector zero() { return _mm256_setzero_ps(); }
inline Vector multiplyAdd(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
inline float sumOf(Vector value) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
using Mask = __m256;
inline Mask replaces(Vector b, Vector a) {
  return _mm256_or_ps(_mm256_cmp_ps(b, a, _CMP_GT_OQ), _mm256_cmp_ps(b, b, _CMP_UNORD_Q));
}
inline Vector choose(Mask mask, Vector yes, Vector no) { return _mm256_blendv_ps(no, yes, mask); }
inline Vector inOrder(Vector halves) {
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(halves), 0b11011000));
}
inline __m256i first(int64_t left) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(left > 8 ? 8 : left < 0 ? 0 : static_cast<int>(left)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Vector load(const float* from, int64_t left) { return _mm256_maskload_ps(from, first(left)); }
inline void store(float* to, int64_t left, Vector value) { _mm256_maskstore_ps(to, first(left), value); }
inline Vector widened(__m128i bits) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline __m128i narrowed(Vector value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i wrong = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  const __m256i chosen = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc0), wrong);
  return _mm_packus_epi32(_mm256_castsi256_si128(chosen), _mm256_extracti128_si256(chosen, 1));
}
inline Vector load(const uint16_t* from) { return widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))); }
inline Vector load(const uint16_t* from, int64_t left) {
  if (left >= 8) return load(from);
  uint16_t some[8] = {};
  for (int64_t i = 0; i < left; i++) some[i] = from[i];
  return load(some);
}
inline void store(uint16_t* to, int64_t left, Vector value) {
  if (left >= 8) return _mm_storeu_si128(reinterpret_cast<__m128i*>(to), narrowed(value));
  uint16_t some[8];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(some), narrowed(value));
  for (int64_t i = 0; i < left; i++) to[i] = some[i];
}
inline Vector keepFirst(int64_t left, Vector value) {
  return _mm256_and_ps(_mm256_castsi256_ps(first(left)), value);
}
inline Mask atMostZero(Vector value) { return _mm256_cmp_ps(value, zero(), _CMP_LE_OQ); }
inline Mask wordsBelow(const uint32_t* words, uint32_t threshold) {
  const __m256i sign = _mm256_set1_epi32(static_cast<int>(0x80000000u));
  const __m256i found = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
  const __m256i limit = _mm256_set1_epi32(static_cast<int>(threshold));
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_xor_si256(limit, sign), _mm256_xor_si256(found, sign)));
}
inline void deinterleave(const float* from, int64_t left, Vector& even, Vector& odd) {
  const Vector low = load(from, 2 * left), high = load(from + 8, 2 * left - 8);
  even = inOrder(_mm256_shuffle_ps(low, high, 0b10001000));
  odd = inOrder(_mm256_shuffle_ps(low, high, 0b11011101));
}
inline void interleave(float* to, int64_t left, Vector even, Vector odd) {
  const Vector low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
  store(to, 2 * left, _mm256_permute2f128_ps(low, high, 0x20));
  store(to + 8, 2 * left - 8, _mm256_permute2f128_ps(low, high, 0x31));
}
using Doubles = __m256d;
constexpr int64_t kDoubles = 4;
/** 16 registers: eight sums, two vectors, one broadcast number. */
constexpr int kGramPanels = 1, kGramRows = 4;
inline Doubles loadDoubles(const double* from) { return _mm256_loadu_pd(from); }
inline Doubles loadDoubles(const float* from) { return _mm256_cvtps_pd(_mm_loadu_ps(from)); }
inline void storeDoubles(double* to, Doubles value) { _mm256_storeu_pd(to, value); }
inline Doubles broadcastDouble(const double* from) { return _mm256_broadcast_sd(from); }
inline Doubles noDoubles() { return _mm256_setzero_pd(); }
inline Doubles multiplyAddDoubles(Doubles a, Doubles b, Doubles c) { return _mm256_fmadd_pd(a, b, c); }
inline void copyLanes(double* to, const double* from) { storeDoubles(to, loadDoubles(from)); }
inline void copyLanes(float* to, const float* from) { _mm_storeu_ps(to, _mm_loadu_ps(from)); }
/** Four rows of four numbers. */
inline void transpose(Doubles* rows) {
  const Doubles low = _mm256_unpacklo_pd(rows[0], rows[1]), high = _mm256_unpackhi_pd(rows[0], rows[1]);
  const Doubles lower = _mm256_unpacklo_pd(rows[2], rows[3]), higher = _mm256_unpackhi_pd(rows[2], rows[3]);
  rows[0] = _mm256_permute2f128_pd(low, lower, 0x20);
  rows[1] = _mm256_permute2f128_pd(high, higher, 0x20);
  rows[2] = _mm256_permute2f128_pd(low, lower, 0x31);
  rows[3] = _mm256_permute2f128_pd(high, higher, 0x31);
}
#include "common-loops.h"
#include "convolution-loops.h"
#include "normalisation-loops.h"
#include "gram-loops.h"
#include "kernel-table.h"
}  // namespace
}  // namespace avx2
#undef STOPGRAD_ROWS
#pragma GCC pop_options

namespace {

const Kernels kAvx512 = avx512::table("avx512", 8);
const Kernels kAvx2 = avx2::table("avx2", 6);

const Kernels* choose() {
  const char* wish = std::getenv("STOPGRAD_KERNELS");
  if (wish && std::strcmp(wish, "none") == 0) return nullptr;
  const bool lowered = wish && std::strcmp(wish, "avx2") == 0;
  __builtin_cpu_init();
  if (!lowered && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return &kAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kAvx2;
  return nullptr;
}

}  // namespace

const Kernels* kernels() {
  static const Kernels* const chosen = choose();
  return chosen;
}

}  // namespace stopgrad

#else

namespace stopgrad {
const Kernels* kernels() { return nullptr; }
}  // namespace stopgrad

#endif
