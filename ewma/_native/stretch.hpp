// The recurrence over a stretch of samples without a gap, a block of them at a time.
//
// Written as y_t = y_{t-1} + (x_t - y_{t-1}) / w_t every sample waits for the result of the one
// before. With u_t, the weighted sum of the differences from some reference r,
//
//     y_t = r + u_t / w_t                  u_t = beta * u_{t-1} + (x_t - r)
//
// and u unrolls: over a block, with u and w the state before it,
//
//     u_j = D_j + beta^(j+1) * u           D_j = sum_{i<=j} beta^(j-i) * (x_i - r)
//     w_j = S_j + beta^(j+1) * w           S_j = 1 + beta + ... + beta^j
//
// where D_j waits for nothing before the block. Differences from r, the mean before the stretch,
// make a constant series come out unchanged, to the bit, and keep a large offset from costing
// digits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>

#include "double2.hpp"
#include "lanes.hpp"
#include "powers.hpp"
#include "prefetch.hpp"
#include "scale.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr std::size_t kStretch = 4096;  // samples that share a reference

// A block's means are polished, see Stretch::smooth, below one beta. They are refined, see
// Stretch::refine, exactly below another one, where they leave the reference by more than a part of
// the largest |x| so far, or where the sums of what the block brings, if they start from nothing,
// reach more than a part of it a sample: there they round by more than they forget. So all errors
// stay under 2.7 ulp of the largest. Where sums go on and the weight is known, what they have been
// rounded by is by chance about 1 / sqrt(1 - beta^2) times what a step rounds, and the part
// smaller.
constexpr double kPolishBelow = 0.6, kExactBelow = 0.66;
constexpr double kWideGoingOn = 0.75, kWidePolished = 0.625, kWideSlow = 0.125;
constexpr double kOneSided = 0.125;
// Up to this beta what lies before a block is soon forgotten, and so is what it was rounded by: D
// goes on from the block before, and is u. A longer memory would add up what every step rounds.
constexpr double kSlowFrom = 0.97;
// With it what a block brings is the larger a part of all, the longer the block is.
constexpr int kSlowBlock = 32 * kLanes;
// Where sums go on from blocks whose weight has stopped growing, a block may be as long as what is
// done of the stretch. No longer: if one of its means goes far, all of it is refined.
constexpr int kLongestBlock = kStretch / 2;
// What floats are worked on with has 29 more bits. Where the reference is so much farther from 0
// than a mean that fewer than 3 are left beyond a float's own, it is 0 instead.
constexpr double kVisibleInFloats = 0x1p-26;
// Below this beta, and where the weight is small, a mean can leave the reference and be back before
// the next sample looked at.
constexpr double kEachBelow = 0.9;
constexpr int kSampled = 4 * kLanes;  // of so many samples kLanes are looked at to find that out
constexpr int kAskedAhead = 2 * kLongBlock;  // samples that are asked for before they are worked on

// sum_{i<=j} b^(j-i) * x_i for each j, kLanes samples a call or two times as many: what is within
// reach of one lane, of two, of four, and the sum before these. b is beta or a power of it.
class Scan {
 public:
  explicit Scan(const Powers& powers, int exponent = 1)
      : power_1_(all_lanes(powers.power(exponent).hi)),
        power_2_(all_lanes(powers.power(2 * exponent).hi)),
        power_4_(all_lanes(powers.power(4 * exponent).hi)),
        power_all_(all_lanes(powers.power(kLanes * exponent).hi)),
        power_two_(all_lanes(powers.power(2 * kLanes * exponent).hi)) {}

  // Instead of from nothing: from where the last sum was u, as if that had been a sample.
  void go_on_from(double u) { sum_[kLanes - 1] = u, x_ = pairs_ = fours_ = sum_; }

  [[gnu::always_inline]] Lanes next(const Lanes& x) {
    return sum_ = reached(x, before(x)) + power_all_ * sum_;
  }

  // The same of two vectors, of which only the second waits for the sum before them; `x_before` are
  // the samples in front of x.
  [[gnu::always_inline]] void next(const Lanes& x, const Lanes& x_before, const Lanes& y,
                                   const Lanes& y_before, Lanes& sum_x, Lanes& sum_y) {
    const Lanes of_x = reached(x, x_before), of_y = reached(y, y_before);
    sum_x = of_x + power_all_ * sum_;
    sum_y = sum_ = (of_y + power_all_ * of_x) + power_two_ * sum_;
  }

