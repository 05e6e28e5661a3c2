// The starts of series that lie one after the other in memory, worked on side by side: all of them
// share the weight, so that nothing waits for anything but the sample before.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "ema.hpp"
#include "lanes.hpp"
#include "scale.hpp"
#include "steps.hpp"
#include "transpose.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr std::size_t kFewestSeries = 4;
constexpr std::size_t kSeriesAtOnce = 32;
constexpr std::size_t kTileSeries = 16;
constexpr std::size_t kTileSamples = 16;  // or a few more: squares of four by four make a tile
constexpr std::size_t kMostTileSamples = kTileSamples + 3;
// Longer series go on alone when they have so many samples, or a weight that has stopped growing.
constexpr std::size_t kStart = 400;

class Starts {
 public:
  // `start` is the state of each series before its first sample.
  Starts(const Powers& powers, Steps& steps, const Series& start, std::size_t width)
      : powers_(powers), steps_(steps), start_(start), width_(width), blank_(width) {
    std::fill(is_blank_, is_blank_ + width, true);
  }

  // Smooths the first of `time` samples, at least four, of series that lie one after the other,
  // until one of these is missing or of another scale; returns how many of each.
  template <typename T>
  std::size_t run(const T* x, T* y, std::size_t time) {
    for (std::size_t samples; done_ < time; done_ += samples) {
      if (time > kStart && (done_ >= kStart || is_steady(powers_, steps_.weight(done_)))) break;
      samples = time - done_ <= kMostTileSamples ? time - done_ : kTileSamples;
      if (!fits(x + done_, time, samples)) break;
      steps_.reach(powers_, done_ + samples);
      for (std::size_t j = 0; j < width_; j += kTileSeries) {
        move(x + j * time + done_, y + j * time + done_, time, samples, j);
      }
    }
    return done_;
  }

  // One of the series, to be moved on by itself.
  Series series(std::size_t j) const {
    Series series = start_;
    if (done_ > 0) {
      series.set({hi_[j], lo_[j]}, steps_.weight(done_), is_blank_[j], largest_[j]);
    }
    return series;
  }

 private:
  // Whether Series too would work on these samples at the usual scale.
  template <typename T>
  bool fits(const T* x, std::size_t stride, std::size_t samples) {
    Lanes a = {}, b = {}, c = {}, d = {};
    for (std::size_t j = 0; j < width_; ++j) {
      const T* const own = x + j * stride;
      std::size_t i = 0;
      for (; i + 4 * kLanes <= samples; i += 4 * kLanes) {
        a = a + magnitude(load(own + i));
        b = b + magnitude(load(own + i + kLanes));
        c = c + magnitude(load(own + i + 2 * kLanes));
        d = d + magnitude(load(own + i + 3 * kLanes));
      }
      for (; i + kLanes <= samples; i += kLanes) a = a + magnitude(load(own + i));
      if (i < samples) b = b + magnitude(load_first(own + i, static_cast<int>(samples - i)));
    }
    if (!(total((a + b) + (c + d)) <= kScaledLimit)) return false;
    for (std::size_t j = 0; blank_ > 0 && j < width_; ++j) {
      if (!is_blank_[j]) continue;
      const T* const own = x + j * stride;
      const T* const first = std::find_if(own, own + samples, [](T x) { return x != 0; });
      if (first == own + samples) continue;
      if (is_tiny(static_cast<double>(*first))) return false;
      is_blank_[j] = false;
      --blank_;
    }
    return true;
  }

  // Moves a tile's series, those from j on, by so many samples each.
  template <typename T>
  void move(const T* x, T* y, std::size_t stride, std::size_t samples, std::size_t j) {
    double tile[kMostTileSamples * kTileSeries];
    const std::size_t last = width_ - j < kTileSeries ? width_ - j - 1 : kTileSeries - 1;
    // Calls work(square in the tile, place of each of its series) for squares that cover the tile:
    // the last samples may be in two of them, the last series in several.
    const auto by_squares = [&](const auto& work) {
      for (std::size_t s = 0; s < kTileSeries; s += 4) {
        const auto row = [&](std::size_t k) { return (s + k < last ? s + k : last) * stride; };
        const std::size_t rows[4] = {row(0), row(1), row(2), row(3)};
        for (std::size_t i = 0; i < samples; i += 4) {
          const std::size_t at = i < samples - 4 ? i : samples - 4;
          work(tile + at * kTileSeries + s, rows, at);
        }
      }
    };
    by_squares([&](double* square, const std::size_t* rows, std::size_t at) {
      Four lanes[4];
      for (int k = 0; k < 4; ++k) get(x + rows[k] + at, lanes[k]);
      transpose(lanes);
      for (int k = 0; k < 4; ++k) put(square + k * kTileSeries, lanes[k]);
    });
    for (std::size_t i = 0; i < samples; i += 4) {  // that many are enough
      for (std::size_t k = 0; k < kTileSeries; ++k) {
        largest_[j + k] = larger(std::fabs(tile[i * kTileSeries + k]), largest_[j + k]);
      }
    }
    move(tile, steps_.from(done_), samples, j);
    by_squares([&](const double* square, const std::size_t* rows, std::size_t at) {
      Four lanes[4];
      for (int k = 0; k < 4; ++k) get(square + k * kTileSeries, lanes[k]);
      transpose(lanes);
      for (int k = 0; k < 4; ++k) put(y + rows[k] + at, lanes[k]);
    });
  }

  // The same in a tile, where the series lie side by side.
  void move(double* tile, const Step* steps, std::size_t samples, std::size_t j) {
    constexpr int kVectors = kTileSeries / 4;
    Four hi[kVectors], lo[kVectors];
    EWMA_UNROLLED
    for (int k = 0; k < kVectors; ++k) get(hi_ + j + 4 * k, hi[k]), get(lo_ + j + 4 * k, lo[k]);
    for (std::size_t i = 0; i < samples; ++i, tile += kTileSeries) {
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
      steps[i].from_sample ? all(FromSample{}) : all(FromMean{});
    }
    EWMA_UNROLLED
    for (int k = 0; k < kVectors; ++k) put(hi_ + j + 4 * k, hi[k]), put(lo_ + j + 4 * k, lo[k]);
  }

  const Powers& powers_;
  Steps& steps_;
  const Series& start_;
  const std::size_t width_;
  std::size_t done_ = 0;  // samples of each
  std::size_t blank_;     // series that have only been 0 so far
  bool is_blank_[kSeriesAtOnce];
  double hi_[kSeriesAtOnce] = {}, lo_[kSeriesAtOnce] = {};  // the means
  double largest_[kSeriesAtOnce] = {};                      // of |x| so far, or less
};

}  // namespace EWMA_ISA
}  // namespace ewma
