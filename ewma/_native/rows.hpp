// The recurrence over series that lie side by side in memory, a few rows at a time: all of them
// share the weight, so that nothing waits for anything but the row before.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ema.hpp"
#include "lanes.hpp"
#include "new_pages.hpp"
#include "steps.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr std::size_t kRowColumns = 16384;  // their states take 32 bytes each, and stay near
// Fewer wait for the row before for longer than it takes to bring each column's samples together.
constexpr std::size_t kFewestColumns = 5;
// Rows that are worked on side by side, the means of a few columns in registers. What fetches
// memory ahead follows one stream in a page: rows that share a page are worked on one after the
// other, unless they are so short that the next is fetched along with them.
constexpr std::size_t kRowsAtOnce = 8, kLongRowsAtOnce = 4;
constexpr std::size_t kFewColumns = 48, kPage = 4096;
constexpr std::size_t kRowsToSettle = 128;
// Vectors of means in registers, of which SSE2 has 16 for half a vector each.
#if defined(__SSE2__) && !defined(__AVX__)
constexpr int kTogether = 2;
#else
constexpr int kTogether = 4;
#endif

class Rows {
 public:
  // `start` is the state of each column before its first sample.
  Rows(const Powers& powers, const Series& start, std::size_t width)
      : powers_(powers),
        start_(start),
        width_(width),
        weight_(start.weight()),
        hi_(width + kLanes),
        lo_(width + kLanes),
        next_hi_(width + kLanes),
        next_lo_(width + kLanes) {}

  std::size_t width() const { return width_; }

  // Smooths rows that lie `stride` apart, and their means `y_stride`, until one has a sample that
  // is missing or of another scale, and returns how many these are: none if there are few columns,
  // or if they do not share a weight.
  template <typename T>
  std::size_t run(const T* x, std::size_t stride, T* y, std::size_t y_stride, std::size_t rows,
                  NewPages& pages) {
    if (width_ < kFewestColumns || !take_over()) return 0;
    const std::size_t at_once = is_long<T>() ? kLongRowsAtOnce : kRowsAtOnce;
    std::size_t row = 0, count = at_once;
    for (; count == at_once && row < rows; row += count) {
      Tile<T> tile{x + row * stride, stride, y + row * y_stride, y_stride, at_once};
      if (rows - row < at_once) tile.rows = rows - row;
      pages.reach(tile.y + tile.rows * y_stride);
      // They are looked at while they are worked on; but first where the means replace them, and
      // as long as columns have been nothing but 0.
      const bool can_go_back = tile.x != tile.y && !all_blank_ && blank_.empty();
      if (can_go_back && move_on(tile, false)) {
        count = tile.rows;
      } else {
        for (count = 0; count < tile.rows && fits(tile.x + count * stride);) ++count;
        tile.rows = count;
        if (count > 0) move_on(tile, true);
      }
      if (row % kRowsToSettle == 0) settle(hi_.data(), lo_.data(), width_);
    }
    seen_ = seen_ || row > 0;
    if (row > 0 && !columns_.empty()) hand_over();
    return row;
  }

  // The columns one by one, each of which may be moved on; they take memory from then on.
  Series* columns() {
    if (columns_.empty()) {
      columns_.assign(width_, start_);
      if (seen_) hand_over();
    }
    return columns_.data();
  }

  // Whether it holds for all columns, which are alike as long as nothing has been missing.
  template <typename Holds>
  bool all(const Holds& holds) const {
    if (!columns_.empty()) return std::all_of(columns_.begin(), columns_.end(), holds);
    Series any = start_;
    if (seen_) any.set({hi_[0], lo_[0]}, weight_, false);
    return holds(any);
  }

 private:
  // Whether a row fills pages of its own.
  template <typename T>
  bool is_long() const {
    return width_ * sizeof(T) >= kPage;
  }

