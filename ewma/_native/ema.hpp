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
constexpr int kGroups = kBlock / kLanes;

// kLanes doubles, worked on side by side: a vector type of GCC and Clang, or plain loops.
#if defined(__GNUC__) && !defined(EWMA_PLAIN_LANES)
typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double))));
inline Lanes larger(const Lanes& a, const Lanes& b) { return a > b ? a : b; }
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
inline Lanes larger(const Lanes& a, const Lanes& b) {
  Lanes c;
  for (int j = 0; j < kLanes; ++j) c.lane[j] = a.lane[j] > b.lane[j] ? a.lane[j] : b.lane[j];
  return c;
}
#endif

// Samples that are read one by one and spread over all lanes come faster from memory, which does so
// while it loads, than by shuffling the register they were just in, as a compiler would have it.
inline void keep_in_memory(const double* x) {
#if defined(__GNUC__)
  __asm__ volatile("" : : "r"(x) : "memory");
#else
  (void)x;
#endif
}

inline double larger(double a, double b) { return a > b ? a : b; }

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
// far, so that neither sums near the largest double overflow nor denormals lose bits or time. The
// scale changes when a scaled sample would exceed kScaledLimit.
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
constexpr double kBlockLimit = 64 * kScaledLimit * kScaledLimit;  // of a block's sum of squares
// A state below this, in scaled units, is zero beside any sample that led to this scale: let go of,
// so that a long run of zeros does not end in denormals.
constexpr double kNegligible = 1 / kTwoTo768;

// A block is measured from r, a mean of its samples, so a sample that towers over all before it
// would cost the ones just before their digits, or more: up to this many times the largest square
// so far, 8 times the largest |x|, a block is worked on as a whole.
constexpr double kTowering = 64.0;

