// The error of the mean as a forecast of the next sample, for many betas in one pass:
//
//     e_t = x_t - y_{t-1},  w_t = beta * w_{t-1} + 1,  y_t = (1 - 1 / w_t) * y_{t-1} + x_t / w_t
//
// Each lane has a beta of its own, so that no sample waits for more than the one before it, and
// several lots of lanes wait side by side. What it waits for is one multiplication and addition:
// the weights, and x_t / w_t, are there before.
//
// Compiled once per instruction set, as is ema_kernel.cpp.
#include "forecast_kernel.hpp"

#include "lanes.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr int kLots = static_cast<int>(kBetasAtOnce) / kLanes;
constexpr int kPerDivision = 4;             // samples that share one
constexpr std::size_t kUntilChecked = 256;  // samples between two looks whether weights still grow

// kLanes betas on their way over the samples.
struct Forecast {
  Lanes beta, weight, gain, mean, sum;

  void start(const double* betas, double first) {
    beta = load(betas);
    weight = gain = all_lanes(1.0);
    mean = all_lanes(first);
    sum = all_lanes(0.0);
  }

  void take(const Lanes& sample, const Lanes& by) {
    const Lanes error = sample - mean;
    sum = sum + error * error;
    const Lanes kept = (all_lanes(1.0) - by) * mean;  // first: contraction then makes it the sum's
    mean = kept + by * sample;
  }

  void take(const Lanes& sample) { take(sample, gain); }

  void grow_and_take(const Lanes& sample) {
    weight = beta * weight + all_lanes(1.0);
    gain = all_lanes(1.0) / weight;
    take(sample);
  }

  // The same for kPerDivision samples: 1 / a = b / (a b), and so on.
  void grow_and_take(const Lanes* samples) {
    const Lanes one = all_lanes(1.0);
    const Lanes a = beta * weight + one, b = beta * a + one, c = beta * b + one, d = beta * c + one;
    const Lanes ab = a * b, cd = c * d, inverse = one / (ab * cd);
    const Lanes of_ab = inverse * cd, of_cd = inverse * ab;
    take(samples[0], of_ab * b);
    take(samples[1], of_ab * a);
    take(samples[2], of_cd * d);
    weight = d;
    gain = of_cd * c;
    take(samples[3]);
  }
};

static void forecast_errors_at_once(const double* x, std::size_t n, const double* betas,
                                    double* sums) {
  Forecast lots[kLots];
  for (int k = 0; k < kLots; ++k) lots[k].start(betas + k * kLanes, x[0]);
  bool steady = false;
  for (std::size_t first = 1; first < n; first += kUntilChecked) {
    const std::size_t end = n - first < kUntilChecked ? n : first + kUntilChecked;
    std::size_t i = first;
    if (steady) {
      for (; i < end; ++i) {
        const Lanes sample = all_lanes(x[i]);
        for (int k = 0; k < kLots; ++k) lots[k].take(sample);
      }
      continue;
    }
    Lanes before[kLots];
    for (int k = 0; k < kLots; ++k) before[k] = lots[k].weight;
    for (; i + kPerDivision <= end; i += kPerDivision) {
      Lanes samples[kPerDivision];
      for (int j = 0; j < kPerDivision; ++j) samples[j] = all_lanes(x[i + j]);
      for (int k = 0; k < kLots; ++k) lots[k].grow_and_take(samples);
    }
    for (; i < end; ++i) {
      const Lanes sample = all_lanes(x[i]);
      for (int k = 0; k < kLots; ++k) lots[k].grow_and_take(sample);
    }
    steady = true;
    for (int k = 0; k < kLots; ++k) {
      for (int j = 0; j < kLanes; ++j) steady = steady && before[k][j] == lots[k].weight[j];
    }
  }
  for (int k = 0; k < kLots; ++k) store(sums + k * kLanes, lots[k].sum);
}

void forecast_errors(const double* x, std::size_t n, const double* betas, std::size_t count,
                     double* sums) {
  for (std::size_t k = 0; k < count; k += kBetasAtOnce) {
    forecast_errors_at_once(x, n, betas + k, sums + k);
  }
}

}  // namespace EWMA_ISA
}  // namespace ewma
