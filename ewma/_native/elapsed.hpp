// How much of the past each sample leaves, and how much it counts itself.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "ema_kernel.hpp"

namespace ewma {
namespace EWMA_ISA {

class Elapsed {
 public:
  explicit Elapsed(const Request& request) : request_(request) {
    if (request.times.at != nullptr && request.groups.of != nullptr) {
      last_row_.assign(request.groups.count, kNone);
    }
  }

  // The decays a and weights b of the n rows from `first` on, the next ones.
  void next(std::size_t first, std::size_t n, double* a, double* b) {
    if (request_.times.at == nullptr) {
      const Options& options = request_.options;
      const double weight = options.debias ? 1.0 : 1.0 - options.beta;
      for (std::size_t i = 0; i < n; ++i) a[i] = options.beta, b[i] = weight;
      return;
    }
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t row = first + i;
      std::size_t before = row == 0 ? kNone : row - 1;
      if (!last_row_.empty()) {
        std::size_t& last = last_row_[static_cast<std::size_t>(request_.groups.of[row])];
        before = last;
        last = row;
      }
      // A first sample has nothing to decay. Without bias correction the 0 before it does: a unit.
      const double time = before != kNone           ? request_.times.between(before, row)
                          : request_.options.debias ? 0.0
                                                    : request_.times.unit;
      if (time != time_) set(time);
      a[i] = decay_, b[i] = weight_;
    }
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  void set(double time) {
    time_ = time;
    const double log_beta = request_.times.log_beta;
    const bool by_time = !request_.options.debias || request_.times.weigh;
    if (std::isinf(log_beta)) {
      decay_ = time > 0.0 ? 0.0 : 1.0;
      weight_ = by_time ? 1.0 - decay_ : 1.0;
    } else if (log_beta == 0.0) {
      decay_ = 1.0;
      weight_ = request_.options.debias ? (by_time ? time : 1.0) : 0.0;
    } else if (by_time) {
      weight_ = -std::expm1(time * log_beta);
      decay_ = 1.0 - weight_;
    } else {
      decay_ = std::exp(time * log_beta);
      weight_ = 1.0;
    }
  }

  const Request& request_;
  std::vector<std::size_t> last_row_;  // of each group, where there are times and groups
  double time_ = -1.0;                 // the time between two samples that was asked for last
  double decay_ = 0.0, weight_ = 0.0;  // what comes of it
};

}  // namespace EWMA_ISA
}  // namespace ewma
