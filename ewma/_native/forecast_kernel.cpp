// The error of the mean as a forecast of the next sample, for many betas in one pass:
//
//     e_t = x_t - y_{t-1},  w_t = beta * w_{t-1} + 1,  y_t = (1 - 1 / w_t) * y_{t-1} + x_t / w_t
//
// Each lane has a beta of its own, so that no sample waits for more than the one before it, and
// several lots of lanes wait side by side. What it waits for is one multiplication and addition:
// the gains 1 / w_t are there before, a block at a time.
//
// Compiled once per instruction set, as is ema_kernel.cpp.
#include "forecast_kernel.hpp"

#include "lanes.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr int kLots = static_cast<int>(kBetasAtOnce) / kLanes;
constexpr int kPerDivision = 4;           // samples that share one
constexpr std::size_t kGainsAtOnce = 64;  // samples whose gains are there

// The gains of kLanes betas for the samples of a block.
class Gains {
 public:
  void start(const double* betas) {
    const Lanes one = all_lanes(1.0);
    weight_ = one;
    beta_[0] = load(betas);
    ones_[0] = one;
    for (int j = 1; j < kPerDivision; ++j) {
      beta_[j] = beta_[0] * beta_[j - 1];
      ones_[j] = beta_[0] * ones_[j - 1] + one;
    }
  }

  const Lanes& operator[](std::size_t i) const { return gains_[i]; }

  // Goes on to the next block: from where the weights no longer grow all are alike.
  void go_on() {
    if (steady_) return;
    const Lanes before = weight_;
    for (std::size_t i = 0; i < kGainsAtOnce; i += kPerDivision) grow(i);
    steady_ = true;
    for (int j = 0; j < kLanes; ++j) steady_ = steady_ && before[j] == weight_[j];
  }

 private:
  // Each weight from the last one before them all, w_{t+2} = beta^2 w_t + (beta + 1) and so on, and
  // their inverses from one division: 1 / a = b / (a b).
  void grow(std::size_t i) {
    const Lanes a = beta_[0] * weight_ + ones_[0], b = beta_[1] * weight_ + ones_[1];
    const Lanes c = beta_[2] * weight_ + ones_[2], d = beta_[3] * weight_ + ones_[3];
    const Lanes ab = a * b, cd = c * d, inverse = all_lanes(1.0) / (ab * cd);
    const Lanes of_ab = inverse * cd, of_cd = inverse * ab;
    gains_[i] = of_ab * b;
    gains_[i + 1] = of_ab * a;
    gains_[i + 2] = of_cd * d;
    gains_[i + 3] = of_cd * c;
    weight_ = d;
  }

  Lanes beta_[kPerDivision];  // beta^(j + 1)
  Lanes ones_[kPerDivision];  // 1 + beta + ... + beta^j
  Lanes weight_;
  Lanes gains_[kGainsAtOnce];
  bool steady_ = false;
};

static void forecast_errors_at_once(const double* x, std::size_t n, const double* betas,
                                    double* sums) {
  Gains gains[kLots];
  Lanes mean[kLots], sum[kLots];
  for (int k = 0; k < kLots; ++k) {
    gains[k].start(betas + k * kLanes);
    mean[k] = all_lanes(x[0]);
    sum[k] = all_lanes(0.0);
  }
  for (std::size_t first = 1; first < n; first += kGainsAtOnce) {
    const std::size_t count = n - first < kGainsAtOnce ? n - first : kGainsAtOnce;
    for (int k = 0; k < kLots; ++k) gains[k].go_on();
    for (std::size_t i = 0; i < count; ++i) {
      const Lanes sample = all_lanes(x[first + i]);
      for (int k = 0; k < kLots; ++k) {
        const Lanes error = sample - mean[k], gain = gains[k][i];
        sum[k] = sum[k] + error * error;
        // A product of its own, so that contraction makes the other one the sum's.
        const Lanes kept = (all_lanes(1.0) - gain) * mean[k];
        mean[k] = kept + gain * sample;
      }
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
