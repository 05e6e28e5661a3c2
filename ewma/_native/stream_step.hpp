// One step of the recurrence on a state that is kept between calls, where the decay may differ from
// step to step:
//
//     w_t = a_t * w_{t-1} + 1                     weight
//     y_t = y_{t-1} + (x_t - y_{t-1}) / w_t       mean
//
// and y_t = y_{t-1} + b_t * (x_t - y_{t-1}), b_t = 1 - a_t, without bias correction. The state has
// twice the digits of a double, so that a million steps lose no more than one.
#pragma once

#include <cmath>

#include "double2.hpp"
#include "scale.hpp"
#include "stream_kernel.hpp"

namespace ewma {
namespace EWMA_ISA {

static_assert(sizeof kScales / sizeof *kScales == kScaleCount);

inline void set_mean(StreamState& state, Double2 mean) {
  if (std::fabs(mean.hi) < kNegligible) mean = {};
  state.mean = mean.hi, state.mean_rest = mean.lo;
}

inline void set_weight(StreamState& state, Double2 weight) {
  if (weight.hi < kNegligible) weight = {};
  state.weight = weight.hi, state.weight_rest = weight.lo;
}

inline void to_scale(StreamState& state, std::int64_t scale) {
  while (state.scale < scale) {
    const double factor = kScales[state.scale].out * kScales[state.scale + 1].in;
    ++state.scale;
    state.mean *= factor, state.mean_rest *= factor, state.largest *= factor;
  }
}

inline double unscaled_mean(const StreamState& state) {
  return state.count > 0 ? bounded(state.mean * kScales[state.scale].out) : std::nan("");
}

// A mean that keeps a part `keep` of itself and takes a part `gain` of the sample, 1 together.
inline void move_mean(StreamState& state, double x, double gain, double keep) {
  const double change = (x - state.mean) - state.mean_rest;
  if (gain > 0.5) {  // nearer to the sample than to the mean: start there
    set_mean(state, two_sum(x, -keep * change));
  } else {
    set_mean(state, two_sum(state.mean, gain * change + state.mean_rest));
  }
}

// How a step treats the past: what is left of it, and 1 less that.
struct Decay {
  double a;
  double b;
  bool steady;  // a weight that has stopped growing has done so for good
};

inline double step(double x, const Decay& decay, const StreamRule& rule, StreamState& state) {
  const Options& options = rule.options;
  if (!(std::fabs(x) <= kLargest)) {
    if (!options.ignore_na && options.debias) {
      set_weight(state, multiply(decay.a, Double2{state.weight, state.weight_rest}));
    } else if (!options.ignore_na) {
      set_mean(state, multiply(decay.a, Double2{state.mean, state.mean_rest}));
    }
    return options.fill ? unscaled_mean(state) : x;
  }
  while (std::fabs(x) * kScales[state.scale].in > kScaledLimit) to_scale(state, state.scale + 1);
  x *= kScales[state.scale].in;
  ++state.count;
  state.largest = larger(state.largest, std::fabs(x));
  if (!options.debias) {
    move_mean(state, x, decay.b, decay.a);
  } else if (decay.steady && state.weight >= rule.steady_weight) {
    move_mean(state, x, decay.b, decay.a);
  } else {
    const double before = decay.a * state.weight;
    set_weight(state, add(1.0, multiply(decay.a, Double2{state.weight, state.weight_rest})));
    if (before == 0.0) {
      set_mean(state, {x, 0.0});
    } else {
      const double gain = 1.0 / state.weight;
      move_mean(state, x, gain, before * gain);
    }
  }
  return bounded(state.mean * kScales[state.scale].out);
}

}  // namespace EWMA_ISA
}  // namespace ewma
