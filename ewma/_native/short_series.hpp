// Short series that lie one after the other in memory, worked on side by side: all of them share
// the weight, so that nothing waits for anything but the sample before.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "lanes.hpp"
#include "prefetch.hpp"
#include "scale.hpp"
#include "steps.hpp"
#include "transpose.hpp"

namespace ewma {
namespace EWMA_ISA {

// Longer ones are faster one after the other, in the order in which they lie in memory. With small
// betas means are polished there, which takes longer, and kSeriesAtOnce series of more samples
// would not fit into the second cache with their means.
constexpr std::size_t kFewestSamples = 4, kMostSamples = 384, kMostPolishedSamples = 1024;
constexpr std::size_t kFewestSeries = 4;
constexpr std::size_t kSeriesAtOnce = 16;
constexpr std::size_t kTileSamples = 16;  // or a few more: squares of four by four make a tile
constexpr std::size_t kMostTileSamples = kTileSamples + 3;

// Up to kSeriesAtOnce series of `time` samples, which are all there, and of the usual scale.
class ShortSeries {
 public:
  ShortSeries(const Step* steps, std::size_t width, std::size_t time)
      : steps_(steps), last_(width - 1), time_(time) {}

  // Whether Series too would work on all of them at the usual scale. Brings the samples, and where
  // their means go, into the cache, in the order in which memory is fastest.
  template <typename T>
  bool fit(const T* x, const T* y) const {
    const std::size_t size = (last_ + 1) * time_;
    Lanes a = {}, b = {}, c = {}, d = {};
    std::size_t i = 0;
    for (; i + 4 * kLanes <= size; i += 4 * kLanes) {
      soon_written(y + i, 4 * kLanes * sizeof(T));
      a = a + magnitude(load(x + i));
      b = b + magnitude(load(x + i + kLanes));
      c = c + magnitude(load(x + i + 2 * kLanes));
      d = d + magnitude(load(x + i + 3 * kLanes));
    }
    double sum = total((a + b) + (c + d));
    for (; i < size; ++i) sum += std::fabs(static_cast<double>(x[i]));
    if (!(sum <= kScaledLimit)) return false;
    for (std::size_t j = 0; j <= last_; ++j) {
      const T* const own = x + j * time_;
      const T* const first = std::find_if(own, own + time_, [](T x) { return x != 0; });
      if (first != own + time_ && is_tiny(static_cast<double>(*first))) return false;
    }
    return true;
  }

  // y may be x.
  template <typename T>
  void smooth(const T* x, T* y) {
    for (std::size_t i = 0, samples; i < time_; i += samples) {
      samples = time_ - i <= kMostTileSamples ? time_ - i : kTileSamples;
      move(x + i, y + i, steps_ + i, samples);
    }
  }

 private:
  // Moves all series on by so many samples, in a tile where they lie side by side.
  template <typename T>
  void move(const T* x, T* y, const Step* steps, std::size_t samples) {
    double tile[kMostTileSamples * kSeriesAtOnce];
    by_squares(samples, [&](std::size_t in_tile, const std::size_t* rows, std::size_t at) {
      Four square[4];
      for (int k = 0; k < 4; ++k) get(x + rows[k] + at, square[k]);
      transpose(square);
      for (int k = 0; k < 4; ++k) put(tile + in_tile + k * kSeriesAtOnce, square[k]);
    });
    move(tile, steps, samples);
    by_squares(samples, [&](std::size_t in_tile, const std::size_t* rows, std::size_t at) {
      Four square[4];
      for (int k = 0; k < 4; ++k) get(tile + in_tile + k * kSeriesAtOnce, square[k]);
      transpose(square);
      for (int k = 0; k < 4; ++k) put(y + rows[k] + at, square[k]);
    });
  }

  // Calls work(where a square is in the tile, where its series are, their first sample) for squares
  // that cover the tile: the last samples may be in two of them, the last series in several.
  template <typename Work>
  void by_squares(std::size_t samples, const Work& work) const {
    for (std::size_t j = 0; j < kSeriesAtOnce; j += 4) {
      const auto row = [&](std::size_t k) { return (j + k < last_ ? j + k : last_) * time_; };
      const std::size_t rows[4] = {row(0), row(1), row(2), row(3)};
      for (std::size_t i = 0; i < samples; i += 4) {
        const std::size_t at = i < samples - 4 ? i : samples - 4;
        work(at * kSeriesAtOnce + j, rows, at);
      }
    }
  }

  void move(double* tile, const Step* steps, std::size_t samples) {
    constexpr int kVectors = kSeriesAtOnce / 4;
    Four hi[kVectors], lo[kVectors];
    EWMA_UNROLLED
    for (int k = 0; k < kVectors; ++k) get(hi_ + 4 * k, hi[k]), get(lo_ + 4 * k, lo[k]);
    for (std::size_t i = 0; i < samples; ++i, tile += kSeriesAtOnce) {
      const Four part = all_four(steps[i].part);
      const auto all = [&](const auto& step) {
        EWMA_UNROLLED
        for (int k = 0; k < kVectors; ++k) {
          Four x;
          get(tile + 4 * k, x);
          step(x, part, hi[k], lo[k]);
          put(tile + 4 * k, hi[k]);
        }
      };
      by(steps[i], all);
    }
    EWMA_UNROLLED
    for (int k = 0; k < kVectors; ++k) put(hi_ + 4 * k, hi[k]), put(lo_ + 4 * k, lo[k]);
    settle(hi_, lo_, kSeriesAtOnce);
  }

  const Step* steps_;
  const std::size_t last_;  // series
  const std::size_t time_;
  double hi_[kSeriesAtOnce] = {}, lo_[kSeriesAtOnce] = {};  // the means
};

}  // namespace EWMA_ISA
}  // namespace ewma