// Below this beta a block's results are polished, see Series::polish.
constexpr double kPolishBelow = 0.6;
// A block whose mean squared difference from r, or the mean before it, exceeds this part of the
// largest square so far is refined, see Series::refine.
constexpr double kWide = 0.43;

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
    while (std::fabs(x) * scale_->in > kScaledLimit) rescale();
    observe(x * scale_->in);
    y_out = static_cast<T>(bounded(mean_.hi * scale_->out));
  }

  void observe(double x) {
    const double old_weight = weight_.hi;
    const bool was_steady = steady();
    if (!was_steady) {
      weight_ = add(multiply({powers_->beta, 0.0}, weight_), {1.0, 0.0});
    }
    seen_ = true;
    peak_ = larger(peak_, x * x);
    if (old_weight == 0.0 || powers_->beta == 0.0) {
      mean_ = {x, 0.0};
      return;
    }
    const double gain = was_steady ? powers_->alpha : 1.0 / weight_.hi;
    const double change = (x - mean_.hi) - mean_.lo;
    if (gain > 0.5) {  // nearer to the sample than to the mean: start there
      const double keep = was_steady ? powers_->beta : powers_->beta * old_weight * gain;
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
    constexpr int kLast = kBlock - 1;
    Lanes scaled[kGroups], squares[kGroups], largest = {};
    for (int k = 0; k < kGroups; ++k) {
      scaled[k] = scale_->in * load(x + k * kLanes);
      squares[k] = scaled[k] * scaled[k];
      largest = larger(largest, squares[k]);
    }
    // One comparison for all: NaN, infinity and what is too large for this scale.
    if (!(total(squares) <= kBlockLimit)) return false;
    const double peak = larger(larger(largest[0], largest[1]), larger(largest[2], largest[3]));
    if (peak > kTowering * peak_) return false;
    peak_ = larger(peak_, peak);

    settle();

    // The mean of the first group: of equal samples it is their own value, exactly.
    const double r =
        ((scaled[0][0] + scaled[0][1]) + (scaled[0][2] + scaled[0][3])) * (1.0 / kLanes);
    const Lanes all_r = {r, r, r, r};
    double differences[kBlock];
    for (int k = 0; k < kGroups; ++k) {
      const Lanes difference = scaled[k] - all_r;
      store(differences + k * kLanes, difference);
      squares[k] = difference * difference;
    }
    const Double2 mean = mean_;
    const double past = (mean.hi - r) + mean.lo;
    const bool wide = larger(total(squares) / kBlock, past * past) > kWide * peak_;

    const Gains* gains = steady_;
    Gains current;
    if (!steady()) {
      current.at(*powers_, weight_.hi);
      gains = &current;
      weight_ = add(multiply(powers_->block_power, weight_), powers_->block_sum);
    }
    Lanes sums[kGroups];
    const double carry = scan(differences, sums);
    Lanes means[kGroups];
    for (int k = 0; k < kGroups; ++k) {
      const int j = k * kLanes;
      const Lanes change = load(gains->gain + j) * sums[k] + past * load(gains->past + j);
      means[k] = k < gains->from_mean ? mean.hi + (mean.lo + change) : r + change;
    }
    if (powers_->beta < kPolishBelow) {
      for (int pass = 0; pass < 2; ++pass) polish(scaled, *gains, mean.hi, means);
      mean_ = {means[kGroups - 1][kLanes - 1], 0.0};
    } else if (wide && gains->gain[0] > 0.0) {
      mean_ = refine(scaled, *gains, mean, means);
    } else {
      const double change = gains->gain[kLast] * carry + gains->past[kLast] * past;
      mean_ = gains->from_mean == kGroups ? two_sum(mean.hi, change + mean.lo) : two_sum(r, change);
    }
    const double out = scale_->out;
    if (out > 1.0) {
      for (int k = 0; k < kGroups; ++k) store(y + k * kLanes, bounded(out * means[k]));
    } else {
      for (int k = 0; k < kGroups; ++k) store(y + k * kLanes, out * means[k]);
    }
    return true;
  }

  // The sum of all, in pairs of pairs: one after the other, each addition would wait for the last.
  static double total(const Lanes* x) {
    static_assert(kGroups == 8, "three rounds of pairs");
    const Lanes sum = ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }

  // sums_j = sum_{i<=j} beta^(j-i) * x_i; returns the last.
  double scan(const double* x, Lanes* sums) const {
    keep_in_memory(x);
    const double* w = powers_->local;
    const Lanes w0 = load(w + 3), w1 = load(w + 2), w2 = load(w + 1), w3 = load(w);
    for (int k = 0; k < kGroups; ++k, x += kLanes) {
      sums[k] = (x[0] * w0 + x[1] * w1) + (x[2] * w2 + x[3] * w3);
    }
    const Lanes reach = load(powers_->power + 1);
    double carry = sums[0][kLanes - 1];
    for (int k = 1; k < kGroups; ++k) {
      const double next = sums[k][kLanes - 1] + powers_->power[kLanes] * carry;
      sums[k] = sums[k] + carry * reach;
      carry = next;
    }
    return carry;
  }

  // With a small beta each result is close to its sample, and to start from there,
  // x_j + (1 - g_j) * (y_{j-1} - x_j), leaves only a part beta of what y_{j-1} was off by.
  static void polish(const Lanes* x, const Gains& gains, double mean, Lanes* y) {
    double before = mean;
    for (int k = 0; k < kGroups; ++k) {
      const Lanes old = y[k];
      const Lanes shifted = {before, old[0], old[1], old[2]};
      y[k] = x[k] + load(gains.keep + k * kLanes) * (shifted - x[k]);
      before = old[kLanes - 1];
    }
  }

  // Where the samples jump as far as they reach, as in a square wave, a block's sums are large
  // beside its results and round them off by a few ulp. By how much a result misses the recurrence,
  //
  //     m_j = y_{j-1} + g_j * (x_j - y_{j-1}) - y_j,
  //
  // is small and so known well, and adding up misses like samples gives what y_j is off by:
  // g_j * sum_{i<=j} beta^(j-i) * m_i / g_i. Returns the last mean. The gain must not be 0, as it
  // is at beta = 1 without bias correction: all means are 0 there.
  Double2 refine(const Lanes* x, const Gains& gains, Double2 mean, Lanes* y) const {
    double misses[kBlock];
    double before = mean.hi;
    for (int k = 0; k < kGroups; ++k) {
      const Lanes g = load(gains.gain + k * kLanes);
      const Lanes shifted = {before, y[k][0], y[k][1], y[k][2]};
      store(misses + k * kLanes, (g * (x[k] - shifted) + (shifted - y[k])) / g);
      before = y[k][kLanes - 1];
    }
    misses[0] += (1.0 / gains.gain[0] - 1.0) * mean.lo;
    Lanes off[kGroups];
    const double carry = scan(misses, off);
    for (int k = 0; k < kGroups; ++k) y[k] = y[k] + load(gains.gain + k * kLanes) * off[k];
    return two_sum(before, gains.gain[kBlock - 1] * carry);
  }

  bool steady() const { return weight_.hi >= powers_->steady_weight; }

  // A mean lies within its samples; rounding must not carry it past the largest double.
  static double bounded(double y) {
    return y > kLargest ? kLargest : (y < -kLargest ? -kLargest : y);
  }

  static Lanes bounded(const Lanes& y) {
    return Lanes{bounded(y[0]), bounded(y[1]), bounded(y[2]), bounded(y[3])};
  }

  void rescale() {
    const double factor = scale_->out * scale_[1].in;
    ++scale_;
    mean_ = {mean_.hi * factor, mean_.lo * factor};
    peak_ *= factor * factor;
  }

  void settle() {
    if (std::fabs(mean_.hi) < kNegligible) mean_ = {};
  }

  const Powers* powers_ = nullptr;
  const Gains* steady_ = nullptr;
  Options options_ = {};
  const Scale* scale_ = kScales;
  Double2 mean_;  // scaled
  Double2 weight_;
  double peak_ = 0.0;  // the largest x * x so far, scaled
  bool seen_ = false;
};

}  // namespace EWMA_ISA
}  // namespace ewma
