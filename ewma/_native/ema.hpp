// The recurrence
//
//     w_t = beta * w_{t-1} + 1
//     y_t = y_{t-1} + (x_t - y_{t-1}) / w_t
//
// for one series that arrives in pieces: where it can by stretches (stretch.hpp), else a sample at
// a time.
//
// This file is compiled once per instruction set (ema_kernel.cpp), each time in a namespace of its
// own, so everything here and in what it includes must be a template or inside that namespace: an
// inline function shared between the copies could end up as the copy that this machine cannot run.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "double2.hpp"
#include "ema_kernel.hpp"
#include "gaps.hpp"
#include "new_pages.hpp"
#include "powers.hpp"
#include "scale.hpp"
#include "stream_kernel.hpp"
#include "stretch.hpp"

namespace ewma {
namespace EWMA_ISA {

// The state of one series between calls, and what moves it on; a line of the cache.
class alignas(64) Series {
 public:
  Series() = default;
  Series(const Powers& powers, const Options& options)
      : powers_(&powers),
        debias_(options.debias),
        ignore_na_(options.ignore_na),
        fill_(options.fill) {
    if (!options.debias) weight_.hi = powers.steady_weight;
  }
  Series(const Powers& powers, const Options& options, const StreamState& state)
      : Series(powers, options) {
    scale_ = static_cast<std::uint8_t>(state.scale);
    mean_ = {state.mean, state.mean_rest};
    if (options.debias) weight_ = {state.weight, state.weight_rest};
    largest_ = state.largest;
    seen_ = state.count > 0;
  }

  // Writes down the state after so many samples.
  void keep(std::size_t samples, StreamState& state) const {
    state.scale = scale_;
    state.mean = mean_.hi, state.mean_rest = mean_.lo;
    if (debias_) state.weight = weight_.hi, state.weight_rest = weight_.lo;
    state.largest = largest_;
    state.count += static_cast<std::int64_t>(samples - gaps_);
  }

  // Smooths the next n samples; y may be x, or null where only the state is to move on. `pages` are
  // those that y lies in.
  template <typename T>
  void run(const T* x, T* y, std::size_t n, NewPages* pages = nullptr) {
    if (n < kWorthIt && y != nullptr) {
      for (std::size_t i = 0; i < n; ++i) one(x[i], y[i]);
      return;
    }
    T nowhere;
    // A first mean is its sample, exactly, as are all means at beta = 0: r + (x - r) would round.
    // At beta = 1 without bias correction all means are 0, and 1 / (1 - beta) is not a number.
    const bool in_blocks = powers_->beta > 0.0 && (debias_ || powers_->alpha > 0.0);
    bool gaps = false;
    for (std::size_t i = 0; i < n;) {
      const std::size_t left = n - i;
      std::size_t done = 0;
      if (pages != nullptr) pages->reach(y + i + (left < kStretch ? left : kStretch));
      // Without any weight a block has nothing to start from, and one sample is the mean.
      const bool is_empty = !seen_ || weight_.hi == 0.0;
      if (in_blocks && !is_empty && left >= kWorthIt) {
        T* const to = y == nullptr ? y : y + i;
        if (gaps) done = over_gaps(x + i, to, left);  // more are likely
        if (done == 0) {
          done = stretch(x + i, to, left);
          gaps = done == 0;
          if (gaps) done = over_gaps(x + i, to, left);
        }
      }
      if (done == 0) {
        done = is_empty ? 1 : left < kBlock ? left : kBlock;
        for (std::size_t j = i; j < i + done; ++j) one(x[j], y == nullptr ? nowhere : y[j]);
      }
      i += done;
    }
  }

  bool seen() const { return seen_; }
  std::size_t gaps() const { return gaps_; }

  // What Rows moves on by itself: series of the usual scale, or of none yet, that share a weight.
  Double2 mean() const { return mean_; }
  Double2 weight() const { return weight_; }
  // (`largest_` may have missed the one sample that was not 0.)
  bool is_blank() const { return scale_ == 0 && largest_ == 0.0 && mean_.hi == 0.0; }
  bool goes_with(const Series& other) const {
    const bool same = weight_.hi == other.weight_.hi && weight_.lo == other.weight_.lo;
    return powers_->beta > 0.0 && (!scaled() || is_blank()) &&
           (same || (steady() && other.steady()));
  }
  void set(Double2 mean, Double2 weight, bool is_blank) {
    mean_ = mean, weight_ = weight, seen_ = true, first_ = 0;
    if (!is_blank && scale_ == 0) ++scale_;
    largest_ = larger(largest_, std::fabs(mean.hi));
    settle();
  }

