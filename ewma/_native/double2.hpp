// A number as an unevaluated sum hi + lo, for what is carried from block to block: over
// 1 / (1 - beta) samples even half an ulp a step would add up. The same for lanes of numbers.
#pragma once

#include <cmath>

#include "lanes.hpp"

namespace ewma {
namespace EWMA_ISA {

template <typename Number>
struct Twofold {
  Number hi = {};
  Number lo = {};
};
using Double2 = Twofold<double>;
using Lanes2 = Twofold<Lanes>;

inline Lanes2 all_lanes(const Double2& x) { return {all_lanes(x.hi), all_lanes(x.lo)}; }

using std::fma;

// Knuth's sum: hi + lo == a + b exactly.
template <typename Number>
inline Twofold<Number> two_sum(const Number& a, const Number& b) {
  const Number s = a + b;
  const Number b_rounded = s - a;
  return {s, (a - (s - b_rounded)) + (b - b_rounded)};
}

// The same where |a| >= |b|, or a == 0 (Dekker).
template <typename Number>
inline Twofold<Number> fast_two_sum(const Number& a, const Number& b) {
  const Number s = a + b;
  return {s, b - (s - a)};
}

// What cancels leaves either nothing or at least the rest of b.
template <typename Number>
inline Twofold<Number> add(const Number& a, const Twofold<Number>& b) {
  const Twofold<Number> s = two_sum(a, b.hi);
  return fast_two_sum(s.hi, s.lo + b.lo);
}

template <typename Number>
inline Twofold<Number> add(const Twofold<Number>& a, const Twofold<Number>& b) {
  const Twofold<Number> s = two_sum(a.hi, b.hi);
  return two_sum(s.hi, s.lo + (a.lo + b.lo));
}

template <typename Number>
inline Twofold<Number> multiply(const Number& a, const Twofold<Number>& b) {
  const Number p = a * b.hi;
  return fast_two_sum(p, fma(a, b.hi, -p) + a * b.lo);
}

template <typename Number>
inline Twofold<Number> multiply(const Twofold<Number>& a, const Twofold<Number>& b) {
  const Number p = a.hi * b.hi;
  return fast_two_sum(p, fma(a.hi, b.hi, -p) + (a.hi * b.lo + a.lo * b.hi));
}

template <typename Number>
inline Twofold<Number> divide(const Twofold<Number>& a, const Twofold<Number>& b) {
  const Number q = a.hi / b.hi;
  return fast_two_sum(q, (fma(-q, b.hi, a.hi) + (a.lo - q * b.lo)) / b.hi);
}

}  // namespace EWMA_ISA
}  // namespace ewma
