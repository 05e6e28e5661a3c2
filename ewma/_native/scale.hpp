// The scale that a series is worked on at.
#pragma once

#include <cmath>
#include <cstddef>

#include "lanes.hpp"

namespace ewma {
namespace EWMA_ISA {

// A series' samples are multiplied by a power of two on the way in, chosen by the largest |x| so
// far, so that neither sums near the largest double overflow nor denormals lose bits or time. The
// scale changes when a scaled sample would exceed kScaledLimit, but for one amid a block of means
// (stretch.hpp) that is forgotten before this ends.
struct Scale {
  double in;   // multiplies samples
  double out;  // 1 / in
};
constexpr double kTwoTo128 = 3.402823669209384634633746074317682e38;
constexpr double kTwoTo512 = kTwoTo128 * kTwoTo128 * kTwoTo128 * kTwoTo128;
constexpr double kTwoTo640 = kTwoTo512 * kTwoTo128;
constexpr double kTwoTo768 = kTwoTo640 * kTwoTo128;
constexpr double kLargest = 1.7976931348623157e308;
constexpr Scale kScales[] = {
    {kTwoTo640, 1 / kTwoTo640},  // all samples so far are tiny (or 0)
    {1.0, 1.0},                  // the usual case
    {1 / kTwoTo768, kTwoTo768},  // some are near the largest double
};
constexpr double kScaledLimit = kTwoTo128 * kTwoTo128 * kTwoTo128;
// A state below this, in scaled units, is zero beside any sample that led to this scale: let go of,
// so that a long run of zeros does not end in denormals.
constexpr double kNegligible = 1 / kTwoTo768;

inline void settle(double* hi, double* lo, std::size_t count) {
  for (std::size_t j = 0; j < count; ++j) {
    const bool shows = std::fabs(hi[j]) >= kNegligible;
    hi[j] = shows ? hi[j] : 0.0, lo[j] = shows ? lo[j] : 0.0;
  }
}

// Whether a sample alone is of the first scale.
inline bool is_tiny(double x) { return x != 0.0 && std::fabs(x) * kScales[0].in <= kScaledLimit; }

// A mean lies within its samples; rounding must not carry it past the largest double.
inline double bounded(double y) {
  return y > kLargest ? kLargest : (y < -kLargest ? -kLargest : y);
}
inline Lanes bounded(const Lanes& y) {
  Lanes z;
  for (int j = 0; j < kLanes; ++j) z[j] = bounded(y[j]);
  return z;
}

}  // namespace EWMA_ISA
}  // namespace ewma