 private:
  static constexpr std::size_t kWorthIt = kSampled;  // fewer samples are done one by one
  static constexpr std::size_t kGathered = 2048;     // samples that are looked at for gaps at once
  static constexpr double kFew = 3.0;                // samples
  static constexpr double kSlowGaps = 0.92;          // what sums round by outlasts a few samples
  static constexpr double kWideOverGaps = 0.25;      // where a weight, too, is a sum that goes on
  static constexpr double kFaint = 1 / kTwoTo128;  // a weight that the next sample makes forgotten

  // One sample by the recurrence itself: the first, a few alone, and any block that has a missing
  // sample or changes the scale.
  template <typename T>
  void one(T x_in, T& y_out) {
    const double x = static_cast<double>(x_in);
    if (!(std::fabs(x) <= kLargest)) {
      missing();
      if (!fill_) {
        y_out = x_in;
      } else {
        y_out = static_cast<T>(seen_ ? mean_.hi * scale().out : std::nan(""));
      }
      return;
    }
    while (std::fabs(x) * scale().in > kScaledLimit) rescale();
    observe(x * scale().in);
    y_out = static_cast<T>(bounded(mean_.hi * scale().out));
  }

  void observe(double x) {
    const bool was_empty = weight_.hi == 0.0, was_steady = steady();
    const Double2 decayed = multiply(powers_->beta, weight_);
    if (!was_steady) weight_ = add(1.0, decayed);
    first_ = was_empty ? 1 : first_ > 0 && first_ < kFirst ? first_ + 1 : 0;
    seen_ = true;
    largest_ = larger(largest_, std::fabs(x));
    if (was_empty || powers_->beta == 0.0) {
      mean_ = {x, 0.0};
      return;
    }
    if (weight_.hi < kFew) {  // the nearer to the sample, the more a rounded difference shows
      const Double2 keep = was_steady ? Double2{powers_->beta, 0.0} : divide(decayed, weight_);
      mean_ = add(x, multiply(keep, add(-x, mean_)));
    } else {
      const double gain = was_steady ? powers_->alpha : 1.0 / weight_.hi;
      mean_ = two_sum(mean_.hi, gain * ((x - mean_.hi) - mean_.lo) + mean_.lo);
    }
    settle();
  }

  // Over a gap the clock stops, or the weights decay: all of them when their sum is carried along,
  // and the mean itself when it is not (an undebiased mean counts what is missing as zero).
  void missing() {
    ++gaps_;
    if (ignore_na_) return;
    first_ = 0;
    if (debias_) {
      weight_ = multiply(powers_->beta, full_weight());
      if (weight_.hi < kNegligible) weight_ = {};
    } else {
      mean_ = multiply(powers_->beta, mean_);
      settle();
    }
  }

  // Some of the next n samples, if there are gaps among them; else none.
  template <typename T>
  std::size_t over_gaps(const T* x, T* y, std::size_t n) {
    if (ignore_na_ || !debias_) return between_gaps(x, y, n < kGathered ? n : kGathered);
    if (n < kBlock || powers_->beta < kExactBelow) return 0;
    return powers_->beta > kSlowGaps ? decay_over<false>(x, y) : decay_over<true>(x, y);
  }

  // If the clock stops over gaps, the samples between them, side by side, are a series without any.
  // If it does not, a mean that is not debiased counts what is missing as zero.
  template <typename T>
  std::size_t between_gaps(const T* x, T* y, std::size_t n) {
    T samples[1 + kGathered + kBehind];  // behind the mean before them
    const bool zeros = !ignore_na_;
    std::size_t good = 0;
    if (zeros) {
      for (std::size_t i = 0; i < n; ++i) {
        samples[1 + i] = either(is_there(x[i]), x[i], T(0));
        good += is_there(x[i]);
      }
    } else {
      good = close_up(x, x, n, samples + 1);
    }
    if (good == n) return 0;
    samples[0] = static_cast<T>(bounded(mean_.hi * scale().out));
    run(samples + 1, y == nullptr ? nullptr : samples + 1, zeros ? n : good);
    gaps_ += n - good;
    if (y == nullptr) return n;
    if (zeros && fill_) {
      std::memcpy(y, samples + 1, n * sizeof(T));
    } else if (zeros) {
      put_where_there(x, samples + 1, n, y);
    } else {
      open_up(x, samples, n, fill_, y);
    }
    return n;
  }