  // The samples in front of x, which is next.
  Lanes before(const Lanes& x) const { return back<1>(x_, x); }
  double last() const { return sum_[kLanes - 1]; }

 private:
  [[gnu::always_inline]] Lanes reached(const Lanes& x, const Lanes& before) {
    const Lanes pairs = x + power_1_ * before;
    const Lanes fours = pairs + power_2_ * back<2>(pairs_, pairs);
    Lanes all = fours;
    if constexpr (kLanes == 8) all = fours + power_4_ * back<4>(fours_, fours);
    x_ = x, pairs_ = pairs, fours_ = fours;
    return all;
  }

  const Lanes power_1_, power_2_, power_4_, power_all_, power_two_;
  Lanes x_ = {}, pairs_ = {}, fours_ = {}, sum_ = {};
};

// What is known of the weight: that it grows, that it is one of a series' first (the samples before
// all count, and there are fewer than kFirst), or that it has stopped growing.
enum class Weight { kGrowing, kFirst, kSteady };

template <typename T, Weight kWeight>
class Stretch {
 public:
  // `before`: how many samples, if the weight is one of the first.
  Stretch(const Powers& powers, Double2 mean, Double2 weight, double largest, std::size_t before)
      : powers_(powers), mean_(mean), weight_(weight), largest_(largest), before_(before) {
    set_reference(static_cast<double>(static_cast<T>(mean.hi)));
  }

  // Smooths up to kStretch of the next n samples, or only takes whole blocks of them in where y is
  // null. Returns how many: it ends where fewer than kSampled are left (or less than a block),
  // where another thing is known of the weight, and before a block that has a missing sample, ends
  // or on average is too large for this scale, or lies nearer to 0 than to the reference.
  std::size_t run(const T* x, T* y, std::size_t n) {
    const bool doubles = kSteady && y != nullptr && !polish() && powers_.beta <= kSlowFrom;
    // Blocks whose weights grow are slower: the last of these goes little further than it must.
    const std::size_t longest = powers_.beta > kSlowFrom  ? kSlowBlock
                                : kSteady || y == nullptr ? kLongBlock
                                                          : kBlock;
    std::size_t done = 0;
    while (done < n && done < kStretch && (kSteady || !powers_.is_steady(weight_.hi))) {
      const std::size_t left = n - done, most = doubles && done > longest ? done : longest;
      int size = static_cast<int>(left < most ? left : most);
      if (y != nullptr) {
        if (kIsFirst && before_ + size > kFirst) size = static_cast<int>(kFirst - before_);
        size -= size % kSampled;
        if (size == 0 || !block(x + done, y + done, size, done == 0)) break;
      } else if (left < longest || !take_in(x + done, size, done == 0)) {
        break;
      }
      done += size;
      before_ += size;
    }
    if (done > 0) {
      mean_ = polish() && y != nullptr
                  ? Double2{last_, 0.0}
                  : add(r_, kSteady ? multiply(powers_.alpha, u_) : divide(u_, weight_));
    }
    return done;
  }

  Double2 mean() const { return mean_; }
  Double2 weight() const { return weight_; }
  double largest() const { return largest_; }

 private:
  static constexpr bool kSteady = kWeight == Weight::kSteady, kIsFirst = kWeight == Weight::kFirst,
                        kIsGrowing = kWeight == Weight::kGrowing;
  // What refining is for does not show in a float, unless the reference is large.
  static constexpr bool kExact = sizeof(T) == sizeof(double);
  // Two vectors at once are faster, but for floats, which take long to load.
  static constexpr bool kInPairs = kExact && kOneRegister;

  bool polish() const { return powers_.beta < kPolishBelow; }
  Double2 alpha() const { return {powers_.alpha, 0.0}; }

  void set_reference(double r) {
    r_ = r;
    u_ = in_sums(two_sum(mean_.hi - r, mean_.lo), weight_);
  }

  // What a mean's distance from the reference is in u: times w.
  Double2 in_sums(Double2 distance, Double2 weight) const {
    return kSteady ? divide(distance, alpha()) : multiply(distance, weight);
  }

  // How far a block's samples lie from r: on average, and the farthest; of all or of a few.
  struct Distances {
    double average;
    double farthest;
  };

