// How much of the past each sample leaves, and how much it counts itself, where there are times.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "ema_kernel.hpp"

namespace ewma {
namespace EWMA_ISA {

// A group's number, also where another thread of the caller's is writing into them.
inline std::size_t number_of(std::int64_t group, std::size_t count) {
  return static_cast<std::size_t>(group) < count ? static_cast<std::size_t>(group) : 0;
}

// e^z for z <= 0, right to an ulp, and 0 below -600: the C library's takes one number at a time,
// compilers make vectors of this one.
inline double exponential(double z) {
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2 = 0x1.62e42fefap-1, kLn2Rest = 0x1.cf79abc9e3b3ap-40;
  constexpr double kToInteger = 0x1.8p52;
  const double bounded = z < -600.0 ? -600.0 : z;
  const double shifted = bounded * kLog2E + kToInteger;
  const double n = shifted - kToInteger;
  const double r = (bounded - n * kLn2) - n * kLn2Rest;  // |r| <= ln(2) / 2
  double sum = 1.0 / 6227020800.0;                       // 1/13! and the series' terms above it
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * (r * r) + r + 1.0;
  std::uint64_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52;  // 2^n
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return z < -600.0 ? 0.0 : sum * power;
}

class Elapsed {
 public:
  explicit Elapsed(const Request& request) : request_(request) {
    if (request.groups.of != nullptr) last_row_.assign(request.groups.count, kNone);
  }

  // The decays a and weights b of the n rows from `first` on, the next ones.
  void next(std::size_t first, std::size_t n, double* a, double* b) {
    since_before(first, n, a);
    const double log_beta = request_.times.log_beta;
    const bool debias = request_.options.debias, weigh = request_.times.weigh;
    if (!debias || weigh) {
      for (std::size_t i = 0; i < n; ++i) {
        const double time = a[i];
        if (time > 0.0) {
          b[i] = log_beta == 0.0 ? (debias ? time : 0.0) : -std::expm1(time * log_beta);
          a[i] = log_beta == 0.0 ? 1.0 : 1.0 - b[i];
        } else {
          a[i] = 1.0, b[i] = 0.0;
        }
      }
      return;
    }
    for (std::size_t i = 0; i < n; ++i) b[i] = 1.0;
    if (std::isinf(log_beta)) {
      for (std::size_t i = 0; i < n; ++i) a[i] = a[i] > 0.0 ? 0.0 : 1.0;
    } else {
      for (std::size_t i = 0; i < n; ++i) a[i] = exponential(a[i] * log_beta);
    }
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  // The time since the row before, in the same group if there are groups. A first one has nothing
  // to decay; without bias correction it has the 0 before it, which is a unit old.
  void since_before(std::size_t first, std::size_t n, double* time) {
    const Times& times = request_.times;
    const double of_first = request_.options.debias ? 0.0 : times.unit;
    if (last_row_.empty()) {
      const std::size_t start = first == 0 ? 1 : 0;
      if (start == 1) time[0] = of_first;
      if (times.whole) {
        const auto* const at = static_cast<const std::uint64_t*>(times.at) + first;
        for (std::size_t i = start; i < n; ++i) {
          time[i] = static_cast<double>(at[i] - at[i - 1]);
        }
      } else {
        const double* const at = static_cast<const double*>(times.at) + first;
        for (std::size_t i = start; i < n; ++i) time[i] = at[i] - at[i - 1];
      }
      return;
    }
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t row = first + i;
      std::size_t& before = last_row_[number_of(request_.groups.of[row], last_row_.size())];
      time[i] = before == kNone ? of_first : times.between(before, row);
      before = row;
    }
  }

  const Request& request_;
  std::vector<std::size_t> last_row_;  // of each group
};

}  // namespace EWMA_ISA
}  // namespace ewma
