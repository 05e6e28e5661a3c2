// Streams: the recurrence with its state kept. Compiled once per instruction set, as is
// ema_kernel.cpp.
#include "stream_kernel.hpp"

#include <cmath>

#include "elapsed.hpp"
#include "ema.hpp"
#include "stream_step.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr std::size_t kStreamColumns = 32;
constexpr std::size_t kStreamRows = kBlock;

double observe(double x, const StreamRule& rule, StreamState& state) {
  return step(x, {rule.options.beta, rule.alpha, true}, rule, state);
}

double mean_of(const StreamState& state) { return unscaled_mean(state); }

// As many columns as a tile holds are copied into it and back, so that each is worked on as a
// series of its own, and whole cache lines are read and written.
template <typename T>
void resume(const T* x, T* y, std::size_t rows, std::size_t columns, const StreamRule& rule,
            StreamState* states) {
  const std::size_t few = 8;
  if (rows < few) {  // sooner done without the tables of powers
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        const double sample = static_cast<double>(x[i * columns + j]);
        const double result = observe(sample, rule, states[j]);
        y[i * columns + j] = static_cast<T>(result);
      }
    }
    return;
  }
  const Powers powers(rule.options.beta);
  if (columns == 1) {
    Series series(powers, rule.options, *states);
    series.run(x, y, rows);
    series.keep(rows, *states);
    return;
  }
  T tile[kStreamColumns * kStreamRows];
  Series series[kStreamColumns];
  for (std::size_t c = 0; c < columns; c += kStreamColumns) {
    const std::size_t width = columns - c < kStreamColumns ? columns - c : kStreamColumns;
    for (std::size_t j = 0; j < width; ++j) series[j] = {powers, rule.options, states[c + j]};
    for (std::size_t t = 0; t < rows; t += kStreamRows) {
      const std::size_t height = rows - t < kStreamRows ? rows - t : kStreamRows;
      const std::size_t first = t * columns + c;
      for (std::size_t i = 0; i < height; ++i) {
        const T* const row = x + first + i * columns;
        for (std::size_t j = 0; j < width; ++j) tile[j * kStreamRows + i] = row[j];
      }
      for (std::size_t j = 0; j < width; ++j) {
        T* const column = tile + j * kStreamRows;
        series[j].run(column, column, height);
      }
      for (std::size_t i = 0; i < height; ++i) {
        T* const row = y + first + i * columns;
        for (std::size_t j = 0; j < width; ++j) row[j] = tile[j * kStreamRows + i];
      }
    }
    for (std::size_t j = 0; j < width; ++j) series[j].keep(rows, states[c + j]);
  }
}

template <typename T>
void resume_at(const T* x, T* y, std::size_t rows, std::size_t columns, const StreamRule& rule,
               const Elapse& elapse, StreamState* states) {
  const bool debias = rule.options.debias;
  const auto time_before = [&](double time) {
    return !std::isnan(time) ? smaller(time, kLargest) : debias ? 0.0 : elapse.unit;
  };
  double waited[kStreamRows], left[kStreamRows];  // before each row, and of the past after that
  for (std::size_t t = 0; t < rows; t += kStreamRows) {
    const std::size_t height = rows - t < kStreamRows ? rows - t : kStreamRows;
    const double* const times = elapse.times + t;
    for (std::size_t i = 0; i < height; ++i) waited[i] = left[i] = time_before(times[i]);
    exponentials(elapse.log_beta, left, height);
    for (std::size_t i = 0; i < height; ++i) {
      const bool is_first = std::isnan(times[i]);
      const double time = waited[i];
      Decay decay{1.0, 0.0, false};
      if (time > 0.0 && debias) decay.a = left[i];
      if (time > 0.0 && !debias) {
        decay.b = -std::expm1(time * elapse.log_beta);
        decay.a = left_of(decay.b, left[i]);
      }
      const std::size_t first = (t + i) * columns;
      for (std::size_t j = 0; j < columns; ++j) {
        StreamState& state = states[j];
        const std::int64_t count = state.count;
        y[first + j] = static_cast<T>(step(static_cast<double>(x[first + j]), decay, rule, state));
        if (rule.options.ignore_na && state.count == count) continue;
        if (is_first) {
          state.first_decays = true;
        } else {
          const Double2 sum = add(time, Double2{state.elapsed, state.elapsed_rest});
          const bool is_finite = sum.hi <= kLargest;
          state.elapsed = is_finite ? sum.hi : kLargest;
          state.elapsed_rest = is_finite ? sum.lo : 0.0;
        }
      }
    }
  }
}

// y = y_1 + s * (y_0 - y_1), where s is the part of the weight that the stretch before has.
void join(const StreamState& earlier, double power, const StreamRule& rule, StreamState& state) {
  if (earlier.count == 0) return;
  StreamState before = earlier;
  to_scale(before, state.scale), to_scale(state, before.scale);
  const Double2 mean{state.mean, state.mean_rest}, mean_before{before.mean, before.mean_rest};
  if (!rule.options.debias) {
    set_mean(state, add(mean, multiply(power, mean_before)));
  } else {
    const Double2 weight_before = multiply(power, Double2{before.weight, before.weight_rest});
    const Double2 weight = add(Double2{state.weight, state.weight_rest}, weight_before);
    if (state.count == 0) {
      set_mean(state, mean_before);
      set_weight(state, weight);
    } else if (state.weight > 0.0) {
      const Double2 apart = add(mean_before, Double2{-mean.hi, -mean.lo});
      set_mean(state, add(mean, multiply(apart, divide(weight_before, weight))));
      set_weight(state, weight);
    }  // else a gap has let its samples fade, and those before them even more
  }
  state.largest = larger(state.largest, before.largest);
  state.count += before.count;
}

template void resume(const double*, double*, std::size_t, std::size_t, const StreamRule&,
                     StreamState*);
template void resume(const float*, float*, std::size_t, std::size_t, const StreamRule&,
                     StreamState*);
template void resume_at(const double*, double*, std::size_t, std::size_t, const StreamRule&,
                        const Elapse&, StreamState*);
template void resume_at(const float*, float*, std::size_t, std::size_t, const StreamRule&,
                        const Elapse&, StreamState*);

}  // namespace EWMA_ISA
}  // namespace ewma