  // A block of samples over whose gaps the weights decay, as Stretch does it, but that the weight
  // is a sum over those that are there. None where the scale would change. kGoesOn: both sums go on
  // from those before the block; else they start from nothing, and the weight at the end is exact.
  template <bool kGoesOn, typename T>
  std::size_t decay_over(const T* x, T* y) {
    if (weight_.hi < kFaint) return 0;
    const Scale& scale = kScales[scale_];
    const bool is_scaled = scaled();
    weight_ = full_weight();
    // One sum after the other: what both of them keep is more than the registers.
    double means[kBlock], weights[kBlock];
    const Lanes w = all_lanes(weight_.hi), one = all_lanes(1.0);
    Lanes counts = {}, tops = {}, rests = {};
    Scan counted(*powers_);
    if (kGoesOn) counted.go_on_from(weight_.hi);
    for (int j = 0; j < kBlock; j += kLanes) {
      const Lanes n_j = where_there(load(x + j), one, Lanes{});
      counts = counts + n_j;
      Lanes w_j = counted.next(n_j);
      if constexpr (!kGoesOn) {
        const Lanes2 at_the_end = powers_->weights_at_the_end(j);
        tops = tops + n_j * at_the_end.hi;
        rests = rests + n_j * at_the_end.lo;
        w_j = w_j + w * powers_->powers(j + 1);
      }
      store(weights + j, w_j);
    }
    const double count = total(counts);
    if (count == kBlock) return 0;
    const double before = weight_.hi * mean_.lo;
    const Lanes r = all_lanes(mean_.hi), u = all_lanes(before), in = all_lanes(scale.in);
    Lanes widest = {}, largest_own = {}, farthest = {};
    Scan summed(*powers_);
    if (kGoesOn) summed.go_on_from(before);
    for (int j = 0; j < kBlock; j += kLanes) {
      const Lanes x_in = load(x + j), x_j = where_there(x_in, in * x_in, r);
      Lanes u_j = summed.next(x_j - r);
      if constexpr (!kGoesOn) {
        largest_own = larger_magnitude(largest_own, u_j);
        u_j = u_j + u * powers_->powers(j + 1);
      }
      const Lanes change = u_j / load(weights + j);
      farthest = larger_magnitude(farthest, x_j);
      widest = larger_magnitude(widest, change);
      store(means + j, r + change);
    }
    const double largest = larger(largest_lane(farthest), largest_);
    if (!(largest <= kScaledLimit)) return 0;
    const Double2 power = powers_->power(kBlock), mean_before = mean_, weight_before = weight_;
    weight_ = kGoesOn ? Double2{counted.last(), 0.0}
                      : add(multiply(power, weight_), two_sum(total(tops), total(rests)));
    if (largest_lane(widest) > (kGoesOn ? kWideOverGaps : kWideSlow) * largest ||
        largest_lane(largest_own) > kOneSided * smaller(count, weight_.hi) * largest) {
      refine_gaps(x, weights, means, before, weight_before);
    } else {
      const double passed_on = kGoesOn ? 0.0 : power.hi * before;
      mean_ = add(mean_.hi, divide(two_sum(passed_on, summed.last()), weight_));
    }
    largest_ = largest;
    first_ = 0;
    gaps_ += kBlock - static_cast<std::size_t>(count);
    if (y == nullptr) return kBlock;
    T all[kBlock];
    for (int j = 0; j < kBlock; j += kLanes) {
      const Lanes mean = load(means + j);
      store(all + j, is_scaled ? bounded(scale.out * mean) : mean);
    }
    if (fill_) {
      fill_up(x, all, kBlock, static_cast<T>(bounded(mean_before.hi * scale.out)), y);
    } else {
      put_where_there(x, all, kBlock, y);
    }
    return kBlock;
  }