  enum class Sums { kPolished, kGoOn, kApart };

  struct Taken {
    double sum;  // u after the block, or where the sums do not go on the samples' part of it
    double largest_own;  // that part on the way, of a few
    double widest;       // how far the means leave r, of all or of a few
    double last;         // the last mean
    Distances distances;
  };

  bool block(const T* x, T* y, int size, bool first) {
    if (first && r_ != 0.0 && distances(x, kSampled).average > std::fabs(r_)) {
      set_reference(0.0);
    }
    T means[kLongestBlock];
    T* const to = x == y ? means : y;  // samples may be asked for again
    const double mean_before = first ? mean_.hi : last_;
    const bool goes_on = !polish() && powers_.beta <= kSlowFrom;
    const bool each = kIsFirst || powers_.beta < kEachBelow;
    auto smooth = !goes_on ? &Stretch::smooth<Sums::kApart, false>
                  : each   ? &Stretch::smooth<Sums::kGoOn, kExact>
                           : &Stretch::smooth<Sums::kGoOn, false>;
    if constexpr (!kIsFirst) {  // small betas forget too soon for weights to be kept
      if (polish()) smooth = &Stretch::smooth<Sums::kPolished, kExact>;
    }
    const Taken taken = (this->*smooth)(x, to, size, mean_before);
    const Distances& distance = taken.distances;
    if (r_ != 0.0 &&
        (distance.average > std::fabs(r_) || (!kExact && reference_shows(distance, to, size)))) {
      if (!first) return false;
      set_reference(0.0);
      return block(x, y, size, true);
    }
    if (!is_good(distance.average) || !is_good(taken.last)) return false;
    const bool wide = kExact && is_wide(taken, size);
    note(distance);

    const Double2 u = u_, weight = weight_;
    if (goes_on) {
      u_ = {taken.sum, 0.0};
      grow(size);
    } else {
      move(size, taken.sum);
    }
    last_ = taken.last;
    if constexpr (kExact) {
      if (wide) {
        const bool exactly = !kIsFirst && powers_.beta < kExactBelow;
        last_ = exactly ? refine<!kIsFirst>(x, to, size, mean_before, u, weight)
                        : refine<false>(x, to, size, mean_before, u, weight);
        if (!is_good(last_)) {
          u_ = u, weight_ = weight, last_ = mean_before;
          return false;
        }
      }
    }
    if (to != y) std::memcpy(y, means, size * sizeof(T));
    return true;
  }

  // Whether a float shows what is rounded because the reference is so large: no mean is near to 0
  // unless samples are as far from the reference.
  bool reference_shows(const Distances& distance, const T* means, int size) const {
    if (distance.average * size < 0.5 * std::fabs(r_)) return false;
    Lanes nearest = all_lanes(kLargest);
    for (int j = 0; j < size; j += kLanes) nearest = smaller(nearest, magnitude(load(means + j)));
    return kVisibleInFloats * std::fabs(r_) > smallest_lane(nearest);
  }

  bool is_wide(const Taken& taken, int size) const {
    if (polish() && !kSteady) return true;  // what a mean keeps of the one before is rounded
    const double part = polish()                                 ? kWidePolished
                        : kIsGrowing || powers_.beta > kSlowFrom ? kWideSlow
                                                                 : kWideGoingOn * powers_.wander;
    return taken.widest > part * largest_ || taken.largest_own > kOneSided * size * largest_;
  }

  // u = beta^size * u + own; the low part is normalised where the stretch ends.
  void move(int size, double own) {
    const Double2 power = powers_.power(size);
    const double p = power.hi * u_.hi;
    const double p_lo = std::fma(power.hi, u_.hi, -p) + (power.hi * u_.lo + power.lo * u_.hi);
    const Double2 next = two_sum(p, own);
    u_ = {next.hi, next.lo + p_lo};
    grow(size);
  }

  void grow(int size) {
    if (!kSteady) weight_ = add(multiply(powers_.power(size), weight_), powers_.sum(size));
  }

  // One comparison for NaN, infinity, and what is too large for this scale. Of what is not looked
  // at, NaN and infinity reach the last mean, and so does a sum that overflows: in the last lane
  // itself, or, as then a mean has gone far, when all are refined. A sample that is merely too
  // large and forgotten again does no harm.
  static bool is_good(double x) { return std::fabs(x) <= kScaledLimit; }

