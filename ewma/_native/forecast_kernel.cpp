// The error of the mean as a forecast of the next sample, for many betas in one pass:
//
//     e_t = x_t - y_{t-1},    y_t = y_{t-1} + e_t / w_t,    w_t = beta * w_{t-1} + 1
//
// Each lane has a beta of its own, so that no sample waits for more than the one before it, and
// several lots of lanes wait side by side.
//
// Compiled once per instruction set, as is ema_kernel.cpp.
#include "forecast_kernel.hpp"

#include "lanes.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr int kLots = static_cast<int>(kBetasAtOnce) / kLanes;
constexpr std::size_t kUntilChecked = 256;  // samples between two looks whether weights still grow

static void forecast_errors_at_once(const double* x, std::size_t n, const double* betas,
                                    double* sums) {
  Lanes beta[kLots], gain[kLots], weight[kLots], mean[kLots], sum[kLots];
  const Lanes one = all_lanes(1.0);
  for (int k = 0; k < kLots; ++k) {
    beta[k] = load(betas + k * kLanes);
    gain[k] = weight[k] = one;
    mean[k] = all_lanes(x[0]);
    sum[k] = all_lanes(0.0);
  }
  bool steady = false;
  for (std::size_t first = 1; first < n; first += kUntilChecked) {
    const std::size_t end = n - first < kUntilChecked ? n : first + kUntilChecked;
    if (steady) {
      for (std::size_t i = first; i < end; ++i) {
        const Lanes sample = all_lanes(x[i]);
        for (int k = 0; k < kLots; ++k) {
          const Lanes error = sample - mean[k];
          sum[k] = sum[k] + error * error;
          mean[k] = mean[k] + gain[k] * error;
        }
      }
      continue;
    }
    Lanes before[kLots];
    for (int k = 0; k < kLots; ++k) before[k] = weight[k];
    for (std::size_t i = first; i < end; ++i) {
      const Lanes sample = all_lanes(x[i]);
      for (int k = 0; k < kLots; ++k) {
        const Lanes error = sample - mean[k];
        sum[k] = sum[k] + error * error;
        weight[k] = beta[k] * weight[k] + one;
        gain[k] = one / weight[k];
        mean[k] = mean[k] + gain[k] * error;
      }
    }
    steady = true;
    for (int k = 0; k < kLots; ++k) {
      for (int j = 0; j < kLanes; ++j) steady = steady && before[k][j] == weight[k][j];
    }
  }
  for (int k = 0; k < kLots; ++k) store(sums + k * kLanes, sum[k]);
}

void forecast_errors(const double* x, std::size_t n, const double* betas, std::size_t count,
                     double* sums) {
  for (std::size_t k = 0; k < count; k += kBetasAtOnce) {
    forecast_errors_at_once(x, n, betas + k, sums + k);
  }
}

}  // namespace EWMA_ISA
}  // namespace ewma
