// kLanes doubles, worked on side by side: a vector type of GCC and Clang, or plain loops.
#pragma once

#include <cmath>
#include <cstring>

#if defined(__AVX__) && !defined(EWMA_PLAIN_LANES)
#include <immintrin.h>
#endif

namespace ewma {
namespace EWMA_ISA {

#if defined(__has_builtin) && !defined(EWMA_PLAIN_LANES)
#if __has_builtin(__builtin_shufflevector) && __has_builtin(__builtin_convertvector)
#define EWMA_VECTOR_LANES
#endif
#endif

// One register of AVX-512 or AVX2, two of SSE2 or NEON.
#if defined(EWMA_VECTOR_LANES) && defined(__AVX512F__)
#define EWMA_EIGHT_LANES
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

// Whether Lanes are one register: of two, little else fits beside them.
#if defined(EWMA_VECTOR_LANES) && defined(__AVX__)
constexpr bool kOneRegister = true;
#else
constexpr bool kOneRegister = false;
#endif

// Before a loop over vectors: they are to stay in registers.
#if defined(__clang__)
#define EWMA_UNROLLED _Pragma("unroll")
#elif defined(__GNUC__)
#define EWMA_UNROLLED _Pragma("GCC unroll 8")
#else
#define EWMA_UNROLLED
#endif

#if defined(EWMA_VECTOR_LANES)
typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double))));
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
// The same where they lie in memory. GCC copies a memcpy of them in halves, by way of the stack.
typedef double LanesThere
    __attribute__((vector_size(sizeof(Lanes)), aligned(alignof(double)), may_alias));
typedef float FloatsThere
    __attribute__((vector_size(sizeof(Floats)), aligned(alignof(float)), may_alias));
inline Lanes magnitude(const Lanes& x) {
  typedef long long Bits __attribute__((vector_size(kLanes * sizeof(long long))));
  return (Lanes)((Bits)x & 0x7fffffffffffffffLL);
}
#else
struct Lanes {
  double lane[kLanes];
  double operator[](int j) const { return lane[j]; }
  double& operator[](int j) { return lane[j]; }
};
#define EWMA_LANES_OPERATOR(op)                                          \
  inline Lanes operator op(const Lanes& a, const Lanes& b) {             \
    Lanes c;                                                             \
    for (int j = 0; j < kLanes; ++j) c.lane[j] = a.lane[j] op b.lane[j]; \
    return c;                                                            \
  }                                                                      \
  inline Lanes operator op(double a, const Lanes& b) {                   \
    Lanes c;                                                             \
    for (int j = 0; j < kLanes; ++j) c.lane[j] = a op b.lane[j];         \
    return c;                                                            \
  }
EWMA_LANES_OPERATOR(+)
EWMA_LANES_OPERATOR(-)
EWMA_LANES_OPERATOR(*)
EWMA_LANES_OPERATOR(/)
#undef EWMA_LANES_OPERATOR
inline Lanes operator-(const Lanes& a) { return -1.0 * a; }
inline Lanes magnitude(const Lanes& x) {
  Lanes y;
  for (int j = 0; j < kLanes; ++j) y[j] = std::fabs(x[j]);
  return y;
}
#endif

inline double larger(double a, double b) { return a > b ? a : b; }
inline double smaller(double a, double b) { return a < b ? a : b; }

// GCC makes a comparison and a masked move of a > b ? a : b.
inline Lanes larger(const Lanes& a, const Lanes& b) {
#if defined(EWMA_EIGHT_LANES)
  return _mm512_max_pd(a, b);
#elif defined(EWMA_VECTOR_LANES) && defined(__AVX__)
  return _mm256_max_pd(a, b);
#elif defined(EWMA_VECTOR_LANES)
  return a > b ? a : b;
#else
  Lanes c;
  for (int j = 0; j < kLanes; ++j) c[j] = larger(a[j], b[j]);
  return c;
#endif
}

inline Lanes smaller(const Lanes& a, const Lanes& b) {
#if defined(EWMA_EIGHT_LANES)
  return _mm512_min_pd(a, b);
#elif defined(EWMA_VECTOR_LANES) && defined(__AVX__)
  return _mm256_min_pd(a, b);
#elif defined(EWMA_VECTOR_LANES)
  return a < b ? a : b;
#else
  return -larger(-a, -b);
#endif
}

// The larger of `a`, which is not below 0, and |b|.
inline Lanes larger_magnitude(const Lanes& a, const Lanes& b) {
#if defined(EWMA_EIGHT_LANES)
  return _mm512_range_pd(a, b, 0b1011);
#else
  return larger(a, magnitude(b));
#endif
}

// a where x is below the limit, else b.
inline Lanes where_below(const Lanes& x, const Lanes& limit, const Lanes& a, const Lanes& b) {
#if defined(EWMA_VECTOR_LANES)
  return x < limit ? a : b;
#else
  Lanes y;
  for (int j = 0; j < kLanes; ++j) y[j] = x[j] < limit[j] ? a[j] : b[j];
  return y;
#endif
}

inline Lanes root(const Lanes& x) {
#if defined(EWMA_EIGHT_LANES)
  return _mm512_sqrt_pd(x);
#elif defined(EWMA_VECTOR_LANES) && defined(__AVX__)
  return _mm256_sqrt_pd(x);
#else
  Lanes y;
  for (int j = 0; j < kLanes; ++j) y[j] = std::sqrt(x[j]);
  return y;
#endif
}

// a * b + c, rounded once.
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
#if defined(EWMA_EIGHT_LANES)
  return _mm512_fmadd_pd(a, b, c);
