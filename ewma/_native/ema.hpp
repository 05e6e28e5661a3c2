// The recurrence, for one series that arrives in stretches:
//
//     w_t = beta * w_{t-1} + 1
//     y_t = y_{t-1} + (x_t - y_{t-1}) / w_t
//
// Written like that, every sample waits for the result of the one before. Unrolled over a block of
// L samples, with y and w the state before the block, it waits once per block. For any r,
//
//     y_j = r + g_j * D_j + p_j * (y - r)                        j = 0 .. L-1
//         = y + g_j * D_j - (1 - p_j) * (y - r)
//
//     D_j = sum_{i<=j} beta^(j-i) * (x_i - r)                    the block's own sums: no waiting
//     g_j = 1 / w_j = 1 / (beta^(j+1) * w + 1 + beta + ... + beta^j)
//     p_j = beta^(j+1) * w / w_j                                 how much the past still counts
//
// The first form serves where the past counts less than half, the second where it counts more.
// Differences from r, which is near the samples, make a constant series come out unchanged, to the
// bit, and keep a large offset from costing digits.
//
// This file is compiled once per instruction set (ema_kernel.cpp), each time in a namespace of its
// own, so everything here must be a template or inside that namespace: an inline function shared
// between the copies could end up as the copy that this machine cannot run.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>

#include "ema_kernel.hpp"

namespace ewma {

namespace EWMA_ISA {

constexpr int kLanes = 4;   // one AVX2 register of doubles, two of SSE2 or NEON
constexpr int kBlock = 32;  // samples that wait together

// kLanes doubles, worked on side by side.
#if defined(__GNUC__)
typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double))));
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
#endif

inline Lanes load(const double* x) {
  Lanes lanes;
  std::memcpy(&lanes, x, sizeof lanes);
  return lanes;
}
inline void store(double* x, const Lanes& lanes) { std::memcpy(x, &lanes, sizeof lanes); }

// A number as an unevaluated sum hi + lo, |lo| <= ulp(hi) / 2. The mean and the weight are carried
// like this: over 1 / (1 - beta) samples even half an ulp a step would add up.
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

// Everything that depends on beta alone.
struct Powers {
  double beta = 0.0;
  double alpha = 0.0;              // 1 - beta
  double steady_weight = 0.0;      // 1 / (1 - beta), less a few ulp: the weight stops growing here
  double local[2 * kLanes];        // local[kLanes - 1 + k] = beta^k, zero for k < 0
  double power[kBlock + 1];        // beta^k
  double sum[kBlock + 1];          // 1 + beta + ... + beta^(k-1)
  Double2 block_power, block_sum;  // the same two at k = kBlock

  explicit Powers(double b) : beta(b), alpha(1.0 - b) {
    // Doubling in Double2: powers and sums right to the last bit, without a call of pow.
    double power_lo[kBlock + 1], sum_lo[kBlock + 1];
    power[0] = 1.0, power_lo[0] = 0.0, sum[0] = 0.0, sum_lo[0] = 0.0;
    power[1] = beta, power_lo[1] = 0.0, sum[1] = 1.0, sum_lo[1] = 0.0;
    for (int k = 1; k < kBlock; k *= 2) {
      const Double2 factor{power[k], power_lo[k]}, offset{sum[k], sum_lo[k]};
      for (int i = 1; i <= k; ++i) {
        const Double2 p = multiply(factor, {power[i], power_lo[i]});
        const Double2 s = add(offset, multiply(factor, {sum[i], sum_lo[i]}));
        power[k + i] = p.hi, power_lo[k + i] = p.lo;
        sum[k + i] = s.hi, sum_lo[k + i] = s.lo;
      }
    }
    block_power = {power[kBlock], power_lo[kBlock]};
    block_sum = {sum[kBlock], sum_lo[kBlock]};
    for (int k = 0; k < 2 * kLanes; ++k) {
      local[k] = k < kLanes - 1 ? 0.0 : power[k - (kLanes - 1)];
    }
    steady_weight = (1.0 - 0x1p-52) / alpha;  // infinity at beta = 1: never reached
  }
};

// A series' samples are multiplied by a power of two on the way in, chosen by the largest |x| so
// far, so that neither sums near the largest double overflow nor denormals lose bits or time.
struct Scale {
  double in;     // multiplies samples
  double out;    // 1 / in
  double limit;  // |x| up to here may be processed at this scale
};
constexpr double kTwoTo128 = 3.402823669209384634633746074317682e38;
constexpr double kTwoTo640 = kTwoTo128 * kTwoTo128 * kTwoTo128 * kTwoTo128 * kTwoTo128;
constexpr double kTwoTo896 = kTwoTo640 * kTwoTo128 * kTwoTo128;
constexpr double kLargest = 1.7976931348623157e308;
constexpr Scale kScales[] = {
    {kTwoTo640, 1 / kTwoTo640, 1 / kTwoTo640},  // all samples so far are tiny (or 0)
    {1.0, 1.0, kTwoTo896},                      // the usual case
    {1 / kTwoTo128, kTwoTo128, kLargest},       // some are near the largest double
};
// A state below this, in scaled units, is zero beside any sample that led to this scale: let go of,
// so that a long run of zeros does not end in denormals.
constexpr double kNegligible = 1 / kTwoTo896;

