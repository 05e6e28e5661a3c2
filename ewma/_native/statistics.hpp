// The recurrence where each sample decays the past, and counts, by amounts of its own, and what is
// to be had beside the mean:
//
//     W_t = a_t W_{t-1} + b_t                                        weight
//     y_t = y_{t-1} + (b_t / W_t) (x_t - y_{t-1})                    mean
//     S_t = a_t S_{t-1} + b_t (a_t W_{t-1} / W_t) (x_t - y_{t-1})^2
//     P_t = a_t^2 P_{t-1} + 2 a_t W_{t-1} b_t                        W^2 less the sum of squares
//
// The variance is S / W, and without bias S W / P: all terms of S and P are positive. The mean is
// worked on as its distance from a reference, the mean before the block, as in stretch.hpp; or
// sample by sample, where it goes so far within a block that the distances would cost digits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "ema_kernel.hpp"
#include "gaps.hpp"
#include "lanes.hpp"
#include "scale.hpp"
#include "spread.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr std::size_t kRows = kBlock;  // samples that share a reference
// As kVisible, of the mean or its sample beside the farthest distance from the reference.
constexpr double kVisibleDistance = 0x1p-10;

// The state of one series between calls, and what moves it on.
class Statistics {
 public:
  // `powers`: of beta, where every sample decays the past by it.
  Statistics(const Request& request, const Powers* powers) : request_(&request), powers_(powers) {
    if (!request.options.debias) state_.weight = 1.0, empty_ = false;
  }

  // The next of n samples x with their decays a and weights b, which are not looked at where there
  // are powers; y may be x. Returns how many: n, or at least kRows.
  std::size_t run(const double* x, const double* a, const double* b, double* y, std::size_t n) {
    Block block;
    double kept[kRows];
    if (x == y) {  // the samples are still asked for when results stand in their place
      n = std::min(n, kRows);
      std::memcpy(kept, x, n * sizeof *x);
      x = kept;
    }
    const bool in_blocks = powers_ != nullptr && n >= kWorthIt && takes_blocks();
    const bool had_gaps = gaps_;
    if (in_blocks && !had_gaps) {
      const std::size_t done = whole_block(x, y, n);
      if (done > 0) return done;
    }
    n = std::min(n, kRows);
    if (in_blocks) {
      if (block_with_gaps(x, y, n)) return n;
      if (had_gaps && !gaps_ && whole_block(x, y, n) > 0) return n;
    }
    if (powers_ != nullptr) {
      const double weight = request_->options.debias ? 1.0 : powers_->alpha;
      for (std::size_t i = 0; i < n; ++i) block.a[i] = powers_->beta, block.b[i] = weight;
      a = block.a, b = block.b;
    }
    one_block(x, a, b, y, n, block);
    return n;
  }

 private:
  static constexpr double kForgotten = 1 / kTwoTo512;
  static constexpr double kFaint = 1 / kTwoTo128;  // its square, too, is far from denormal
  static constexpr std::size_t kWorthIt = 16;      // samples
  static constexpr double kNoSpread = 1 / (kTwoTo768 * kTwoTo128);

  struct Block {
    double x[kRows], a[kRows], b[kRows], y[kRows];
  };

  // Any block. a and b may be the room's own.
  void one_block(const double* x, const double* a, const double* b, double* y, std::size_t n,
                 Block& room) {
    if (state_.weight > 0.0 && scale_->in == 1.0) {
      if (pending_ == 1.0 && total_magnitude(x, n) <= kScaledLimit) {
        observe(x, a, b, y, n);
        if (std::any_of(b, b + n, [](double count) { return count > 0.0; })) faded_ = 1.0;
        last_ = y[n - 1];
        seen_ = true;
        return;
      }
      if (observe_over_gaps(x, a, b, y, n, room)) return;
    }
    // A larger scale starts with the sample that asks for it: those before it would end in 0.
    for (std::size_t i = 0, end; i < n; i = end) {
      while (is_too_large(x[i])) rescale();
      for (end = i + 1; end < n && !is_too_large(x[end]);) ++end;
      run_at_scale(x + i, a + i, b + i, y + i, end - i, room);
    }
  }