#elif defined(EWMA_VECTOR_LANES) && defined(__FMA__)
  return _mm256_fmadd_pd(a, b, c);
#else
  Lanes y;
  for (int j = 0; j < kLanes; ++j) y[j] = std::fma(a[j], b[j], c[j]);
  return y;
#endif
}

#if defined(EWMA_VECTOR_LANES)
inline Lanes load(const double* x) { return *reinterpret_cast<const LanesThere*>(x); }
inline void store(double* x, const Lanes& lanes) { *reinterpret_cast<LanesThere*>(x) = lanes; }
#else
inline Lanes load(const double* x) {
  Lanes lanes;
  std::memcpy(&lanes, x, sizeof lanes);
  return lanes;
}
inline void store(double* x, const Lanes& lanes) { std::memcpy(x, &lanes, sizeof lanes); }
#endif

inline Lanes load(const float* x) {
#if defined(EWMA_EIGHT_LANES)
  return _mm512_cvtps_pd(_mm256_loadu_ps(x));  // GCC converts in halves
#elif defined(EWMA_VECTOR_LANES) && defined(__AVX__)
  return _mm256_cvtps_pd(_mm_loadu_ps(x));  // the same, by way of the stack
#elif defined(EWMA_VECTOR_LANES)
  const Floats floats = *reinterpret_cast<const FloatsThere*>(x);
  return __builtin_convertvector(floats, Lanes);
#else
  Lanes lanes;
  for (int j = 0; j < kLanes; ++j) lanes[j] = x[j];
  return lanes;
#endif
}
inline void store(float* x, const Lanes& lanes) {
#if defined(EWMA_VECTOR_LANES)
  *reinterpret_cast<FloatsThere*>(x) = __builtin_convertvector(lanes, Floats);
#else
  for (int j = 0; j < kLanes; ++j) x[j] = static_cast<float>(lanes[j]);
#endif
}

// The first `count` lanes, of kLanes at most, and 0 in the others; what is behind them in memory is
// neither read nor written.
template <typename T>
Lanes load_first(const T* x, int count) {
#if defined(EWMA_EIGHT_LANES)
  const auto mask = static_cast<__mmask8>((1u << count) - 1);
  if constexpr (sizeof(T) == sizeof(float)) {
    return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, reinterpret_cast<const float*>(x)));
  } else {
    return _mm512_maskz_loadu_pd(mask, x);
  }
#elif defined(EWMA_VECTOR_LANES) && defined(__AVX2__)
  if constexpr (sizeof(T) == sizeof(float)) {
    const __m128i mask = _mm_cmpgt_epi32(_mm_set1_epi32(count), _mm_setr_epi32(0, 1, 2, 3));
    return _mm256_cvtps_pd(_mm_maskload_ps(reinterpret_cast<const float*>(x), mask));
  } else {
    const __m256i mask =
        _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
    return _mm256_maskload_pd(reinterpret_cast<const double*>(x), mask);
  }
#else
  T lanes[kLanes] = {};
  for (int j = 0; j < kLanes; ++j) {
    if (j < count) lanes[j] = x[j];
  }
  return load(lanes);
#endif
}
template <typename T>
void store_first(T* x, const Lanes& lanes, int count) {
#if defined(EWMA_EIGHT_LANES)
  const auto mask = static_cast<__mmask8>((1u << count) - 1);
  if constexpr (sizeof(T) == sizeof(float)) {
    _mm256_mask_storeu_ps(x, mask, _mm512_cvtpd_ps(lanes));
  } else {
    _mm512_mask_storeu_pd(x, mask, lanes);
  }
#elif defined(EWMA_VECTOR_LANES) && defined(__AVX__)
  if ((count & 4) != 0) {
    store(x, lanes);
    return;
  }
  __m128d half = _mm256_castpd256_pd128(lanes);  // some CPUs take long over a store with a mask
  if ((count & 2) != 0) {
    x[0] = static_cast<T>(half[0]), x[1] = static_cast<T>(half[1]);
    half = _mm256_extractf128_pd(lanes, 1);
    x += 2;
  }
  if ((count & 1) != 0) x[0] = static_cast<T>(half[0]);
#else
  for (int j = 0; j < kLanes; ++j) {
    if (j < count) x[j] = static_cast<T>(lanes[j]);
  }
#endif
}

// The lanes `distance` before those of `x`, which `before` stands in front of.
template <int distance>
Lanes back(const Lanes& before, const Lanes& x) {
#if defined(EWMA_EIGHT_LANES)
  return (Lanes)_mm512_alignr_epi64((__m512i)x, (__m512i)before, kLanes - distance);
#elif defined(EWMA_VECTOR_LANES)
  constexpr int first = kLanes - distance;
  return __builtin_shufflevector(before, x, first, first + 1, first + 2, first + 3);
#else
  Lanes y;
  for (int j = 0; j < kLanes; ++j)
    y[j] = j < distance ? before[j + kLanes - distance] : x[j - distance];
  return y;
#endif
}

inline Lanes all_lanes(double x) { return x - Lanes{}; }

inline double total(const Lanes& x) {
#if defined(EWMA_EIGHT_LANES)
  return _mm512_reduce_add_pd(x);
#else
  return (x[0] + x[1]) + (x[2] + x[3]);
#endif
}

inline double largest_lane(const Lanes& x) {
#if defined(EWMA_EIGHT_LANES)
  return _mm512_reduce_max_pd(x);
#else
  return larger(larger(x[0], x[1]), larger(x[2], x[3]));
#endif
}

inline double smallest_lane(const Lanes& x) { return -largest_lane(-x); }

}  // namespace EWMA_ISA
}  // namespace ewma