  void note(const Distances& distance) {
    largest_ = larger(largest_, larger(std::fabs(r_), distance.farthest - std::fabs(r_)));
  }

  // What a block of samples does to the state, without the means.
  bool take_in(const T* x, int size, bool first) {
    Distances distance = distances(x, size);
    if (r_ != 0.0 && distance.average > std::fabs(r_)) {
      if (!first) return false;
      set_reference(0.0);
      distance = distances(x, size);
    }
    if (!is_good(distance.average)) return false;
    note(distance);
    const Lanes minus_r = all_lanes(-r_), power = all_lanes(powers_.power(4 * kLanes).hi);
    Lanes a = {}, b = {}, c = {}, d = {};
    for (int j = 0; j < size; j += 4 * kLanes) {
      a = (minus_r + load(x + j)) + power * a;
      b = (minus_r + load(x + j + kLanes)) + power * b;
      c = (minus_r + load(x + j + 2 * kLanes)) + power * c;
      d = (minus_r + load(x + j + 3 * kLanes)) + power * d;
    }
    const Lanes by_lane = all_lanes(powers_.power(kLanes).hi);
    const Lanes sums = ((a * by_lane + b) * by_lane + c) * by_lane + d;
    double own = sums[0];
    for (int j = 1; j < kLanes; ++j) own = own * powers_.beta + sums[j];
    move(size, own);
    return true;
  }

  Distances distances(const T* x, int size) const {
    const Lanes minus_r = all_lanes(-r_);
    Lanes sum = {}, farthest = {};
    for (int j = 0; j < size; j += kSampled) {
      const Lanes d0 = magnitude(minus_r + load(x + j));
      const Lanes d1 = magnitude(minus_r + load(x + j + kLanes));
      const Lanes d2 = magnitude(minus_r + load(x + j + 2 * kLanes));
      const Lanes d3 = magnitude(minus_r + load(x + j + 3 * kLanes));
      sum = sum + ((d0 + d1) + (d2 + d3));
      farthest = larger(farthest, d3);
    }
    return {total(sum) / size, largest_lane(farthest)};
  }

  template <Sums kSums, bool kEach>
  Taken smooth(const T* x, T* means, int size, double mean_before) const {
    const Powers& powers = powers_;
    const Lanes minus_r = all_lanes(-r_), alpha = all_lanes(powers.alpha);
    const Lanes u = all_lanes(u_.hi + u_.lo), w = all_lanes(weight_.hi);
    const double* const parts = kIsFirst ? powers.first_parts(before_ + size) + before_ : nullptr;
    Lanes before = all_lanes(mean_before), mean = {}, widest = {}, largest_own = {}, sum = {},
          farthest = {};
    Scan scan(powers);
    if (kSums == Sums::kGoOn) scan.go_on_from(u_.hi + u_.lo);
    for (int i = 0; i < size; i += kSampled) {
      soon_read(x + i + kAskedAhead, kSampled * sizeof(T));
      Lanes x_j = {}, x_next = {}, distance = {}, own = {}, own_next = {}, change = {};
      for (int j = i; j < i + kSampled; j += kLanes) {
        if constexpr (!kInPairs) {
          x_j = load(x + j), distance = minus_r + x_j;
          own = scan.next(distance);
          if constexpr (!kExact) sum = sum + magnitude(distance);
        } else if ((j - i) % (2 * kLanes) == 0) {
          x_j = load(x + j), x_next = load(x + j + kLanes);
          const Lanes first = minus_r + x_j;
          distance = minus_r + x_next;
          // To load samples again is faster than to move them between lanes.
          const Lanes before_first = j == i ? scan.before(first) : minus_r + load(x + j - 1);
          const Lanes before_next = minus_r + load(x + j + kLanes - 1);
          scan.next(first, before_first, distance, before_next, own, own_next);
        } else {
          x_j = x_next, own = own_next;
        }
        const Lanes u_j = kSums == Sums::kGoOn ? own : own + u * powers.powers(j + 1);
        const Lanes w_j = kIsGrowing ? powers.sums(j + 1) + w * powers.powers(j + 1) : w;
        change = kSteady ? u_j : kIsFirst ? load(parts + j) * u_j : u_j / w_j;
        if constexpr (kEach) widest = larger_magnitude(widest, change);
        mean = (kSteady ? alpha * u_j : change) - minus_r;
        // With a small beta each mean is close to its sample, and to start from there,
        // x_j + (1 - g_j) * (y_{j-1} - x_j), leaves only a part beta of what y_{j-1} was off by.
        if constexpr (kSums == Sums::kPolished) {
          Lanes keep = all_lanes(powers.beta);
          if (!kSteady) keep = keep * ((powers.sums(j) + w * powers.powers(j)) / w_j);
          const Lanes rough = mean;
          mean = x_j + keep * (back<1>(before, rough) - x_j);
          before = rough;
        }
        store(means + j, mean);
      }
      if constexpr (kExact) sum = sum + magnitude(distance);
      farthest = larger_magnitude(farthest, distance);
      if constexpr (kExact && kSums != Sums::kGoOn)
        largest_own = larger_magnitude(largest_own, own);
      if constexpr (kExact && !kEach) widest = larger_magnitude(widest, change);
    }
    const double in_means = kSteady ? powers.alpha : 1.0,
                 looked_at = kExact ? size / (kSampled / kLanes) : size;
    return {scan.last(),
            largest_lane(largest_own),
            in_means * largest_lane(widest),
            mean[kLanes - 1],
            {total(sum) / looked_at, largest_lane(farthest)}};
  }

