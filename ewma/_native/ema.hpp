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

#include "double2.hpp"
#include "ema_kernel.hpp"
#include "powers.hpp"
#include "scale.hpp"
#include "stretch.hpp"

namespace ewma {
namespace EWMA_ISA {

// The state of one series between calls, and what moves it on.
class Series {
 public:
  Series() = default;
  Series(const Powers& powers, const Options& options) : powers_(&powers), options_(options) {
    if (!options.debias) weight_.hi = powers.steady_weight;
  }

  // Smooths the next n samples; y may be x, or null where only the state is to move on.
  template <typename T>
  void run(const T* x, T* y, std::size_t n) {
    T nowhere;
    // A first mean is its sample, exactly, as are all means at beta = 0: r + (x - r) would round.
    // At beta = 1 without bias correction all means are 0, and 1 / (1 - beta) is not a number.
    const bool in_blocks = powers_->beta > 0.0 && (options_.debias || powers_->alpha > 0.0);
    for (std::size_t i = 0; i < n;) {
      const std::size_t left = n - i;
      std::size_t done = 0;
      if (in_blocks && seen_ && left >= kWorthIt)
        done = stretch(x + i, y == nullptr ? y : y + i, left);
      if (done == 0) {
        done = !seen_ ? 1 : left < kBlock ? left : kBlock;
        for (std::size_t j = i; j < i + done; ++j) one(x[j], y == nullptr ? nowhere : y[j]);
      }
      i += done;
    }
  }

  std::size_t gaps() const { return gaps_; }

 private:
  static constexpr std::size_t kWorthIt = 16;  // fewer samples are faster one by one

  // One sample by the recurrence itself: the first, a few alone, and any block that has a missing
  // sample or changes the scale.
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
    largest_ = larger(largest_, std::fabs(x));
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
    ++gaps_;
    if (options_.ignore_na) return;
    if (options_.debias) {
      weight_ = multiply({powers_->beta, 0.0}, weight_);
      if (weight_.hi < kNegligible) weight_ = {};
    } else {
      mean_ = multiply({powers_->beta, 0.0}, mean_);
      settle();
    }
  }

  // As many of the next n samples as make a stretch.
  template <typename T>
  std::size_t stretch(const T* x, T* y, std::size_t n) {
    const bool scaled = scale_->in != 1.0;
    settle();
    if (steady()) return scaled ? run<true, true>(x, y, n) : run<false, true>(x, y, n);
    return scaled ? run<true, false>(x, y, n) : run<false, false>(x, y, n);
  }

  template <bool kScaled, bool kSteady, typename T>
  std::size_t run(const T* x, T* y, std::size_t n) {
    Stretch<T, kScaled, kSteady> stretch(*powers_, *scale_, mean_, weight_, largest_);
    const std::size_t done = stretch.run(x, y, n);
    if (done > 0) mean_ = stretch.mean(), weight_ = stretch.weight(), largest_ = stretch.largest();
    return done;
  }

  bool steady() const { return weight_.hi >= powers_->steady_weight; }

  void rescale() {
    const double factor = scale_->out * scale_[1].in;
    ++scale_;
    mean_ = {mean_.hi * factor, mean_.lo * factor};
    largest_ *= factor;
  }

  void settle() {
    if (std::fabs(mean_.hi) < kNegligible) mean_ = {};
  }

  const Powers* powers_ = nullptr;
  Options options_ = {};
  const Scale* scale_ = kScales;
  Double2 mean_;  // scaled
  Double2 weight_;
  double largest_ = 0.0;  // of |x| so far, or less; scaled
  bool seen_ = false;
  std::size_t gaps_ = 0;  // samples that were missing
};

}  // namespace EWMA_ISA
}  // namespace ewma
