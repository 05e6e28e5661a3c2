// What the compiled copies of the recurrence offer to the bindings.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ewma {

// What a call asks for. `fill`: a missing sample comes out as the mean and not as it went in.
struct Options {
  double beta;
  bool debias;
  bool ignore_na;
  bool fill;
};

// Of a C-contiguous block (outer, time, all columns), `inner` columns of each row, from the column
// `first` on: the share of thread `index` of `threads`.
struct Shape {
  std::size_t outer;
  std::size_t time;
  std::size_t inner;
  std::size_t columns;
  std::size_t first = 0;
  std::size_t index = 0;
  std::size_t threads = 1;
};

enum class Type {
  kFloat64,
  kFloat32,
  kFloat16,
  kBfloat16,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,  // bool too
  kUint16,
  kUint32,
  kUint64,
};

// The samples and where their results go, which may be the same place; `pairs`: two columns side by
// side are a complex number, missing where either part is.
struct Data {
  const char* x;
  char* y;
  Type x_type, y_type;
  std::size_t x_size, y_size;  // bytes of an item
  std::size_t block;           // items of the results of one request
  bool pairs;
};

// When the rows were sampled, if it was not once a unit: whole numbers (what a date is inside) or
// float64, never going backwards.
struct Times {
  const void* at;
  bool whole;
  double unit;      // in steps of `at`: what a first sample waits for without bias correction
  double log_beta;  // of one step of `at`; -infinity is beta = 0
  bool weigh;       // a sample counts for the time since the one before

  double between(std::size_t before, std::size_t row) const {
    if (!whole) {
      const double* const times = static_cast<const double*>(at);
      return times[row] - times[before];
    }
    const auto* const times = static_cast<const std::uint64_t*>(at);
    return static_cast<double>(times[row] - times[before]);
  }
};

// Which of `count` groups each row belongs to, if there are groups.
struct Groups {
  const std::int64_t* of;
  std::size_t count;
};

enum class Statistic { kMean, kVariance, kDeviation };

struct Request {
  Options options;
  Statistic statistic;
  bool bias;  // of the variance
  Times times;
  Groups groups;
};

// The rows to answer for. Of those in front of them, as many are seen as still count for anything.
struct Span {
  std::size_t first;
  std::size_t end;
};

// One namespace an instruction set, see ema_kernel.cpp. `smooth` smooths x along time into y, which
// may be x; `continue_series` smooths the next of series (1, time, all columns), of which `all`
// samples in front of x have come before, and the last `needed` that are not missing still count
// for anything. `answer` answers each of the requests, all of the same data, times and groups, into
// a block of its own, one after the other in y.
#define EWMA_DECLARE_KERNEL(isa)                                                                  \
  namespace isa {                                                                                 \
  template <typename T>                                                                           \
  void smooth(const T* x, T* y, const Shape& shape, const Options& options);                      \
  template <typename T>                                                                           \
  void continue_series(const T* x, T* y, std::size_t all, std::size_t needed, const Shape& shape, \
                       const Options& options);                                                   \
  void answer(const Data& data, const Shape& shape, const Span& span, const Request* requests,    \
              std::size_t count);                                                                 \
  }
EWMA_DECLARE_KERNEL(baseline)
EWMA_DECLARE_KERNEL(avx2)
EWMA_DECLARE_KERNEL(avx512)
#undef EWMA_DECLARE_KERNEL

}  // namespace ewma
