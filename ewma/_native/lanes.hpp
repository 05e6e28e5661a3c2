// kLanes doubles, worked on side by side: a vector type of GCC and Clang, or plain loops.
#pragma once

#include <cmath>
#include <cstring>

#if defined(__AVX__) && !defined(EWMA_PLAIN_LANES)
#include <immintrin.h>
#endif

namespace ewma {
namespace EWMA_ISA {

constexpr int kLanes = 4;  // one AVX2 register of doubles, two of SSE2 or NEON

#if defined(__has_builtin) && !defined(EWMA_PLAIN_LANES)
#if __has_builtin(__builtin_shufflevector)
#define EWMA_VECTOR_LANES
#endif
#endif

#if defined(EWMA_VECTOR_LANES)
typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double))));
#define EWMA_PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
inline Lanes magnitude(const Lanes& x) {
  typedef long long Bits __attribute__((vector_size(kLanes * sizeof(long long))));
  return (Lanes)((Bits)x & 0x7fffffffffffffffLL);
}
#if defined(__AVX__)
// GCC makes a comparison and a masked move of the line below.
inline Lanes larger(const Lanes& a, const Lanes& b) { return _mm256_max_pd(a, b); }
#else
inline Lanes larger(const Lanes& a, const Lanes& b) { return a > b ? a : b; }
#endif
#else
struct Lanes {
  double lane[kLanes];
  double operator[](int j) const { return lane[j]; }
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
inline double pick(const Lanes& a, const Lanes& b, int i) {
  return i < kLanes ? a[i] : b[i - kLanes];
}
#define EWMA_PICK(a, b, i, j, k, l) \
  Lanes { pick(a, b, i), pick(a, b, j), pick(a, b, k), pick(a, b, l) }
inline Lanes magnitude(const Lanes& x) {
  return {std::fabs(x[0]), std::fabs(x[1]), std::fabs(x[2]), std::fabs(x[3])};
}
inline Lanes larger(const Lanes& a, const Lanes& b) {
  Lanes c;
  for (int j = 0; j < kLanes; ++j) c.lane[j] = a[j] > b[j] ? a[j] : b[j];
  return c;
}
#endif

inline Lanes load(const double* x) {
  Lanes lanes;
  std::memcpy(&lanes, x, sizeof lanes);
  return lanes;
}
inline void store(double* x, const Lanes& lanes) { std::memcpy(x, &lanes, sizeof lanes); }

inline Lanes load(const float* x) { return Lanes{x[0], x[1], x[2], x[3]}; }
inline void store(float* x, const Lanes& lanes) {
  for (int j = 0; j < kLanes; ++j) x[j] = static_cast<float>(lanes[j]);
}

// The lanes one or two before those of `x`, which `before` stands in front of.
inline Lanes back_1(const Lanes& before, const Lanes& x) {
  return EWMA_PICK(before, x, 3, 4, 5, 6);
}
inline Lanes back_2(const Lanes& before, const Lanes& x) {
  return EWMA_PICK(before, x, 2, 3, 4, 5);
}

inline double larger(double a, double b) { return a > b ? a : b; }
inline double largest_lane(const Lanes& x) {
  return larger(larger(x[0], x[1]), larger(x[2], x[3]));
}

inline Lanes all_lanes(double x) { return Lanes{x, x, x, x}; }

inline double total(const Lanes& x) { return (x[0] + x[1]) + (x[2] + x[3]); }

}  // namespace EWMA_ISA
}  // namespace ewma
