// A number as an unevaluated sum hi + lo, for what is carried from block to block: over
// 1 / (1 - beta) samples even half an ulp a step would add up.
#pragma once

#include <cmath>

namespace ewma {
namespace EWMA_ISA {

struct Double2 {
  double hi = 0.0;
  double lo = 0.0;
};

// Knuth's sum: hi + lo == a + b exactly.
inline Double2 two_sum(double a, double b) {
  const double s = a + b;
  const double b_rounded = s - a;
  return {s, (a - (s - b_rounded)) + (b - b_rounded)};
}

inline Double2 add(Double2 a, Double2 b) {
  const Double2 s = two_sum(a.hi, b.hi);
  return two_sum(s.hi, s.lo + (a.lo + b.lo));
}

inline Double2 multiply(Double2 a, Double2 b) {
  const double p = a.hi * b.hi;
  return two_sum(p, std::fma(a.hi, b.hi, -p) + (a.hi * b.lo + a.lo * b.hi));
}

inline Double2 divide(Double2 a, Double2 b) {
  const double q = a.hi / b.hi;
  return two_sum(q, (std::fma(-q, b.hi, a.hi) + (a.lo - q * b.lo)) / b.hi);
}

}  // namespace EWMA_ISA
}  // namespace ewma
