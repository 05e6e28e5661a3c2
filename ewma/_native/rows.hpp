// The recurrence over series that lie side by side in memory, a row at a time: all of them share
// the weight, so that nothing waits for anything but the row before.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "ema.hpp"
#include "lanes.hpp"
#include "prefetch.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr std::size_t kRowColumns = 4096;  // their states stay in the second cache

class Rows {
 public:
  Rows(const Powers& powers, Series* columns, std::size_t width)
      : powers_(powers),
        columns_(columns),
        width_(width),
        hi_(width + kLanes),
        lo_(width + kLanes) {}

  // Smooths rows that lie `stride` apart, and their means `y_stride`, until one has a sample that
  // is missing or of another scale, and returns how many these are: none if the columns do not
  // share a weight.
  template <typename T>
  std::size_t run(const T* x, std::size_t stride, T* y, std::size_t y_stride, std::size_t rows) {
    blank_.clear();
    for (std::size_t j = 0; j < width_; ++j) {
      if (!columns_[j].goes_with(columns_[0])) return 0;
      if (columns_[j].is_blank()) blank_.push_back(j);
    }
    if (rows == 0 || !fits(x, magnitudes(x))) return 0;
    for (std::size_t j = 0; j < width_; ++j) {
      hi_[j] = columns_[j].mean().hi, lo_[j] = columns_[j].mean().lo;
    }
    Double2 weight = columns_[0].weight();
    std::size_t row = 0;
    double ahead = 0.0;
    do {
      const bool is_last = row + 1 == rows;
      const Places<T> places{x, y, is_last ? 0 : stride, is_last ? 0 : y_stride};
      const bool steady = weight.hi >= powers_.steady_weight;
      const Double2 decayed = multiply({powers_.beta, 0.0}, weight);
      if (!steady) weight = add(decayed, {1.0, 0.0});
      const double gain = steady ? powers_.alpha : divide({1.0, 0.0}, weight).hi;
      if (gain > 0.5) {
        ahead = from_sample(places, steady ? powers_.beta : divide(decayed, weight).hi);
      } else {
        ahead = from_mean(places, gain);
      }
      x += stride, y += y_stride, ++row;
    } while (row < rows && fits(x, ahead));
    std::size_t blank = 0;
    for (std::size_t j = 0; j < width_; ++j) {
      const bool is_blank = blank < blank_.size() && blank_[blank] == j;
      blank += is_blank;
      columns_[j].set({hi_[j], lo_[j]}, weight, is_blank);
    }
    return row;
  }

 private:
  // A row and the one after it, or again this one where none follows.
  template <typename T>
  struct Places {
    const T* x;
    T* y;
    std::size_t stride;
    std::size_t y_stride;
  };

  template <typename T>
  double magnitudes(const T* x) const {
    Lanes sums = {};
    const std::size_t whole = width_ / kLanes * kLanes;
    for (std::size_t j = 0; j < whole; j += kLanes) sums = sums + magnitude(load(x + j));
    return total(sums) + rest(x);
  }
  // Of those that do not fill their lanes.
  template <typename T>
  double rest(const T* x) const {
    double sum = 0.0;
    for (std::size_t j = width_ / kLanes * kLanes; j < width_; ++j) {
      sum += std::fabs(static_cast<double>(x[j]));
    }
    return sum;
  }

  // Whether Series too would work on this row at the usual scale; `sum`: of its magnitudes.
  template <typename T>
  bool fits(const T* x, double sum) {
    if (!(sum <= kScaledLimit)) return false;
    std::size_t still_blank = 0;
    for (const std::size_t j : blank_) {
      const double magnitude = std::fabs(static_cast<double>(x[j]));
      if (magnitude == 0.0) {
        blank_[still_blank++] = j;
      } else if (magnitude * kScales[0].in <= kScaledLimit) {
        return false;
      }
    }
    blank_.resize(still_blank);
    return true;
  }

  // As Series::observe: start from whichever is nearer to the new mean.
  template <typename T>
  double from_sample(const Places<T>& places, double keep) {
    const Lanes minus_keep = all_lanes(-keep);
    return move(places, [=](const Lanes& x, const Lanes& hi, const Lanes& lo) {
      return Sum{x, minus_keep * ((x - hi) - lo)};
    });
  }
  template <typename T>
  double from_mean(const Places<T>& places, double gain) {
    const Lanes all_gain = all_lanes(gain);
    return move(places, [=](const Lanes& x, const Lanes& hi, const Lanes& lo) {
      return Sum{hi, all_gain * ((x - hi) - lo) + lo};
    });
  }

  struct Sum {
    Lanes a, b;
  };

  // A row's means, hi + lo, are the sums that `next` tells. Returns the sum of the magnitudes of
  // the row after it: read now, it does not keep the writing waiting later.
  template <typename T, typename Next>
  double move(const Places<T>& places, const Next& next) {
    double* const his = hi_.data();
    double* const los = lo_.data();
    const auto one = [=](std::size_t j, const Lanes& x) {
      const Sum sum = next(x, load(his + j), load(los + j));
      const Lanes hi = sum.a + sum.b, b = hi - sum.a;
      store(los + j, (sum.a - (hi - b)) + (sum.b - b));
      store(his + j, hi);
      return hi;
    };
    const T *const x = places.x, *const ahead = x + places.stride;
    T *const y = places.y, *const y_ahead = y + places.y_stride;
    const std::size_t whole = width_ / kLanes * kLanes;
    Lanes sums = {};
    for (std::size_t j = 0; j < whole; j += kLanes) {
      soon_written(y_ahead + j, 1);
      sums = sums + magnitude(load(ahead + j));
      store(y + j, one(j, load(x + j)));
    }
    if (whole < width_) {
      T end[kLanes] = {};
      std::memcpy(end, x + whole, (width_ - whole) * sizeof(T));
      const Lanes mean = one(whole, load(end));
      store(end, mean);
      std::memcpy(y + whole, end, (width_ - whole) * sizeof(T));
    }
    return total(sums) + rest(ahead);
  }

  const Powers& powers_;
  Series* const columns_;
  const std::size_t width_;
  std::vector<std::size_t> blank_;  // columns that have only been 0 so far
  std::vector<double> hi_, lo_;
};

}  // namespace EWMA_ISA
}  // namespace ewma