  // Stretch::refine where the weight is a sum over the samples that are there: by how much a weight
  // misses its recurrence is known well, too, and both are summed up like samples.
  template <typename T>
  void refine_gaps(const T* x, const double* weights, double* means, double before,
                   Double2 weight_before) {
    const Lanes beta = all_lanes(powers_->beta), u = all_lanes(before), one = all_lanes(1.0);
    const Lanes r = all_lanes(mean_.hi), in = all_lanes(scale().in);
    const Lanes w_lo = all_lanes(weight_before.lo);
    Lanes mean_before = r, w_before = all_lanes(weight_before.hi);
    Lanes mean = {}, off = {};
    Scan missed(*powers_), uncounted(*powers_);
    for (int j = 0; j < kBlock; j += kLanes) {
      const Lanes power = powers_->powers(j + 1), x_in = load(x + j), w_j = load(weights + j);
      const Lanes n_j = where_there(x_in, one, Lanes{}), x_j = where_there(x_in, in * x_in, r);
      mean = load(means + j);
      const Lanes shifted = back<1>(mean_before, mean), w_shifted = back<1>(w_before, w_j);
      const Lanes short_by = uncounted.next(fma(beta, w_shifted, n_j - w_j)) + w_lo * power;
      const Lanes2 rise = two_sum(x_j, -shifted), fall = two_sum(shifted, -mean);
      const Lanes miss =
          fma(w_j, fall.hi, n_j * rise.hi) + (n_j * rise.lo + (w_j * fall.lo + short_by * fall.hi));
      off = missed.next(miss) + u * power;
      store(means + j, mean + off / w_j);
      mean_before = mean, w_before = w_j;
    }
    mean_ = add(mean[kLanes - 1], divide(Double2{off[kLanes - 1], 0.0}, weight_));
  }

  // As many of the next n samples as make a stretch.
  template <typename T>
  std::size_t stretch(const T* x, T* y, std::size_t n) {
    settle();
    if (scaled()) return scaled_stretch(x, y, n);
    return run_unscaled(x, y, n);
  }

  template <typename T>
  std::size_t run_unscaled(const T* x, T* y, std::size_t n) {
    if (steady()) return run<Weight::kSteady>(x, y, n);
    const bool is_first = first_ > 0 && first_ + std::size_t{kSampled} <= kFirst && y != nullptr &&
                          powers_->beta >= kExactBelow;
    return is_first ? run<Weight::kFirst>(x, y, n) : run<Weight::kGrowing>(x, y, n);
  }

  // Tiny samples, and those near the largest double, are multiplied on the way in.
  template <typename T>
  std::size_t scaled_stretch(const T* x, T* y, std::size_t n) {
    constexpr std::size_t kAtOnce = 4 * kLongBlock;
    double samples[kAtOnce], means[kAtOnce];
    const std::size_t most = n < kAtOnce ? n : kAtOnce;
    for (std::size_t i = 0; i < most; ++i) samples[i] = scale().in * static_cast<double>(x[i]);
    double* const to = y == nullptr ? nullptr : means;
    const std::size_t done = run_unscaled(samples, to, most);
    if (y == nullptr) return done;
    for (std::size_t i = 0; i < done; ++i) y[i] = static_cast<T>(bounded(means[i] * scale().out));
    return done;
  }

  template <Weight kWeight, typename T>
  std::size_t run(const T* x, T* y, std::size_t n) {
    Stretch<T, kWeight> stretch(*powers_, mean_, weight_, largest_, first_);
    const std::size_t done = stretch.run(x, y, n);
    if (first_ > 0) first_ = first_ + done <= kFirst ? first_ + done : 0;
    if (done > 0) mean_ = stretch.mean(), weight_ = stretch.weight(), largest_ = stretch.largest();
    return done;
  }

  const Scale& scale() const { return kScales[scale_]; }
  bool scaled() const { return scale().in != 1.0; }
  bool steady() const { return powers_->is_steady(weight_.hi); }
  // A weight that has stopped growing is short of its limit by up to an ulp.
  Double2 full_weight() const { return steady() ? powers_->full_weight : weight_; }

  void rescale() {
    const double factor = scale().out * kScales[scale_ + 1].in;
    ++scale_;
    mean_ = {mean_.hi * factor, mean_.lo * factor};
    largest_ *= factor;
  }

  void settle() {
    if (std::fabs(mean_.hi) < kNegligible) mean_ = {};
  }

  const Powers* powers_ = nullptr;
  Double2 mean_;  // scaled
  Double2 weight_;
  double largest_ = 0.0;     // of |x| so far, or less; scaled
  std::size_t gaps_ = 0;     // samples that were missing
  std::uint16_t first_ = 0;  // samples since an empty start, as long as none counts for less; or 0
  std::uint8_t scale_ = 0;
  bool seen_ = false;
  bool debias_ = false, ignore_na_ = false, fill_ = false;
};
static_assert(sizeof(Series) == 64);

}  // namespace EWMA_ISA
}  // namespace ewma