  // From the columns, if they go together.
  bool take_over() {
    if (columns_.empty()) return start_.goes_with(start_);
    all_blank_ = false;
    blank_.clear();
    for (std::size_t j = 0; j < width_; ++j) {
      if (!columns_[j].goes_with(columns_[0])) return false;
      if (columns_[j].is_blank()) blank_.push_back(static_cast<std::uint32_t>(j));
      hi_[j] = columns_[j].mean().hi, lo_[j] = columns_[j].mean().lo;
    }
    weight_ = columns_[0].weight();
    return true;
  }

  // Back to the columns.
  void hand_over() {
    std::size_t blank = 0;
    for (std::size_t j = 0; j < width_; ++j) {
      const bool is_blank = blank < blank_.size() && blank_[blank] == j;
      blank += is_blank;
      columns_[j].set({hi_[j], lo_[j]}, weight_, is_blank);
    }
  }

  // Whether Series too would work on this row at the usual scale.
  template <typename T>
  bool fits(const T* x) {
    Lanes a = {}, b = {};
    std::size_t j = 0;
    for (; j + 2 * kLanes <= width_; j += 2 * kLanes) {
      a = a + magnitude(load(x + j));
      b = b + magnitude(load(x + j + kLanes));
    }
    if (j + kLanes <= width_) {
      a = a + magnitude(load(x + j));
      j += kLanes;
    }
    if (j < width_) b = b + magnitude(load_first(x + j, static_cast<int>(width_ - j)));
    const double sum = total(a + b);
    if (!(sum <= kScaledLimit)) return false;
    const auto is_tiny_here = [&](std::size_t k) { return is_tiny(static_cast<double>(x[k])); };
    if (all_blank_) {
      for (std::size_t k = 0; k < width_; ++k) {
        if (is_tiny_here(k)) return false;
      }
      for (std::size_t k = 0; k < width_; ++k) {
        if (x[k] == 0) blank_.push_back(static_cast<std::uint32_t>(k));
      }
      all_blank_ = false;
      return true;
    }
    if (std::any_of(blank_.begin(), blank_.end(), is_tiny_here)) return false;
    const auto is_seen = [&](std::size_t k) { return x[k] != 0; };
    blank_.erase(std::remove_if(blank_.begin(), blank_.end(), is_seen), blank_.end());
    return true;
  }

  template <typename T>
  struct Tile {
    const T* x;
    std::size_t stride;
    T* y;
    std::size_t y_stride;
    std::size_t rows;

    Tile from(std::size_t j) const { return {x + j, stride, y + j, y_stride, rows}; }
  };

  // Moves all columns on by the rows of a tile, unless it turns out that these do not fit.
  template <typename T>
  bool move_on(const Tile<T>& tile, bool fit) {
    Step steps[kRowsAtOnce];
    Double2 weight = weight_;
    for (std::size_t i = 0; i < tile.rows; ++i) steps[i] = next_step(powers_, weight);
    Lanes sum = {};  // of |x|
    if (width_ >= kFewColumns && !is_long<T>()) {
      const double *hi = hi_.data(), *lo = lo_.data();
      for (std::size_t i = 0; i < tile.rows; ++i, hi = next_hi_.data(), lo = next_lo_.data()) {
        const auto all = [&](const auto& step) {
          sum = sum + move(tile.x + i * tile.stride, tile.y + i * tile.y_stride, step,
                           all_lanes(steps[i].part), hi, lo);
        };
        by(steps[i], all);
      }
    } else {
      std::size_t j = 0;
      for (; j + kTogether * kLanes <= width_; j += kTogether * kLanes) {
        sum = sum + move<kTogether, false>(tile.from(j), steps, j);
      }
      sum = sum + move_rest<kTogether>(tile.from(j), steps, j);
    }
    // One comparison for all: NaN, infinity, and too large for this scale.
    if (!fit && !(total(sum) <= kScaledLimit)) return false;
    hi_.swap(next_hi_), lo_.swap(next_lo_);
    weight_ = weight;
    return true;
  }

