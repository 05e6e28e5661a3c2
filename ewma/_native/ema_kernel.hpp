// What the compiled copies of the recurrence offer to the bindings.
#pragma once

#include <cstddef>

namespace ewma {

// What a call asks for. `fill`: a missing sample comes out as the mean and not as it went in.
struct Options {
  double beta;
  bool debias;
  bool ignore_na;
  bool fill;
};

// A C-contiguous block (outer, time, inner).
struct Shape {
  std::size_t outer;
  std::size_t time;
  std::size_t inner;
};

// Smooths x along time into y; y may be x. One namespace an instruction set, see ema_kernel.cpp.
namespace baseline {
template <typename T>
void smooth(const T* x, T* y, const Shape& shape, const Options& options);
}
namespace avx2 {
template <typename T>
void smooth(const T* x, T* y, const Shape& shape, const Options& options);
}
namespace avx512 {
template <typename T>
void smooth(const T* x, T* y, const Shape& shape, const Options& options);
}

}  // namespace ewma