  // Means that go as far as the samples reach round by a few ulp on the way. By how much a mean
  // misses the recurrence,
  //
  //     m_j = y_{j-1} + (x_j - y_{j-1}) / w_j - y_j,
  //
  // is small and so known well, and m_j * w_j, summed up like samples, gives what y_j * w_j is off
  // by. u and w are the state before the block. Returns the last mean.
  template <bool kExactly>
  double refine(const T* x, T* means, int size, double mean_before, Double2 u, Double2 weight) {
    const Double2 known = in_sums(two_sum(mean_before, -r_), weight);
    const Lanes alpha = all_lanes(powers_.alpha);
    const Double2 steady = powers_.full_weight;
    const Lanes2 w = all_lanes(weight);
    const std::size_t first = before_ + size;
    const double* const sums = kIsFirst ? powers_.first_sums(first) + before_ : nullptr;
    const double* const parts = kIsFirst ? powers_.first_parts(first) + before_ : nullptr;
    Lanes2 w_j = all_lanes(steady);
    Lanes before = all_lanes(mean_before), off = {};
    Scan scan(powers_);
    scan.go_on_from((u.hi - known.hi) + (u.lo - known.lo));
    for (int j = 0; j < size; j += kLanes) {
      const Lanes mean = load(means + j), shifted = back<1>(before, mean), x_j = load(x + j);
      Lanes miss;
      if constexpr (kExactly) {
        if (!kSteady) {
          w_j = add(powers_.exact_sums(j + 1), multiply(w, powers_.exact_powers(j + 1)));
        }
        const Lanes2 rise = two_sum(x_j, -shifted), fall = two_sum(shifted, -mean);
        miss = fma(w_j.hi, fall.hi, rise.hi) + (rise.lo + (w_j.hi * fall.lo + w_j.lo * fall.hi));
      } else {
        if (kIsFirst) w_j.hi = load(sums + j);
        if (kIsGrowing) w_j.hi = powers_.sums(j + 1) + w.hi * powers_.powers(j + 1);
        miss = (x_j - shifted) + w_j.hi * (shifted - mean);
      }
      off = scan.next(miss);
      const Lanes missed = kSteady ? alpha * off : kIsFirst ? load(parts + j) * off : off / w_j.hi;
      store(means + j, mean + missed);
      before = mean;
    }
    u_ = add(off[kLanes - 1], in_sums(two_sum(before[kLanes - 1], -r_), weight_));
    return means[size - 1];
  }

  const Powers& powers_;
  Double2 mean_;        // before the stretch, then after it; scaled, as is all that follows
  Double2 weight_;      // after the last block
  Double2 u_;           // the same
  double r_;            // the reference: the mean before the stretch, or 0 where that is nearer
  double last_ = 0.0;   // the last mean, rounded
  double largest_;      // of |x| so far, or less
  std::size_t before_;  // samples, if the weight is one of the first
};

}  // namespace EWMA_ISA
}  // namespace ewma
