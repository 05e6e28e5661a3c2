// The recurrence over series that lie side by side in memory, a row at a time: all of them share
// the weight, so that nothing waits for anything but the row before.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>

#include "ema.hpp"
#include "lanes.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr std::size_t kRowColumns = 1024;

class Rows {
 public:
  Rows(const Powers& powers, Series* columns, std::size_t width)
      : powers_(powers), columns_(columns), width_(width) {}

  // Smooths rows until one has a sample that is missing or of another scale, and returns how many
  // these are: none if the columns do not share a weight.
  template <typename T>
  std::size_t run(const T* x, T* y, std::size_t stride, std::size_t rows) {
    blanks_ = 0;
    for (std::size_t j = 0; j < width_; ++j) {
      if (!columns_[j].goes_with(columns_[0])) return 0;
      if (columns_[j].is_blank()) blank_[blanks_++] = j;
    }
    if (rows == 0 || !fits(x)) return 0;
    for (std::size_t j = 0; j < width_; ++j) {
      hi_[j] = columns_[j].mean().hi, lo_[j] = columns_[j].mean().lo;
    }
    Double2 weight = columns_[0].weight();
    std::size_t row = 0;
    do {
      const bool steady = weight.hi >= powers_.steady_weight;
      const Double2 decayed = multiply({powers_.beta, 0.0}, weight);
      if (!steady) weight = add(decayed, {1.0, 0.0});
      const double gain = steady ? powers_.alpha : divide({1.0, 0.0}, weight).hi;
      if (gain > 0.5) {
        from_sample(x, y, steady ? powers_.beta : divide(decayed, weight).hi);
      } else {
        from_mean(x, y, gain);
      }
      x += stride, y += stride, ++row;
    } while (row < rows && fits(x));
    std::size_t blank = 0;
    for (std::size_t j = 0; j < width_; ++j) {
      const bool is_blank = blank < blanks_ && blank_[blank] == j;
      blank += is_blank;
      columns_[j].set({hi_[j], lo_[j]}, weight, is_blank);
    }
    return row;
  }

 private:
  // Whether Series too would work on this row at the usual scale.
  template <typename T>
  bool fits(const T* x) {
    Lanes sums = {};
    std::size_t j = 0;
    for (; j + kLanes <= width_; j += kLanes) sums = sums + magnitude(load(x + j));
    double sum = total(sums);
    for (; j < width_; ++j) sum += std::fabs(static_cast<double>(x[j]));
    if (!(sum <= kScaledLimit)) return false;
    std::size_t still_blank = 0;
    for (std::size_t i = 0; i < blanks_; ++i) {
      const double magnitude = std::fabs(static_cast<double>(x[blank_[i]]));
      if (magnitude == 0.0) {
        blank_[still_blank++] = blank_[i];
      } else if (magnitude * kScales[0].in <= kScaledLimit) {
        return false;
      }
    }
    blanks_ = still_blank;
    return true;
  }

  // As Series::observe: start from whichever is nearer to the new mean.
  template <typename T>
  void from_sample(const T* x, T* y, double keep) {
    move(x, y, [minus_keep = all_lanes(-keep)](const Lanes& x, const Lanes& hi, const Lanes& lo) {
      return Sum{x, minus_keep * ((x - hi) - lo)};
    });
  }
  template <typename T>
  void from_mean(const T* x, T* y, double gain) {
    move(x, y, [all_gain = all_lanes(gain)](const Lanes& x, const Lanes& hi, const Lanes& lo) {
      return Sum{hi, all_gain * ((x - hi) - lo) + lo};
    });
  }

  struct Sum {
    Lanes a, b;
  };

  // A row's means, hi + lo, are the sums that `next` tells.
  template <typename T, typename Next>
  void move(const T* x, T* y, const Next& next) {
    for (std::size_t j = 0; j < width_; j += kLanes) {
      const std::size_t left = width_ - j;
      T end[kLanes] = {};  // of a row that does not fill its last lanes
      if (left < kLanes) std::memcpy(end, x + j, left * sizeof(T));
      const Sum sum = next(load(left < kLanes ? end : x + j), load(hi_ + j), load(lo_ + j));
      const Lanes hi = sum.a + sum.b, b = hi - sum.a;
      store(lo_ + j, (sum.a - (hi - b)) + (sum.b - b));
      store(hi_ + j, hi);
      store(left < kLanes ? end : y + j, hi);
      if (left < kLanes) std::memcpy(y + j, end, left * sizeof(T));
    }
  }

  const Powers& powers_;
  Series* const columns_;
  const std::size_t width_;
  std::size_t blank_[kRowColumns], blanks_ = 0;  // columns that have only been 0 so far
  double hi_[kRowColumns] = {}, lo_[kRowColumns] = {};
};

}  // namespace EWMA_ISA
}  // namespace ewma