  // A row, from the means hi + lo.
  template <typename T, typename How>
  Lanes move(const T* x, T* y, const How& step, const Lanes& part, const double* hi,
             const double* lo) {
    double *const next_hi = next_hi_.data(), *const next_lo = next_lo_.data();
    const std::size_t width = width_;
    Lanes sum = {};
    const auto some = [&](std::size_t j, const Lanes& x_j) {
      Lanes hi_j = load(hi + j), lo_j = load(lo + j);
      sum = sum + magnitude(x_j);
      step(x_j, part, hi_j, lo_j);
      store(next_hi + j, hi_j), store(next_lo + j, lo_j);
      return hi_j;
    };
    std::size_t j = 0;
    for (; j + kLanes <= width; j += kLanes) store(y + j, some(j, load(x + j)));
    const int rest = static_cast<int>(width - j);
    if (rest > 0) store_first(y + j, some(j, load_first(x + j, rest)), rest);
    return sum;
  }

  // The columns from j on, which are fewer than kVectors vectors.
  template <int kVectors, typename T>
  Lanes move_rest(const Tile<T>& tile, const Step* steps, std::size_t j) {
    if constexpr (kVectors > 0) {
      const std::size_t rest = width_ - j;
      if (rest > (kVectors - 1) * kLanes) return move<kVectors, true>(tile, steps, j);
      if (rest == (kVectors - 1) * kLanes) return move<kVectors - 1, false>(tile, steps, j);
      return move_rest<kVectors - 1>(tile, steps, j);
    }
    return Lanes{};
  }

  // The means hi + lo of the columns from j on, through all rows of a tile; the last vector may
  // have fewer columns than lanes.
  template <int kVectors, bool kLastIsPartial, typename T>
  Lanes move(const Tile<T>& tile, const Step* steps, std::size_t j) {
    Lanes hi[kVectors], lo[kVectors], sum = {};
    EWMA_UNROLLED
    for (int k = 0; k < kVectors; ++k) {
      hi[k] = load(hi_.data() + j + k * kLanes), lo[k] = load(lo_.data() + j + k * kLanes);
    }
    const int of_last = static_cast<int>(width_ - j) - (kVectors - 1) * kLanes;
    for (std::size_t i = 0; i < tile.rows; ++i) {
      const T* const x = tile.x + i * tile.stride;
      T* const y = tile.y + i * tile.y_stride;
      const Lanes part = all_lanes(steps[i].part);
      const auto sample = [&](int k) {
        const bool is_partial = kLastIsPartial && k == kVectors - 1;
        return is_partial ? load_first(x + k * kLanes, of_last) : load(x + k * kLanes);
      };
      const auto all = [&](const auto& step) {
        EWMA_UNROLLED
        for (int k = 0; k < kVectors; ++k) {
          const Lanes x_k = sample(k);
          sum = sum + magnitude(x_k);
          step(x_k, part, hi[k], lo[k]);
          if (kLastIsPartial && k == kVectors - 1) {
            store_first(y + k * kLanes, hi[k], of_last);
          } else {
            store(y + k * kLanes, hi[k]);
          }
        }
      };
      by(steps[i], all);
    }
    EWMA_UNROLLED
    for (int k = 0; k < kVectors; ++k) {
      store(next_hi_.data() + j + k * kLanes, hi[k]);
      store(next_lo_.data() + j + k * kLanes, lo[k]);
    }
    return sum;
  }

  const Powers& powers_;
  const Series start_;
  const std::size_t width_;
  bool seen_ = false;
  Double2 weight_;                         // of all
  bool all_blank_ = true;                  // nothing has been seen of any column
  std::vector<std::uint32_t> blank_;       // columns that have only been 0 so far
  std::vector<double> hi_, lo_;            // their means
  std::vector<double> next_hi_, next_lo_;  // after the tile that is worked on
  std::vector<Series> columns_;            // made when first asked for
};

}  // namespace EWMA_ISA
}  // namespace ewma