// A block is measured from r, a mean of its samples, so a sample that towers over all before it
// would cost the ones just before their digits, or more: up to this many times the largest |x| so
// far a block is worked on as a whole.
constexpr double kTowering = 8.0;

// Below this beta a block's results are polished, see Series::polish.
constexpr double kPolishBelow = 0.6;

// What the weight before a block makes of it.
struct Gains {
  double gain[kBlock];  // g_j
  double past[kBlock];  // what multiplies y - r: p_j, or p_j - 1 in the groups that start at y
  double keep[kBlock];  // 1 - g_j = beta * w_{j-1} / w_j
  int from_mean;        // how many groups of lanes start at y

  // In the first blocks, and after gaps.
  void at(const Powers& powers, double weight) {
    from_mean = 0;
    for (int j = 0; j < kBlock; j += kLanes) {
      const Lanes left = weight * load(powers.power + j + 1), sum = load(powers.sum + j + 1);
      const Lanes g = 1.0 / (left + sum);
      const bool mean = left[0] > sum[0];
      store(gain + j, g);
      store(past + j, mean ? -1.0 * sum * g : left * g);
      if (powers.beta < kPolishBelow) {
        store(keep + j, powers.beta * (weight * load(powers.power + j) + load(powers.sum + j)) * g);
      }
      from_mean += mean;
    }
  }

  // For good, once the weight has stopped growing.
  void steady(const Powers& powers) {
    from_mean = 0;
    for (int j = 0; j < kBlock; ++j) {
      const bool mean = powers.power[j / kLanes * kLanes + 1] > 0.5;
      gain[j] = powers.alpha;
      past[j] = mean ? -powers.alpha * powers.sum[j + 1] : powers.power[j + 1];
      keep[j] = powers.beta;
      if (j % kLanes == 0) from_mean += mean;
    }
  }
};

// The state of one series between calls, and what moves it on.
class Series {
 public:
  Series() = default;
  Series(const Powers& powers, const Gains& steady, const Options& options)
      : powers_(&powers), steady_(&steady), options_(options) {
    if (!options.debias) weight_.hi = powers.steady_weight;
  }

  // Smooths the next n samples; y may be x.
  template <typename T>
  void run(const T* x, T* y, std::size_t n) {
    std::size_t i = 0;
    if (powers_->beta > 0.0) {
      // A first mean is its sample, exactly; the block's r + (x - r) would round.
      for (; i < n && !seen_; ++i) one(x[i], y[i]);
      while (n - i >= kBlock) {
        if (!block(x + i, y + i)) {
          for (int j = 0; j < kBlock; ++j) one(x[i + j], y[i + j]);
        }
        i += kBlock;
      }
    }
    for (; i < n; ++i) one(x[i], y[i]);
  }

 private:
  // One sample by the recurrence itself: the first, the odd ones at the end, and any block that
  // has a missing sample, one that towers over the past, or changes the scale.
  template <typename T>
  void one(T x_in, T& y_out) {
    const double x = static_cast<double>(x_in);
    if (!(std::fabs(x) <= kLargest)) {
      missing();
      if (!options_.fill) {
        y_out = x_in;
      } else {
        y_out = static_cast<T>(seen_ ? mean_.hi * scale_->out : std::nan(""));
      }
      return;
    }
    const double size = std::fabs(x);
    while (size > scale_->limit) rescale();
    if (kTowering * size > familiar_) familiar_ = std::fmin(kTowering * size, scale_->limit);
    observe(x * scale_->in);
    y_out = static_cast<T>(unscaled(mean_.hi));
  }

  void observe(double x) {
    const double old_weight = weight_.hi;
    if (!steady()) {
      weight_ = add(multiply({powers_->beta, 0.0}, weight_), {1.0, 0.0});
    }
    seen_ = true;
    if (old_weight == 0.0 || powers_->beta == 0.0) {
      mean_ = {x, 0.0};
      return;
    }
    const double gain = steady() ? powers_->alpha : 1.0 / weight_.hi;
    const double change = (x - mean_.hi) - mean_.lo;
    if (gain > 0.5) {  // nearer to the sample than to the mean: start there
      const double keep = steady() ? powers_->beta : powers_->beta * old_weight * gain;
      mean_ = two_sum(x, -keep * change);
    } else {
      mean_ = two_sum(mean_.hi, gain * change + mean_.lo);
    }
    settle();
  }

