// The recurrence where each sample decays the past, and counts, by amounts of its own, and what is
// to be had beside the mean:
//
//     W_t = a_t W_{t-1} + b_t                                        weight
//     y_t = y_{t-1} + (b_t / W_t) (x_t - y_{t-1})                    mean
//     S_t = a_t S_{t-1} + b_t (a_t W_{t-1} / W_t) (x_t - y_{t-1})^2
//     P_t = a_t^2 P_{t-1} + 2 a_t W_{t-1} b_t                        W^2 less the sum of squares
//
// The variance is S / W, and without bias S W / P. Nothing here is a difference of large numbers:
// all terms of S and P are positive. The mean is worked on as its distance from a reference, the
// mean before the block, as in stretch.hpp.
#pragma once

#include <cmath>
#include <cstddef>

#include "ema_kernel.hpp"
#include "lanes.hpp"
#include "scale.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr std::size_t kRows = 128;  // samples that share a reference

// The state of one series between calls, and what moves it on.
class Statistics {
 public:
  explicit Statistics(const Request& request) : request_(&request) {
    if (!request.options.debias) weight_ = 1.0, empty_ = false;
  }
  Statistics() = default;

  // The next n <= kRows samples x with their decays a and weights b; y may be x.
  void run(const double* x, const double* a, const double* b, double* y, std::size_t n) {
    Block block;
    const std::size_t count = gather(x, a, b, n, block);
    const double before = last_;
    observe(block, count);
    const bool is_mean = request_->statistic == Statistic::kMean;
    const double scale = request_->statistic == Statistic::kVariance ? scale_->out : 1.0;
    last_ = before;
    for (std::size_t i = 0, next = 0; i < n; ++i) {
      const bool is_good = std::fabs(x[i]) <= kLargest;
      seen_ = seen_ || is_good;
      if (is_good || zero_for_missing()) {
        const double found = block.y[next++] * scale_->out * scale;
        if (seen_) last_ = is_mean ? bounded(found) : found;
      }
      y[i] = is_good || request_->options.fill ? last_ : is_mean ? x[i] : std::nan("");
    }
  }

 private:
  static constexpr double kForgotten = 1 / kTwoTo512;
  static constexpr double kNoSpread = 1 / (kTwoTo768 * kTwoTo128);

  struct Block {
    double x[kRows], a[kRows], b[kRows], y[kRows];
  };

  // An undebiased mean counts what is missing as zero, if the clock does not stop for it.
  bool zero_for_missing() const {
    return !request_->options.debias && !request_->options.ignore_na;
  }

  // The samples that count, scaled and side by side; what the gaps between them decay is theirs.
  std::size_t gather(const double* x, const double* a, const double* b, std::size_t n,
                     Block& block) {
    std::size_t count = 0;
    double widest = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      const double decay = a[i] * pending_;
      if (std::fabs(x[i]) <= kLargest || zero_for_missing()) {
        const double sample = std::fabs(x[i]) <= kLargest ? x[i] : 0.0;
        widest = larger(widest, std::fabs(sample));
        block.x[count] = sample;
        block.a[count] = decay < kForgotten ? 0.0 : decay;
        block.b[count] = b[i];
        pending_ = 1.0;
        ++count;
      } else if (!request_->options.ignore_na) {
        pending_ = decay < kForgotten ? 0.0 : decay;
      }
    }
    while (widest * scale_->in > kScaledLimit) rescale();
    for (std::size_t i = 0; i < count; ++i) block.x[i] *= scale_->in;
    return count;
  }

  void observe(Block& block, std::size_t n) {
    std::size_t first = 0;
    for (; first < n && !(weight_ > 0.0); ++first) {
      const double b = block.b[first];
      if (!empty_) block.a[first] = waited_ = waited_ * block.a[first];
      if (!empty_ && b > 0.0) {
        weight_ = b;  // nobody could tell how long the first one stood: as long as this one
        break;
      }
      if (empty_) mean_ = block.x[first], weight_ = b, empty_ = false;
      const bool is_mean = request_->statistic == Statistic::kMean;
      block.y[first] = is_mean ? mean_ : request_->bias ? 0.0 : std::nan("");
    }
    if (first == n) return;

    double distance[kRows], before[kRows], weight[kRows], means[kRows + 1];
    const bool debias = request_->options.debias;
    double sum = weight_ * rest_;
    means[first] = rest_;
    for (std::size_t i = first; i < n; ++i) {
      distance[i] = block.x[i] - mean_;
      before[i] = block.a[i] * weight_;
      weight[i] = weight_ = debias ? before[i] + block.b[i] : 1.0;
      means[i + 1] = sum = block.a[i] * sum + block.b[i] * distance[i];
    }
    for (std::size_t i = first; i < n; ++i) means[i + 1] /= weight[i];
    if (request_->statistic == Statistic::kMean) {
      for (std::size_t i = first; i < n; ++i) {
        // Nearer to the sample than to the mean before: start there.
        block.y[i] = before[i] < block.b[i]
                         ? block.x[i] + (before[i] / weight[i]) * (means[i] - distance[i])
                         : mean_ + means[i + 1];
      }
    } else {
      for (std::size_t i = first; i < n; ++i) {
        const double change = distance[i] - means[i];
        const double a = block.a[i], b = block.b[i];
        spread_ = a * spread_ + b * (before[i] / weight[i]) * (change * change);
        pairs_ = a * (a * pairs_) + 2.0 * before[i] * b;
        block.y[i] = request_->bias ? spread_ / weight[i] : spread_ * (weight[i] / pairs_);
      }
      if (request_->statistic == Statistic::kDeviation) {
        for (std::size_t i = first; i < n; ++i) block.y[i] = std::sqrt(block.y[i]);
      }
      if (spread_ < kNoSpread) spread_ = 0.0;
    }
    const Double2 mean = two_sum(mean_, means[n]);
    mean_ = mean.hi, rest_ = mean.lo;
    if (std::fabs(mean_) < kNegligible) mean_ = rest_ = 0.0;
  }

  void rescale() {
    const double factor = scale_->out * scale_[1].in;
    ++scale_;
    mean_ *= factor, rest_ *= factor;
    spread_ = spread_ * factor * factor;
  }

  const Request* request_ = nullptr;
  const Scale* scale_ = kScales;
  double mean_ = 0.0, rest_ = 0.0;  // scaled; the rest is what rounding the mean left over
  double weight_ = 0.0;
  double spread_ = 0.0, pairs_ = 0.0;
  double waited_ = 1.0;         // what a first sample that does not count yet has decayed
  double pending_ = 1.0;        // what the gap before the next sample decays
  double last_ = std::nan("");  // what came out last
  bool empty_ = true;           // no sample counts yet
  bool seen_ = false;           // a sample was there
};

}  // namespace EWMA_ISA
}  // namespace ewma
