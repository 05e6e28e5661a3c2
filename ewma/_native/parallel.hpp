// One call of the kernel cut into pieces that threads work on side by side.
//
// Many series are shared out. One long series is cut along time: each piece first sees as many
// samples in front of it as still count for anything, so that it starts from the mean that the
// piece before it ends with, without waiting for it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ema_kernel.hpp"
#include "threads.hpp"

namespace ewma {

// The copy of the kernel that a machine runs.
template <typename T>
struct Kernel {
  void (*smooth)(const T* x, T* y, const Shape& shape, const Options& options);
  void (*continue_series)(const T* x, T* y, std::size_t all, std::size_t needed, const Shape& shape,
                          const Options& options);
  void (*answer)(const Data& data, const Shape& shape, const Span& span, const Request* requests,
                 std::size_t count);
};

// How many samples in a row weigh less than 2^-60 beside those after them.
inline std::size_t memory(double beta) {
  const double samples = beta < 1.0 ? std::ceil(60.0 * std::log(2.0) / -std::log(beta)) : 1e18;
  return static_cast<std::size_t>(samples < 1e18 ? samples : 1e18);
}

// Fewer columns fill no registers.
constexpr std::size_t kColumnsOfThread = 32;

// What a sample costs that is only seen, beside one that is smoothed into new memory.
constexpr double kCostOfSeeing = 0.3;

// Where the pieces of a series start, and its end: each costs the same.
inline std::vector<std::size_t> cut(std::size_t time, std::size_t pieces, double memory) {
  const auto starts_for = [&](double cost) {
    std::vector<double> starts{0.0};
    for (std::size_t i = 0; i < pieces; ++i) {
      const double seen = std::min(memory, starts.back());
      starts.push_back(starts.back() + std::max(0.0, cost - kCostOfSeeing * seen));
    }
    return starts;
  };
  double low = 0.0, high = static_cast<double>(time);
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (starts_for(middle).back() < static_cast<double>(time) ? low : high) = middle;
  }
  std::vector<std::size_t> starts;
  for (const double start : starts_for(high)) {
    starts.push_back(std::min(time, static_cast<std::size_t>(start)));
  }
  starts.back() = time;
  return starts;
}

template <typename T>
void smooth_in_pieces(const Kernel<T>& kernel, const T* x, T* y, const Shape& shape,
                      const Options& options, std::size_t threads) {
  const std::size_t series = shape.time * shape.inner;
  if (threads > 1 && shape.outer >= threads) {
    side_by_side(threads, [&](std::size_t i) {
      const std::size_t first = shape.outer * i / threads, end = shape.outer * (i + 1) / threads;
      const Shape piece{end - first, shape.time, shape.inner, shape.columns};
      kernel.smooth(x + first * series, y + first * series, piece, options);
    });
    return;
  }
  const std::size_t needed = memory(options.beta);
  // Many columns are shared out where a piece along time would first see more than an eighth of
  // what it smooths: that takes longer than to share pages.
  const std::size_t part = shape.inner < kColumnsOfThread * threads ? 1 : 8;
  const bool along_time = shape.inner == 1 || needed <= shape.time / threads / part;
  if (threads > 1 && along_time && x != y) {
    const std::vector<std::size_t> starts = cut(shape.time, threads, static_cast<double>(needed));
    for (std::size_t o = 0; o < shape.outer; ++o) {
      const T* from = x + o * series;
      T* to = y + o * series;
      side_by_side(threads, [&](std::size_t i) {
        const std::size_t first = starts[i];
        const Shape piece{1, starts[i + 1] - first, shape.inner, shape.columns};
        kernel.continue_series(from + first * shape.columns, to + first * shape.columns, first,
                               needed, piece, options);
      });
    }
  } else if (threads > 1 && shape.inner >= threads) {
    side_by_side(threads, [&](std::size_t i) {
      const std::size_t first = shape.inner * i / threads, end = shape.inner * (i + 1) / threads;
      const Shape piece{shape.outer, shape.time, end - first, shape.columns, first, i, threads};
      kernel.smooth(x + first, y + first, piece, options);
    });
  } else {
    kernel.smooth(x, y, shape, options);
  }
}

// Many series are shared out. One long series of means is cut; one with groups or times is not:
// there what weighs nothing may weigh all there is after a gap.
template <typename T>
void answer_in_pieces(const Kernel<T>& kernel, const Data& data, const Shape& shape,
                      const Request* requests, std::size_t count, std::size_t threads) {
  const std::size_t number = data.pairs ? 2 : 1;  // columns of a series
  const Request& request = requests[0];
  if (shape.outer == 1 && shape.inner == number && request.groups.of == nullptr &&
      request.times.at == nullptr && data.x != data.y) {
    side_by_side(threads, [&](std::size_t i) {
      const Span span{shape.time * i / threads, shape.time * (i + 1) / threads};
      kernel.answer(data, shape, span, requests, count);
    });
    return;
  }
  const bool by_rows = shape.outer >= shape.inner / number;
  const std::size_t one = by_rows ? 1 : number;  // a complex number stays whole
  const std::size_t series = by_rows ? shape.outer : shape.inner / number;
  const std::size_t apart = by_rows ? shape.time * shape.columns : number;
  const std::size_t pieces = std::min(threads, series);
  side_by_side(pieces, [&](std::size_t i) {
    const std::size_t first = series * i / pieces, end = series * (i + 1) / pieces;
    Data data_of_piece = data;
    data_of_piece.x += first * apart * data.x_size;
    data_of_piece.y += first * apart * data.y_size;
    Shape piece = shape;
    (by_rows ? piece.outer : piece.inner) = (end - first) * one;
    kernel.answer(data_of_piece, piece, {0, shape.time}, requests, count);
  });
}

}  // namespace ewma
