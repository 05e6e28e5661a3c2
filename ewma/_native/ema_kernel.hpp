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

// Of a C-contiguous block (outer, time, all columns), `inner` columns of each row.
struct Shape {
  std::size_t outer;
  std::size_t time;
  std::size_t inner;
  std::size_t columns;
};

// One namespace an instruction set, see ema_kernel.cpp. `smooth` smooths x along time into y, which
// may be x; `continue_series` smooths the next `time` samples of one series, of which `all` samples
// in front of x have come before, and the last `needed` that are not missing still count for
// anything.
#define EWMA_DECLARE_KERNEL(isa)                                                                \
  namespace isa {                                                                               \
  template <typename T>                                                                         \
  void smooth(const T* x, T* y, const Shape& shape, const Options& options);                    \
  template <typename T>                                                                         \
  void continue_series(const T* x, T* y, std::size_t all, std::size_t needed, std::size_t time, \
                       const Options& options);                                                 \
  }
EWMA_DECLARE_KERNEL(baseline)
EWMA_DECLARE_KERNEL(avx2)
EWMA_DECLARE_KERNEL(avx512)
#undef EWMA_DECLARE_KERNEL

}  // namespace ewma
