// How much of the past each sample leaves, and how much it counts itself, where there are times.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "ema_kernel.hpp"
#include "lanes.hpp"
#include "scale.hpp"

namespace ewma {
namespace EWMA_ISA {

// A group's number, also where another thread of the caller's is writing into them.
inline std::size_t number_of(std::int64_t group, std::size_t count) {
  return static_cast<std::size_t>(group) < count ? static_cast<std::size_t>(group) : 0;
}

// 2^n for a whole n of which `shifted` is n + 1.5 * 2^52: n stands in its last bits.
inline Lanes two_to_the(const Lanes& shifted) {
#if defined(EWMA_VECTOR_LANES)
  typedef unsigned long long Bits __attribute__((vector_size(kLanes * sizeof(long long))));
  return (Lanes)(((Bits)shifted + 1023) << 52);
#else
  Lanes power;
  for (int j = 0; j < kLanes; ++j) {
    std::uint64_t bits;
    std::memcpy(&bits, &shifted.lane[j], sizeof bits);
    bits = (bits + 1023) << 52;
    std::memcpy(&power.lane[j], &bits, sizeof bits);
  }
  return power;
#endif
}

// e^z for z <= 0, right to an ulp, and 0 below -600: the C library's takes one number at a time.
inline Lanes exponential(const Lanes& z) {
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2 = 0x1.62e42fefap-1, kLn2Rest = 0x1.cf79abc9e3b3ap-40;
  constexpr double kToInteger = 0x1.8p52, kLeast = -600.0;
  // 1/2!, 1/3!, ..., 1/13!
  constexpr double kTerms[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                               1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                               1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
  constexpr int kLast = 11;
  const Lanes bounded = larger(z, all_lanes(kLeast));
  const Lanes shifted = kToInteger + kLog2E * bounded;
  const Lanes n = shifted - all_lanes(kToInteger);
  const Lanes r = (bounded - kLn2 * n) - kLn2Rest * n;  // |r| <= ln(2) / 2
  Lanes sum = all_lanes(kTerms[kLast]);
  for (int k = kLast; k-- > 0;) sum = kTerms[k] + sum * r;
  sum = 1.0 + (r + sum * (r * r));
  return where_below(z, all_lanes(kLeast), Lanes{}, sum * two_to_the(shifted));
}

// e^(factor * z) in the place of each of n numbers z.
inline void exponentials(double factor, double* z, std::size_t n) {
  for (; n >= kLanes; z += kLanes, n -= kLanes) store(z, exponential(factor * load(z)));
  const int rest = static_cast<int>(n);
  store_first(z, exponential(factor * load_first(z, rest)), rest);
}

// What is left of the past: 1 less what is `gone`, and once more as an exponential, `left`.
inline double left_of(double gone, double left) {
  return gone < 0.5 ? 1.0 - gone : left;  // each where it keeps the digits
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
      std::memcpy(b, a, n * sizeof *b);
      exponentials(log_beta, a, n);
      for (std::size_t i = 0; i < n; ++i) {
        const double time = b[i];
        if (time > 0.0) {
          b[i] = log_beta == 0.0 ? (debias ? time : 0.0) : -std::expm1(time * log_beta);
          a[i] = log_beta == 0.0 ? 1.0 : left_of(b[i], a[i]);
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
      exponentials(log_beta, a, n);
    }
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  // The time since the row before, in the same group if there are groups. A first one has nothing
  // to decay; without bias correction it has the 0 before it, which is a unit old. Finite: infinity
  // times the logarithm of a beta of 1 is NaN.
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
        for (std::size_t i = start; i < n; ++i) time[i] = smaller(at[i] - at[i - 1], kLargest);
      }
      return;
    }
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t row = first + i;
      std::size_t& before = last_row_[number_of(request_.groups.of[row], last_row_.size())];
      time[i] = before == kNone ? of_first : smaller(times.between(before, row), kLargest);
      before = row;
    }
  }

  const Request& request_;
  std::vector<std::size_t> last_row_;  // of each group
};

}  // namespace EWMA_ISA
}  // namespace ewma
