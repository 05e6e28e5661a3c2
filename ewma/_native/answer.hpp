// Requests of any kind over a block of samples of any type: a tile at a time is loaded, worked on
// and stored, so that nothing but the input and the output is ever held whole.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "elapsed.hpp"
#include "ema.hpp"
#include "ema_kernel.hpp"
#include "new_pages.hpp"
#include "prefetch.hpp"
#include "samples.hpp"
#include "statistics.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr std::size_t kWidestTile = 16;  // columns
constexpr std::size_t kLongestTile = 1024;
constexpr std::size_t kTile = kWidestTile * kRows;
constexpr std::size_t kAhead = 8;  // rows before a group's turn its state is sent for

inline void advance(Series& series, const double* x, const double*, const double*, double* y,
                    std::size_t n) {
  series.run(x, y, n);
}

inline void advance(Statistics& statistics, const double* x, const double* a, const double* b,
                    double* y, std::size_t n) {
  for (std::size_t i = 0; i < n;) i += statistics.run(x + i, a + i, b + i, y + i, n - i);
}

// The way from the block's samples to tiles and back.
class Tiles {
 public:
  Tiles(const Data& data, const Shape& shape)
      : data_(data), shape_(shape), load_(load_of(data.x_type)), store_(store_of(data.y_type)) {}

  void load(std::size_t first, std::size_t width, std::size_t rows, double* tile) const {
    for (std::size_t j = 0; j < width; ++j) {
      load_(data_.x + (first + j) * data_.x_size, shape_.columns, rows, tile + j * rows);
    }
    if (!data_.pairs) return;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < width; j += 2) {
        double &re = tile[j * rows + i], &im = tile[(j + 1) * rows + i];
        if (!(std::fabs(re) <= kLargest && std::fabs(im) <= kLargest)) re = im = std::nan("");
      }
    }
  }

  // `kept`: what is missing comes out as it went in, though the other part of it may be a number.
  void store(std::size_t first, std::size_t width, std::size_t rows, std::size_t block, bool kept,
             double* tile) const {
    if (data_.pairs && kept) {
      for (std::size_t j = 0; j < width; ++j) {
        for (std::size_t i = 0; i < rows; ++i) {
          if (!std::isnan(tile[j * rows + i])) continue;
          const std::size_t at = first + j + i * shape_.columns;
          load_(data_.x + at * data_.x_size, 1, 1, tile + j * rows + i);
        }
      }
    }
    for (std::size_t j = 0; j < width; ++j) {
      char* const to = data_.y + (block * data_.block + first + j) * data_.y_size;
      store_(tile + j * rows, rows, to, shape_.columns);
    }
  }

 private:
  const Data& data_;
  const Shape& shape_;
  const Load load_;
  const Store store_;
};

// The row from which on samples of a series before row `first` still count for anything, that is
// 2^-60 or more, in squares 2^-120: all of them, if one among those is missing, or if none is ever
// forgotten.
inline std::size_t first_that_counts(const Data& data, const Shape& shape, std::size_t first,
                                     const Request* requests, std::size_t count) {
  double beta = 0.0;  // the slowest
  for (std::size_t k = 0; k < count; ++k) beta = larger(beta, requests[k].options.beta);
  const double bits = requests[0].statistic == Statistic::kMean ? 60.0 : 120.0;
  const double needed = bits * 0.6931471805599453 / -std::log(beta);
  if (!(beta < 1.0 && needed < 1e18)) return 0;
  const auto rows_needed = static_cast<std::size_t>(needed) + 1;
  const std::size_t from = first > rows_needed ? first - rows_needed : 0;
  const Tiles tiles(data, shape);
  double samples[2 * kRows];  // a series has one column, or two of complex numbers
  for (std::size_t t = from; t < first; t += kRows) {
    const std::size_t rows = first - t < kRows ? first - t : kRows;
    tiles.load(t * shape.columns, shape.columns, rows, samples);
    for (std::size_t i = 0; i < rows * shape.columns; ++i) {
      if (!(std::fabs(samples[i]) <= kLargest)) return 0;
    }
  }
  return from;
}

