// What the compiled copies of the recurrence offer to the choice of beta.
#pragma once

#include <cstddef>

namespace ewma {

constexpr std::size_t kBetasAtOnce = 16;

// The sum of (x_t - y_{t-1})^2 over the samples after the first for each of `count` betas, a whole
// number of kBetasAtOnce.
#define EWMA_DECLARE_FORECAST_KERNEL(isa)                                                      \
  namespace isa {                                                                              \
  void forecast_errors(const double* x, std::size_t n, const double* betas, std::size_t count, \
                       double* sums);                                                          \
  }
EWMA_DECLARE_FORECAST_KERNEL(baseline)
EWMA_DECLARE_FORECAST_KERNEL(avx2)
EWMA_DECLARE_FORECAST_KERNEL(avx512)
#undef EWMA_DECLARE_FORECAST_KERNEL

}  // namespace ewma