  // Over a gap the clock stops, or the weights decay: all of them when their sum is carried along,
  // and the mean itself when it is not (an undebiased mean counts what is missing as zero).
  void missing() {
    if (options_.ignore_na) return;
    if (options_.debias) {
      weight_ = multiply({powers_->beta, 0.0}, weight_);
      if (weight_.hi < kNegligible) weight_ = {};
    } else {
      mean_ = multiply({powers_->beta, 0.0}, mean_);
      settle();
    }
  }

  template <typename T>
  bool block(const T* x, T* y) {
    double scaled[kBlock], results[kBlock + 1];
    double* const result = results + 1;
    result[-1] = mean_.hi;
    const double limit = familiar_, in = scale_->in;
    int good = 1;
    for (int i = 0; i < kBlock; ++i) {
      const double value = static_cast<double>(x[i]);
      good &= std::fabs(value) <= limit;  // false for NaN and infinity too
      scaled[i] = value * in;
    }
    if (!good) return false;

    const Gains* gains = steady_;
    Gains current;
    if (!steady()) {
      current.at(*powers_, weight_.hi);
      gains = &current;
      weight_ = add(multiply(powers_->block_power, weight_), powers_->block_sum);
    }
    settle();

    constexpr int kGroups = kBlock / kLanes, kLast = kBlock - 1;
    // The mean of the first group: of equal samples it is their own value, exactly.
    const double r = ((scaled[0] + scaled[1]) + (scaled[2] + scaled[3])) * (1.0 / kLanes);
    Lanes sums[kGroups];
    for (int k = 0; k < kGroups; ++k) {
      sums[k] = (scaled[k * kLanes] - r) * load(powers_->local + (kLanes - 1));
      for (int i = 1; i < kLanes; ++i) {
        sums[k] = sums[k] + (scaled[k * kLanes + i] - r) * load(powers_->local + (kLanes - 1 - i));
      }
    }
    const Lanes reach = load(powers_->power + 1);
    for (int k = 1; k < kGroups; ++k) sums[k] = sums[k] + sums[k - 1][kLanes - 1] * reach;

    const Double2 mean = mean_;
    const double past = (mean.hi - r) + mean.lo;
    for (int k = 0; k < kGroups; ++k) {
      const int j = k * kLanes;
      const bool from_mean = k < gains->from_mean;
      const double start = from_mean ? mean.hi : r, rest = from_mean ? mean.lo : 0.0;
      const Lanes change = past * load(gains->past + j) + rest;
      store(result + j, start + (load(gains->gain + j) * sums[k] + change));
    }
    if (powers_->beta < kPolishBelow) {
      polish(scaled, *gains, result);
      mean_ = {result[kLast], 0.0};
    } else {
      const double change =
          gains->gain[kLast] * sums[kGroups - 1][kLanes - 1] + gains->past[kLast] * past;
      mean_ = gains->from_mean == kGroups ? two_sum(mean.hi, change + mean.lo) : two_sum(r, change);
    }
    const double out = scale_->out;
    if (out <= 1.0) {
      for (int j = 0; j < kBlock; ++j) y[j] = static_cast<T>(result[j] * out);
    } else {
      for (int j = 0; j < kBlock; ++j) y[j] = static_cast<T>(unscaled(result[j]));
    }
    return true;
  }

  // With a small beta each result is close to its sample, and to start from there,
  // x_j + (1 - g_j) * (y_{j-1} - x_j), leaves only a part beta of what y_{j-1} was off by.
  static void polish(const double* x, const Gains& gains, double* y) {
    for (int pass = 0; pass < 2; ++pass) {
      Lanes before = load(y - 1);
      for (int j = 0; j < kBlock; j += kLanes) {
        const Lanes x_j = load(x + j), next = load(y + j + kLanes - 1);
        store(y + j, x_j + load(gains.keep + j) * (before - x_j));
        before = next;
      }
    }
  }

  bool steady() const { return weight_.hi >= powers_->steady_weight; }

  // A mean lies within its samples; rounding must not carry it past the largest double.
  double unscaled(double mean) const {
    const double y = mean * scale_->out;
    return y > kLargest ? kLargest : (y < -kLargest ? -kLargest : y);
  }

  void rescale() {
    const double factor = scale_->out * scale_[1].in;
    ++scale_;
    mean_ = {mean_.hi * factor, mean_.lo * factor};
  }

  void settle() {
    if (std::fabs(mean_.hi) < kNegligible) mean_ = {};
  }

  const Powers* powers_ = nullptr;
  const Gains* steady_ = nullptr;
  Options options_ = {};
  const Scale* scale_ = kScales;
  double familiar_ = 0.0;  // |x| up to here may be in a block
  Double2 mean_;  // scaled
  Double2 weight_;
  bool seen_ = false;
};

}  // namespace EWMA_ISA
}  // namespace ewma