// start(k) is the state that the series of request k start from.
template <typename State, typename Start>
void answer_all(const Data& data, const Shape& shape, const Span& span, const Request* requests,
                std::size_t count, const Start& start) {
  const Tiles tiles(data, shape);
  const Groups& groups = requests[0].groups;
  const std::size_t own = groups.of == nullptr ? 1 : groups.count;  // states of a column
  const std::size_t widest = groups.of == nullptr ? kWidestTile : data.pairs ? 2 : 1;
  const bool has_times = requests[0].times.at != nullptr;
  // One series of doubles is worked on where it lies.
  const bool in_place = shape.columns == 1 && data.x_type == Type::kFloat64 &&
                        data.y_type == Type::kFloat64 && groups.of == nullptr;
  const std::size_t from =
      span.first == 0 ? 0 : first_that_counts(data, shape, span.first, requests, count);
  double loaded[kTile], worked[kTile], a[kLongestTile], b[kLongestTile];
  // Written one after the other, but where another thread has the rest of each row.
  std::vector<NewPages> pages(count);
  for (std::size_t k = 0; k < count && data.x != data.y && shape.inner == shape.columns; ++k) {
    const std::size_t first = span.first * shape.columns;
    const std::size_t end = ((shape.outer - 1) * shape.time + span.end) * shape.columns;
    pages[k] = {data.y + (k * data.block + first) * data.y_size, (end - first) * data.y_size};
  }
  std::vector<State> states;
  std::vector<Elapsed> elapsed;
  for (std::size_t o = 0; o < shape.outer; ++o) {
    for (std::size_t c = 0; c < shape.inner; c += widest) {
      const std::size_t width = shape.inner - c < widest ? shape.inner - c : widest;
      states.clear(), elapsed.clear();
      for (std::size_t k = 0; k < count; ++k) {
        states.insert(states.end(), width * own, start(k));
        elapsed.emplace_back(requests[k]);
      }
      const std::size_t longest = width == 1 ? kLongestTile : kRows;
      std::size_t rows;
      for (std::size_t t = from; t < span.end; t += rows) {
        const bool counts = t >= span.first;
        const std::size_t left = (counts ? span.end : span.first) - t;
        rows = left < longest ? left : longest;
        const std::size_t first = (o * shape.time + t) * shape.columns + c;
        if (!in_place) tiles.load(first, width, rows, loaded);
        for (std::size_t k = 0; k < count; ++k) {
          if (counts) {
            const std::size_t end = first - c + rows * shape.columns;
            pages[k].reach(data.y + (k * data.block + end) * data.y_size);
          }
          if (has_times) elapsed[k].next(t, rows, a, b);
          if (in_place) {
            const double* const x = reinterpret_cast<const double*>(data.x) + first;
            double* const y =
                counts ? reinterpret_cast<double*>(data.y) + k * data.block + first : worked;
            advance(states[k], x, a, b, y, rows);
            continue;
          }
          for (std::size_t j = 0; j < width; ++j) {
            State* const state = states.data() + (k * width + j) * own;
            const double* const x = loaded + j * rows;
            double* const y = worked + j * rows;
            if (groups.of == nullptr) {
              advance(*state, x, a, b, y, rows);
              continue;
            }
            const std::int64_t* const group = groups.of + t;
            for (std::size_t i = 0, end; i < rows; i = end) {
              for (end = i + 1; end < rows && group[end] == group[i];) ++end;
              if (i + kAhead < rows) soon_written(&state[group[i + kAhead]], sizeof(State));
              advance(state[number_of(group[i], own)], x + i, a + i, b + i, y + i, end - i);
            }
          }
          if (counts) tiles.store(first, width, rows, k, !requests[k].options.fill, worked);
        }
      }
    }
  }
}

}  // namespace EWMA_ISA
}  // namespace ewma
