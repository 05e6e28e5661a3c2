// The recurrence over a block (outer, time, inner), compiled once per instruction set:
// CMakeLists.txt defines EWMA_ISA, the namespace that this copy lives in.
#include "ema_kernel.hpp"

#include <memory>
#include <vector>

#include "answer.hpp"
#include "ema.hpp"
#include "new_pages.hpp"
#include "rows.hpp"
#include "short_series.hpp"
#include "transpose.hpp"

namespace ewma {
namespace EWMA_ISA {

// Where there are gaps, columns that lie side by side in memory are copied into a buffer a few at a
// time, smoothed there and copied back: whole cache lines are used, and the recurrence itself sees
// contiguous samples.
constexpr std::size_t kTileColumns = 32;
constexpr std::size_t kTileRows = kBlock;

template <typename T>
void smooth_tile(const T* x, std::size_t stride, T* y, std::size_t y_stride, std::size_t rows,
                 Series* columns, std::size_t width) {
  T tile[kTileColumns * kTileRows];
  transpose(x, stride, rows, width, tile, kTileRows);
  for (std::size_t j = 0; j < width; ++j) {
    T* column = tile + j * kTileRows;
    columns[j].run(column, column, rows);
  }
  transpose(tile, kTileRows, width, rows, y, y_stride);
}

// Moves columns that lie side by side on by so many rows.
template <typename T>
void run_columns(const T* x, std::size_t stride, T* y, std::size_t y_stride, std::size_t time,
                 Rows& rows, NewPages& pages) {
  for (std::size_t t = 0; t < time;) {
    t += rows.run(x + t * stride, stride, y + t * y_stride, y_stride, time - t, pages);
    if (t == time) break;
    const std::size_t left = time - t < kTileRows ? time - t : kTileRows, width = rows.width();
    Series* const columns = rows.columns();
    pages.reach(y + (t + left) * y_stride);
    for (std::size_t j = 0; j < width; j += kTileColumns) {
      smooth_tile(x + t * stride + j, stride, y + t * y_stride + j, y_stride, left, columns + j,
                  width - j < kTileColumns ? width - j : kTileColumns);
    }
    t += left;
  }
}

// Calls work(first, width) for columns as many as whose states stay near.
template <typename Work>
void by_columns(std::size_t all, const Work& work) {
  for (std::size_t c = 0; c < all; c += kRowColumns) {
    work(c, all - c < kRowColumns ? all - c : kRowColumns);
  }
}

// The pages of so many rows of y, which are written one after the other.
template <typename T>
NewPages pages_of(const T* x, T* y, const Shape& shape, std::size_t rows) {
  if (x == y) return {};
  const std::size_t row = shape.columns * sizeof(T);
  if (shape.threads == 1) return {y, rows * row};
  const std::size_t own_end = (shape.first + shape.inner) * sizeof(T);
  return {y - shape.first, rows * row, row, own_end, shape.index, shape.threads};
}

// Made anew only when beta changes: many short series ask for the same. A thread that asks for none
// has no room for them.
const Powers& powers_of(double beta) {
  static thread_local std::unique_ptr<Powers> powers;
  if (powers == nullptr || powers->beta != beta) powers = std::make_unique<Powers>(beta);
  return *powers;
}

// As the powers.
Steps& steps_of(const Powers& powers, const Double2& weight) {
  static thread_local std::unique_ptr<Steps> steps;
  if (steps == nullptr || !steps->start_from(powers, weight)) {
    steps = std::make_unique<Steps>(powers, weight);
  }
  return *steps;
}

template <typename T>
void smooth(const T* x, T* y, const Shape& shape, const Options& options) {
  const Powers& powers = powers_of(options.beta);
  const Series start(powers, options);
  const std::size_t stride = shape.time * shape.columns;
  NewPages pages = pages_of(x, y, shape, shape.outer * shape.time);
  std::size_t o = 0;
  const std::size_t most = options.beta < kPolishBelow ? kMostPolishedSamples : kMostSamples;
  if (shape.columns == 1 && shape.outer >= kFewestSeries && shape.time >= kFewestSamples &&
      shape.time <= most && options.beta > 0.0) {
    const Step* const steps = steps_of(powers, start.weight()).first(powers, shape.time);
    for (std::size_t width; o + kFewestSeries <= shape.outer; o += width) {
      width = shape.outer - o < kSeriesAtOnce ? shape.outer - o : kSeriesAtOnce;
      const T* const from = x + o * shape.time;
      T* const to = y + o * shape.time;
      pages.reach(to + width * shape.time);
      ShortSeries series(steps, width, shape.time);
      if (series.fit(from, to)) {
        series.smooth(from, to);
        continue;
      }
      for (std::size_t i = 0; i < width * shape.time; i += shape.time) {
        Series(start).run(from + i, to + i, shape.time);
      }
    }
  }
  for (x += o * stride, y += o * stride; o < shape.outer; ++o, x += stride, y += stride) {
    if (shape.columns == 1) {
      Series series = start;
      series.run(x, y, shape.time, &pages);
    } else {
      by_columns(shape.inner, [&](std::size_t c, std::size_t width) {
        Rows rows(powers, start, width);
        run_columns(x + c, shape.columns, y + c, shape.columns, shape.time, rows, pages);
      });
    }
  }
}

// Whether a series that started `before` samples ago is what it would be had it started earlier:
// `needed` samples without a gap make it so.
bool is_settled(const Series& series, std::size_t before, std::size_t needed,
                const Options& options) {
  if (!series.seen()) return false;
  if (options.ignore_na) return before - series.gaps() >= needed;
  if (!options.debias) return before >= needed;
  // The weight of those that are there may be so small that what is older still shows beside it.
  const double share = series.weight().hi * (1.0 - options.beta);
  return static_cast<double>(before) >= static_cast<double>(needed) * (1.0 - std::log2(share) / 60);
}

template <typename T>
void continue_series(const T* x, T* y, std::size_t all, std::size_t needed, const Shape& shape,
                     const Options& options) {
  const Powers& powers = powers_of(options.beta);
  const Series start(powers, options);
  const std::size_t stride = shape.columns;
  NewPages none, pages = pages_of(x, y, shape, shape.time);
  by_columns(shape.inner, [&](std::size_t c, std::size_t width) {
    const T* const from = x + c;
    T* const to = y + c;
    // Further back where samples are missing.
    for (std::size_t before = needed < all ? needed : all;;
         before = before < all / 2 ? 2 * before + 1 : all) {
      const auto is_enough = [&](const Series& series) {
        return before == all || is_settled(series, before, needed, options);
      };
      if (stride == 1) {
        Series series = start;
        series.run(from - before, static_cast<T*>(nullptr), before);
        if (!is_enough(series)) continue;
        series.run(from, to, shape.time, &pages);
      } else {
        Rows rows(powers, start, width);
        std::vector<T> nowhere(width);
        run_columns(from - before * stride, stride, nowhere.data(), 0, before, rows, none);
        if (!rows.all(is_enough)) continue;
        run_columns(from, stride, to, stride, shape.time, rows, pages);
      }
      return;
    }
  });
}

void answer(const Data& data, const Shape& shape, const Span& span, const Request* requests,
            std::size_t count) {
  const bool is_even = requests[0].times.at == nullptr;
  std::vector<Powers> powers;
  if (is_even) {
    powers.reserve(count);
    for (std::size_t k = 0; k < count; ++k) powers.emplace_back(requests[k].options.beta);
  }
  if (is_even && requests[0].statistic == Statistic::kMean) {
    answer_all<Series>(data, shape, span, requests, count,
                       [&](std::size_t k) { return Series(powers[k], requests[k].options); });
  } else {
    answer_all<Statistics>(data, shape, span, requests, count, [&](std::size_t k) {
      return Statistics(requests[k], is_even ? &powers[k] : nullptr);
    });
  }
}

template void smooth(const double*, double*, const Shape&, const Options&);
template void smooth(const float*, float*, const Shape&, const Options&);
template void continue_series(const double*, double*, std::size_t, std::size_t, const Shape&,
                              const Options&);
template void continue_series(const float*, float*, std::size_t, std::size_t, const Shape&,
                              const Options&);

}  // namespace EWMA_ISA
}  // namespace ewma