  bool takes_blocks() const {
    return request_->statistic != Statistic::kMean && request_->options.debias &&
           powers_->beta >= 0.5 && state_.pairs > 0.0 && scale_->in == 1.0;
  }

  bool takes_whole_blocks() const { return state_.weight >= 1.9 && pending_ == 1.0; }

  // The least of what is larger of |x| and |y|.
  static double least(const double* x, const double* y, std::size_t n) {
    Lanes least = all_lanes(kLargest);
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      least = smaller(least, larger_magnitude(magnitude(load(x + i)), load(y + i)));
    }
    double all = smallest_lane(least);
    for (; i < n; ++i) all = smaller(all, larger(std::fabs(x[i]), std::fabs(y[i])));
    return all;
  }

  static double total_magnitude(const double* x, std::size_t n) {
    Lanes sum = {};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) sum = sum + magnitude(load(x + i));
    double rest = total(sum);
    for (; i < n; ++i) rest += std::fabs(x[i]);
    return rest;
  }

  // So many of the next n samples, if there are no gaps: kRows, or where sums go on the more, the
  // longer that has gone well.
  std::size_t whole_block(const double* x, double* y, std::size_t n) {
    if (n < kRows || !takes_whole_blocks()) return 0;
    const bool root = request_->statistic == Statistic::kDeviation, bias = request_->bias;
    const bool steady = powers_->is_steady(state_.weight);
    std::size_t size = kRows;
    if (steady && powers_->beta <= kSlowFrom) {
      size = std::min(n, longest_);
      size -= size % (2 * kLanes);
      const auto run = root ? spread_on<true> : spread_on<false>;
      if (!run(*powers_, x, static_cast<int>(size), bias, state_, y)) {
        longest_ = kRows;
        return size == kRows ? 0 : whole_block(x, y, kRows);
      }
      longest_ = std::max(longest_, std::min<std::size_t>(2 * size, kSpreadBlock));
    } else {
      const auto run =
          steady ? (root ? spread_over_block<true, true> : spread_over_block<true, false>)
                 : (root ? spread_over_block<false, true> : spread_over_block<false, false>);
      if (!run(*powers_, x, bias, state_, y)) return 0;
    }
    last_ = y[size - 1];
    seen_ = true;
    settle();
    return size;
  }

  // A block that may have gaps, of any length. Where the clock stops over them, what is there is
  // brought side by side.
  [[gnu::noinline]] bool block_with_gaps(const double* x, double* y, std::size_t n) {
    const bool stops = request_->options.ignore_na;
    double samples[kRows + kBehind];
    const std::size_t count = close_up(x, x, n, samples);
    gaps_ = count < n;
    if (count == 0 || (count == kRows && takes_whole_blocks())) return false;
    std::size_t first = 0, end = count;
    if (!stops) {
      std::memcpy(samples, x, n * sizeof *x);
      while (!is_there(samples[first])) ++first;
      for (end = n; !is_there(samples[end - 1]);) --end;
    }
    for (std::size_t i = end; i % kLanes != 0; ++i) samples[i] = std::nan("");
    Moments before = state_;
    before.weight *= pending_, before.spread *= pending_, before.pairs *= pending_ * pending_;
    if (before.weight * powers_->power(static_cast<int>(first)).hi < kFaint) return false;
    const bool root = request_->statistic == Statistic::kDeviation;
    const auto run = powers_->beta > kSlowFrom
                         ? (root ? spread_over_gaps<true, false> : spread_over_gaps<false, false>)
                         : (root ? spread_over_gaps<true, true> : spread_over_gaps<false, true>);
    Progress progress;
    const int last = static_cast<int>(end) - 1;
    if (!run(*powers_, samples, last + 1, request_->bias, before, progress)) return false;
    state_ = progress.after(last, state_.mean);
    pending_ = stops ? 1.0 : powers_->power(static_cast<int>(n - end)).hi;
    if (stops) {
      put_apart(x, n, progress.y, count, y);
    } else {
      put(x, n, progress.y, end, y);
    }
    settle();
    return true;
  }

  // Samples that may be missing, which then count for nothing. a and b may be the room's own.
  [[gnu::noinline]] bool observe_over_gaps(const double* x, const double* a, const double* b,
                                           double* y, std::size_t n, Block& room) {
    std::size_t end = n;
    while (end > 0 && !is_there(x[end - 1])) --end;
    if (end == 0 || zero_for_missing()) return false;
    const bool stops = request_->options.ignore_na;
    double left = state_.weight * pending_, pending = 1.0;
    for (std::size_t i = 0; i < n; ++i) {
      const bool there = is_there(x[i]);
      room.x[i] = either(there, x[i], state_.mean);
      room.b[i] = either(there, b[i], 0.0);
      room.a[i] = either(there | !stops, a[i], 1.0);
    }
    for (std::size_t i = 0; i < end; ++i) left *= room.a[i];
    for (std::size_t i = end; i < n; ++i) pending *= room.a[i];
    // Else what is forgotten may be all there is.
    if (!(left * pending >= kForgotten) || !(total_magnitude(room.x, end) <= kScaledLimit)) {
      return false;
    }
    room.a[0] *= pending_;
    observe(room.x, room.a, room.b, room.y, end);
    // Only where weights are times may the last sample not count.
    for (std::size_t i = request_->times.weigh ? 0 : end - 1; i < end; ++i) {
      faded_ = room.b[i] > 0.0 ? 1.0 : faded_ * room.a[i];
    }
    pending_ = pending;
    put(x, n, room.y, end, y);
    return true;
  }

  // The results after each of n samples x up to `end`, of which the last is there, go to y; what is
  // missing is filled, or stays.
  void put(const double* x, std::size_t n, const double* results, std::size_t end, double* y) {
    if (request_->options.fill) {
      fill_up(x, results, n, last_, y);
    } else {
      put_where_there(x, results, n, y);
      leave_out(x, n, y);
    }
    last_ = results[end - 1];
    seen_ = true;
  }

  // The same of results that are side by side, for those `count` of the samples alone that are
  // there.
  void put_apart(const double* x, std::size_t n, const double* results, std::size_t count,
                 double* y) {
    double behind[1 + kRows + kBehind];
    behind[0] = last_;
    std::memcpy(behind + 1, results, count * sizeof *results);
    open_up(x, behind, n, request_->options.fill, y);
    if (!request_->options.fill) leave_out(x, n, y);
    last_ = results[count - 1];
    seen_ = true;
  }

  // A sample that is no number is its own mean, but has no variance.
  void leave_out(const double* x, std::size_t n, double* y) const {
    if (request_->statistic == Statistic::kMean) return;
    for (std::size_t i = 0; i < n; ++i) y[i] = either(is_there(x[i]), y[i], std::nan(""));
  }

  // What is nothing beside the samples that led to this scale would end in denormals.
  void settle() {
    if (state_.spread < kNoSpread) state_.spread = 0.0;
    if (std::fabs(state_.mean) < kNegligible) state_.mean = state_.rest = 0.0;
  }

  // An undebiased mean counts what is missing as zero, if the clock does not stop for it.
  bool zero_for_missing() const {
    return !request_->options.debias && !request_->options.ignore_na;
  }

  bool is_too_large(double x) const {
    const double size = std::fabs(x);
    return size <= kLargest && size * scale_->in > kScaledLimit;
  }

  // a and b may be the room's own: what is written there has been read.
  void run_at_scale(const double* x, const double* a, const double* b, double* y, std::size_t n,
                    Block& room) {
    const std::size_t count = gather(x, a, b, n, room);
    const std::size_t first = begin(room, count);
    observe(room.x + first, room.a + first, room.b + first, room.y + first, count - first);
    scatter(x, room, y, n);
  }

  // The samples that count, scaled and side by side; what the gaps between them decay is theirs.
  std::size_t gather(const double* x, const double* a, const double* b, std::size_t n,
                     Block& block) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double decay = a[i] * pending_;
      if (std::fabs(x[i]) <= kLargest || zero_for_missing()) {
        block.x[count] = std::fabs(x[i]) <= kLargest ? x[i] * scale_->in : 0.0;
        if (b[i] > 0.0) {
          block.a[count] = decay >= kForgotten ? decay : 0.0;
          faded_ = 1.0;
        } else {  // it counts for nothing either: what is forgotten is all there is
          block.a[count] = faded_ * decay >= kForgotten ? decay : kForgotten / faded_;
          faded_ *= block.a[count];
        }
        block.b[count] = b[i];
        pending_ = 1.0;
        ++count;
      } else if (!request_->options.ignore_na) {
        pending_ = decay < kForgotten ? 0.0 : decay;
      }
    }
    return count;
  }

  // Takes in the first sample, and those after it before one of them counts for anything; returns
  // how many these are.
  std::size_t begin(Block& block, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      const double b = block.b[i];
      if (state_.weight > 0.0) return i;
      if (!empty_) block.a[i] = waited_ = waited_ * block.a[i];
      if (!empty_ && b > 0.0) {
        state_.weight = b;  // nobody could tell how long the first one stood: as long as this one
        return i;
      }
      if (empty_) state_.mean = block.x[i], state_.weight = b, empty_ = false;
      const bool is_mean = request_->statistic == Statistic::kMean;
      block.y[i] = is_mean ? state_.mean : request_->bias ? 0.0 : std::nan("");
    }
    return n;
  }

  // The way of the mean through a block. With room for whole lanes behind it.
  struct Path {
    double weight[kRows + 1 + kLanes], inverse[kRows + 1 + kLanes];  // the first: before the block
    double change[kRows + kLanes];  // of a sample from the mean before it
  };

  // Samples that are all there, as is a weight before them; y must not be x.
  void observe(const double* x, const double* a, const double* b, double* y, std::size_t n) {
    if (n == 0) return;
    Path path;
    if (!together(x, a, b, n, path, y)) one_by_one(x, a, b, n, path, y);
    state_.weight = path.weight[n];
    settle();
  }

  // By distances from the mean before the block, which wait for little; false, with the state as it
  // was, where their rounding would show beside what is near 0 or varies little.
  bool together(const double* x, const double* a, const double* b, std::size_t n, Path& path,
                double* y) {
    const double reference = state_.mean;
    double distance[kRows + kLanes], mean[kRows + 1 + kLanes];
    for (std::size_t i = 0; i < n; ++i) distance[i] = x[i] - reference;
    double w = path.weight[0] = state_.weight, sum = w * state_.rest;
    mean[0] = state_.rest;
    for (std::size_t i = 0; i < n; ++i) {
      path.weight[i + 1] = w = a[i] * w + b[i];
      mean[i + 1] = sum = a[i] * sum + b[i] * distance[i];
    }
    if (request_->options.debias) {
      for (std::size_t i = 1; i <= n; ++i) {
        path.inverse[i] = 1.0 / path.weight[i], mean[i] *= path.inverse[i];
      }
    } else {
      for (std::size_t i = 1; i <= n; ++i)
        path.weight[i] = path.inverse[i] = 1.0;  // but for rounding
    }
    if (request_->statistic == Statistic::kMean) {
      const auto mean_of = [&](std::size_t i, const Lanes& x_i, const Lanes& a_i) {
        // Nearer to the sample than to the mean before: start there.
        const Lanes keep = a_i * load(path.weight + i) * load(path.inverse + i + 1);
        const Lanes from_sample = x_i + keep * (load(mean + i) - load(distance + i));
        const Lanes from_mean = reference + load(mean + i + 1);
        return where_below(keep, all_lanes(0.5), from_sample, from_mean);
      };
      Lanes farthest = {}, nearest = all_lanes(kLargest);
      std::size_t i = 0;
      for (; i + kLanes <= n; i += kLanes) {
        const Lanes x_i = load(x + i), y_i = mean_of(i, x_i, load(a + i));
        farthest = larger_magnitude(farthest, load(distance + i));
        nearest = smaller(nearest, larger_magnitude(magnitude(x_i), y_i));
        store(y + i, y_i);
      }
      if (const int rest = static_cast<int>(n - i); rest > 0) {
        store_first(y + i, mean_of(i, load_first(x + i, rest), load_first(a + i, rest)), rest);
      }
      const double near = smaller(smallest_lane(nearest), least(x + i, y + i, n - i));
      double far = largest_lane(farthest);
      for (; i < n; ++i) far = larger(far, std::fabs(distance[i]));
      if (far * kVisibleDistance > near) return false;
    } else {
      for (std::size_t i = 0; i < n; ++i) path.change[i] = distance[i] - mean[i];
      if (!spread(a, b, n, path, y)) return false;
    }
    const Double2 end = two_sum(reference, mean[n]);
    state_.mean = end.hi, state_.rest = end.lo;
    return true;
  }

  // The same by the recurrence itself, in which each mean rounds by no more than it is.
  void one_by_one(const double* x, const double* a, const double* b, std::size_t n, Path& path,
                  double* y) {
    const bool is_mean = request_->statistic == Statistic::kMean;
    Double2 mean{state_.mean, state_.rest};
    for (std::size_t i = 0; i < n; ++i) {
      const double keep = a[i] * path.weight[i] * path.inverse[i + 1];
      const double change = path.change[i] = (x[i] - mean.hi) - mean.lo;
      mean = keep < 0.5 ? two_sum(x[i], -keep * change)
                        : two_sum(mean.hi, b[i] * path.inverse[i + 1] * change + mean.lo);
      if (is_mean) y[i] = mean.hi;
    }
    if (!is_mean) spread<true>(a, b, n, path, y);
    state_.mean = mean.hi, state_.rest = mean.lo;
  }

  // The variances, or their roots, from the changes; false, with the state as it was, where these
  // are not exact enough for them.
  template <bool kExact = false>
  bool spread(const double* a, const double* b, std::size_t n, const Path& path, double* y) {
    double spreads[kRows], pairs[kRows], squares[kRows];
    for (std::size_t i = 0; i < n; ++i) {
      const double before = a[i] * path.weight[i];
      squares[i] = path.change[i] * path.change[i];
      spreads[i] = b[i] * (before / path.weight[i + 1]) * squares[i];
      pairs[i] = 2.0 * before * b[i];
    }
    double spread = state_.spread, pair = state_.pairs;
    for (std::size_t i = 0; i < n; ++i) {
      spreads[i] = spread = a[i] * spread + spreads[i];
      pairs[i] = pair = (a[i] * a[i]) * pair + pairs[i];
    }
    if constexpr (!kExact) {
      for (std::size_t i = 0; i < n; ++i) y[i] = spreads[i] * path.inverse[i + 1];
      if (total_magnitude(squares, n) * kVisible > least(y, y, n)) return false;
    }
    state_.spread = spread, state_.pairs = pair;
    if (request_->bias) {
      for (std::size_t i = 0; i < n; ++i) y[i] = spreads[i] / path.weight[i + 1];
    } else {
      for (std::size_t i = 0; i < n; ++i) y[i] = spreads[i] * (path.weight[i + 1] / pairs[i]);
    }
    if (request_->statistic == Statistic::kDeviation) {
      for (std::size_t i = 0; i < n; ++i) y[i] = std::sqrt(y[i]);
    }
    return true;
  }

  // What came of the samples that count, back at their places.
  void scatter(const double* x, const Block& block, double* y, std::size_t n) {
    const bool is_mean = request_->statistic == Statistic::kMean;
    const double scale = request_->statistic == Statistic::kVariance ? scale_->out : 1.0;
    for (std::size_t i = 0, next = 0; i < n; ++i) {
      const bool is_good = std::fabs(x[i]) <= kLargest;
      seen_ = seen_ || is_good;
      if (is_good || zero_for_missing()) {
        const double found = block.y[next++] * scale_->out * scale;
        if (seen_) last_ = is_mean ? bounded(found) : found;
      }
      y[i] = is_good || request_->options.fill ? last_ : is_mean ? x[i] : std::nan("");
    }
  }

  void rescale() {
    const double factor = scale_->out * scale_[1].in;
    ++scale_;
    state_.mean *= factor, state_.rest *= factor;
    state_.spread = state_.spread * factor * factor;
  }

  const Request* request_;
  const Powers* powers_;
  const Scale* scale_ = kScales;
  Moments state_;                // scaled
  double waited_ = 1.0;          // what a first sample that does not count yet has decayed
  double pending_ = 1.0;         // what the gap before the next sample decays
  double faded_ = 1.0;           // what is left since a sample last counted for something
  double last_ = std::nan("");   // what came out last
  std::size_t longest_ = kRows;  // samples of a block
  bool empty_ = true;            // no sample counts yet
  bool gaps_ = false;            // samples were missing in the last block: more are likely
  bool seen_ = false;            // a sample was there
};

}  // namespace EWMA_ISA
}  // namespace ewma
