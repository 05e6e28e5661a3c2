// What the compiled copies of the recurrence offer to streams: a state that is kept between calls,
// and what moves it on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ema_kernel.hpp"

namespace ewma {

// The state of one series. Plain numbers: it is written down and read in again.
struct StreamState {
  double mean = 0.0, mean_rest = 0.0;      // scaled; a sum of two, see double2.hpp
  double weight = 0.0, weight_rest = 0.0;  // 0 without bias correction, where it is always the same
  double largest = 0.0;                    // of |x| so far, or less; scaled
  std::int64_t scale = 0;                  // which of kScales, see scale.hpp
  std::int64_t count = 0;                  // samples seen, less those that were missing
  // With times: for how long the past has decayed since the first row, and whether it does so for
  // that row too, once something is in front of it.
  double elapsed = 0.0, elapsed_rest = 0.0;
  bool first_decays = false;
};

// Everything a single sample needs to know; `alpha` is 1 - beta, and `steady_weight` is where the
// weight stops growing.
struct StreamRule {
  explicit StreamRule(const Options& asked)
      : options(asked), alpha(1.0 - asked.beta), steady_weight((1.0 - 0x1p-52) / alpha) {}

  Options options;
  double alpha;
  double steady_weight;
};

// How much time there was before each row, and how much the past decays over it. The very first
// row's is NaN: nobody knows; without bias correction it is `unit`.
struct Elapse {
  const double* times;
  double log_beta;
  double unit;
};

// `observe` takes in one sample and returns what comes out; `resume` does so with rows of a block
// (rows, columns), with a state a column, into y, which may be x; `resume_at` the same with times.
// `join` puts a stretch before another one: `power` is what is left of it after that.
#define EWMA_DECLARE_STREAM_KERNEL(isa)                                                           \
  namespace isa {                                                                                 \
  double observe(double x, const StreamRule& rule, StreamState& state);                           \
  template <typename T>                                                                           \
  void resume(const T* x, T* y, std::size_t rows, std::size_t columns, const StreamRule& rule,    \
              StreamState* states);                                                               \
  template <typename T>                                                                           \
  void resume_at(const T* x, T* y, std::size_t rows, std::size_t columns, const StreamRule& rule, \
                 const Elapse& elapse, StreamState* states);                                      \
  double mean_of(const StreamState& state);                                                       \
  void join(const StreamState& before, double power, const StreamRule& rule, StreamState& state); \
  }
EWMA_DECLARE_STREAM_KERNEL(baseline)
EWMA_DECLARE_STREAM_KERNEL(avx2)
EWMA_DECLARE_STREAM_KERNEL(avx512)
#undef EWMA_DECLARE_STREAM_KERNEL

constexpr std::int64_t kScaleCount = 3;

}  // namespace ewma
