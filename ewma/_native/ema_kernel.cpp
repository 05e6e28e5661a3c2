// The recurrence over a block (outer, time, inner), compiled once per instruction set:
// CMakeLists.txt defines EWMA_ISA, the namespace that this copy lives in.
#include "ema_kernel.hpp"

#include "ema.hpp"

namespace ewma {
namespace EWMA_ISA {

// Columns that lie side by side in memory are copied into a buffer a few at a time, smoothed there
// and copied back: whole cache lines are used, and the recurrence itself sees contiguous samples.
constexpr std::size_t kTileColumns = 32;
constexpr std::size_t kTileRows = kBlock;

template <typename T>
void smooth_columns(const T* x, T* y, std::size_t time, std::size_t inner, const Series& start) {
  T tile[kTileColumns * kTileRows];
  Series columns[kTileColumns];
  for (std::size_t c = 0; c < inner; c += kTileColumns) {
    const std::size_t width = inner - c < kTileColumns ? inner - c : kTileColumns;
    for (std::size_t j = 0; j < width; ++j) columns[j] = start;
    for (std::size_t t = 0; t < time; t += kTileRows) {
      const std::size_t rows = time - t < kTileRows ? time - t : kTileRows;
      for (std::size_t i = 0; i < rows; ++i) {
        const T* row = x + (t + i) * inner + c;
        for (std::size_t j = 0; j < width; ++j) tile[j * kTileRows + i] = row[j];
      }
      for (std::size_t j = 0; j < width; ++j) {
        T* column = tile + j * kTileRows;
        columns[j].run(column, column, rows);
      }
      for (std::size_t i = 0; i < rows; ++i) {
        T* row = y + (t + i) * inner + c;
        for (std::size_t j = 0; j < width; ++j) row[j] = tile[j * kTileRows + i];
      }
    }
  }
}

template <typename T>
void smooth(const T* x, T* y, const Shape& shape, const Options& options) {
  // Made anew only when beta changes: many short series ask for the same.
  static thread_local Powers powers(options.beta);
  if (powers.beta != options.beta) powers = Powers(options.beta);
  const Series start(powers, options);
  const std::size_t stretch = shape.time * shape.inner;
  for (std::size_t o = 0; o < shape.outer; ++o, x += stretch, y += stretch) {
    if (shape.inner == 1) {
      Series series = start;
      series.run(x, y, shape.time);
    } else {
      smooth_columns(x, y, shape.time, shape.inner, start);
    }
  }
}

template void smooth(const double*, double*, const Shape&, const Options&);
template void smooth(const float*, float*, const Shape&, const Options&);

}  // namespace EWMA_ISA
}  // namespace ewma
