// The variance over a block of samples without a gap that each decay the past by beta: Statistics'
// recurrence, unrolled as in stretch.hpp. With d the samples' and m the means' distances from the
// mean before the block,
//
//     S_j = sum_{i<=j} beta^(j-i) (1 - 1 / w_i) (d_i - m_{i-1})^2 + beta^(j+1) S
//
// and the sum of the squared weights, which without bias the variance asks for, is
//
//     q_j = (1 + beta^(j+1)) / (1 + beta) * (1 + beta + ... + beta^j) + beta^(2j+2) q
#pragma once

#include <cmath>

#include "double2.hpp"
#include "gaps.hpp"
#include "lanes.hpp"
#include "powers.hpp"
#include "stretch.hpp"

namespace ewma {
namespace EWMA_ISA {

// What Statistics knows of a series: its mean is mean + rest.
struct Moments {
  double mean = 0.0, rest = 0.0;
  double weight = 0.0;
  double spread = 0.0;  // S
  double pairs = 0.0;   // P = w^2 - q
};

// Distances round by as much as the farthest of them. Where the variance is less than this part of
// the sum of the changes' squares, that would show: what lies so far off may be forgotten by then.
constexpr double kVisible = 0x1p-27;
// The most samples of a block whose sums go on.
constexpr int kSpreadBlock = 512;

// What a variance is of S where the weight has stopped growing: 1 / w, or without bias w / P with
// P = w^2 - 1 / (1 - beta^2) = 2 beta w / (1 - beta^2).
inline double steady_factor(const Powers& powers, bool bias) {
  const double beta = powers.beta;
  return bias ? powers.alpha : (1.0 - beta) * (1.0 + beta) / (2.0 * beta);
}

// Whether all digits of a block's results hold.
inline bool is_exact(double squares, double least) {  // squares is NaN where a sample is
  return squares <= kScaledLimit && kVisible * squares <= least;
}

// As spread_over_block below, of `size` samples, a multiple of 2 kLanes up to kSpreadBlock, with a
// weight that has stopped growing, and a beta up to kSlowFrom: all sums go on from those before the
// block. As then d_j - m_j = beta (d_j - m_{j-1}),
//
//     beta S_j = sum_{i<=j} beta^(j-i) (d_i - m_i)^2 + beta^(j+1) beta S
template <bool kRoot>
bool spread_on(const Powers& powers, const double* x, int size, bool bias, Moments& state,
               double* y) {
  const double beta = powers.beta;
  const Lanes mean = all_lanes(state.mean), gain = all_lanes(powers.alpha);
  // One sum after the other: a processor does not look far enough ahead for both at once.
  double behind[1 + kSpreadBlock];
  double* const squares = behind + 1;
  behind[0] = beta * state.spread;
  Scan sums(powers);
  sums.go_on_from(state.weight * state.rest);
  for (int j = 0; j < size; j += 2 * kLanes) {
    const Lanes first = load(x + j) - mean, second = load(x + j + kLanes) - mean;
    Lanes first_sum, second_sum;
    sums.next(first, sums.before(first), second, load(x + j + kLanes - 1) - mean, first_sum,
              second_sum);
    const Lanes first_left = first - gain * first_sum, second_left = second - gain * second_sum;
    store(squares + j, first_left * first_left);
    store(squares + j + kLanes, second_left * second_left);
  }
  const Lanes factor = all_lanes(steady_factor(powers, bias) / beta);
  Lanes sum = {}, least = all_lanes(kLargest);
  Scan spreads(powers);
  spreads.go_on_from(behind[0]);
  for (int j = 0; j < size; j += 2 * kLanes) {
    const Lanes first = load(squares + j), second = load(squares + j + kLanes);
    sum = sum + (first + second);
    Lanes first_spread, second_spread;
    spreads.next(first, load(squares + j - 1), second, load(squares + j + kLanes - 1), first_spread,
                 second_spread);
    const Lanes first_variance = factor * first_spread, second_variance = factor * second_spread;
    least = smaller(least, smaller(first_variance, second_variance));
    store(y + j, kRoot ? root(first_variance) : first_variance);
    store(y + j + kLanes, kRoot ? root(second_variance) : second_variance);
  }
  // The longer the block, the farther the same changes lead.
  const double changes = total(sum) / (beta * beta) * size / kBlock;
  if (!is_exact(changes, smallest_lane(least))) return false;
  state.spread = spreads.last() / beta;
  const Double2 end = two_sum(state.mean, sums.last() / state.weight);
  state.mean = end.hi, state.rest = end.lo;
  return true;
}

// Writes the variances, or their roots, after each of kBlock samples to y, and returns whether all
// digits of them hold; if not, as where a sample is missing or too large, the state is as before.
// kSteady: the weight has stopped growing. Before it the weight must be at least 2: what it is less
// than that, q loses.
template <bool kSteady, bool kRoot>
bool spread_over_block(const Powers& powers, const double* x, bool bias, Moments& state,
                       double* y) {
  const double beta = powers.beta;
  const double q = state.weight * state.weight - state.pairs;
  const Lanes mean = all_lanes(state.mean), one = all_lanes(1.0);
  const Lanes u = all_lanes(state.weight * state.rest), w = all_lanes(state.weight);
  const Lanes spread = all_lanes(state.spread), q_before = all_lanes(q);
  const Lanes by_sum = all_lanes(1.0 / (1.0 + beta));
  const Lanes steady_gain = all_lanes(powers.alpha), steady_keep = all_lanes(beta);
  const Lanes factor_if_steady = all_lanes(kSteady ? steady_factor(powers, bias) : 0.0);
  Scan sums(powers), spreads(powers);
  Lanes before = all_lanes(state.rest), squares = {}, least = all_lanes(kLargest);
  for (int j = 0; j < kBlock; j += kLanes) {
    const Lanes power = powers.powers(j + 1);
    const Lanes distance = load(x + j) - mean;
    const Lanes u_j = sums.next(distance) + u * power;
    const Lanes w_j = kSteady ? w : powers.sums(j + 1) + w * power;
    const Lanes gain = kSteady ? steady_gain : one / w_j;
    const Lanes mean_j = u_j * gain;
    const Lanes change = distance - back<1>(before, mean_j);
    before = mean_j;
    const Lanes keep = kSteady ? steady_keep : one - gain;
    const Lanes square = change * change;
    const Lanes spread_j = spreads.next(keep * square) + spread * power;
    Lanes factor = kSteady ? factor_if_steady : gain;
    if (!kSteady && !bias) {
      const Lanes q_j = powers.sums(j + 1) * (one + power) * by_sum + q_before * (power * power);
      factor = w_j / (w_j * w_j - q_j);
    }
    const Lanes variance = spread_j * factor;
    squares = squares + square;
    least = smaller(least, variance);
    store(y + j, kRoot ? root(variance) : variance);
  }
  if (!is_exact(total(squares), smallest_lane(least))) return false;
  const double power = powers.power(kBlock).hi, sum = powers.sum(kBlock).hi;
  const double u_end = power * (state.weight * state.rest) + sums.last();
  if (!kSteady) {
    const double q_end = sum * (1.0 + power) / (1.0 + beta) + power * power * q;
    state.weight = power * state.weight + sum;
    state.pairs = state.weight * state.weight - q_end;
  }
  state.spread = power * state.spread + spreads.last();
  const Double2 end = two_sum(state.mean, u_end / state.weight);
  state.mean = end.hi, state.rest = end.lo;
  return true;
}

// What a block with gaps leads to after each of its samples; the means as distances from the one
// before the block.
struct Progress {
  double mean[kBlock], weight[kBlock], spread[kBlock], pairs[kBlock], y[kBlock];

  Moments after(int j, double reference) const {
    const Double2 sum = two_sum(reference, mean[j]);
    return {sum.hi, sum.lo, weight[j], spread[j], pairs[j]};
  }
};

// The same where samples may be missing, and however small the weight is. With n_j = 1 for one that
// is there and 0 for one that is not, and v_j = beta * w_{j-1},
//
//     w_j = n_j + v_j                      S_j = n_j v_j / w_j (d_j - m_{j-1})^2 + beta S_{j-1}
//     u_j = n_j d_j + beta * u_{j-1}       P_j = 2 n_j v_j + beta^2 P_{j-1}
//
// Fewer samples than kBlock are filled up to whole lanes: there is room for them behind x. kGoesOn:
// as in spread_on.
template <bool kRoot, bool kGoesOn>
bool spread_over_gaps(const Powers& powers, const double* x, int n, bool bias, const Moments& state,
                      Progress& progress) {
  const Lanes reference = all_lanes(state.mean), beta = all_lanes(powers.beta);
  const Lanes u = all_lanes(state.weight * state.rest), w = all_lanes(state.weight);
  const Lanes spread = all_lanes(state.spread), pairs = all_lanes(state.pairs);
  // One sum after the other: what all of them keep is more than the registers.
  double decayed[kBlock], inverse[kBlock];  // v; 1 / (w P)
  Scan counts(powers), squared(powers, 2);
  if constexpr (kGoesOn) {
    counts.go_on_from(state.weight), squared.go_on_from(state.pairs);
  }
  // What was before the block, beside the sums of what is in it.
  const auto with = [](const Lanes& sum, const Lanes& before, const Lanes& power) {
    return kGoesOn ? sum : sum + before * power;
  };
  Lanes w_before = w;
  for (int j = 0; j < n; j += kLanes) {
    const Lanes power = powers.powers(j + 1);
    const Lanes n_j = where_there(load(x + j), all_lanes(1.0), Lanes{});
    const Lanes w_j = with(counts.next(n_j), w, power);
    const Lanes v_j = n_j * (beta * back<1>(w_before, w_j));
    const Lanes pairs_j = with(squared.next(2.0 * v_j), pairs, power * power);
    w_before = w_j;
    store(decayed + j, v_j);
    store(progress.weight + j, w_j);
    store(progress.pairs + j, pairs_j);
    store(inverse + j, all_lanes(1.0) / (w_j * pairs_j));
  }
  Scan sums(powers), spreads(powers);
  if constexpr (kGoesOn) {
    sums.go_on_from(state.weight * state.rest);
    spreads.go_on_from(state.spread);
  }
  Lanes mean_before = all_lanes(state.rest), squares = {}, least = all_lanes(kLargest);
  for (int j = 0; j < n; j += kLanes) {
    const Lanes power = powers.powers(j + 1), x_j = load(x + j);
    const Lanes gain = load(progress.pairs + j) * load(inverse + j);
    const Lanes distance = where_there(x_j, x_j - reference, Lanes{});
    const Lanes mean = with(sums.next(distance), u, power) * gain;
    const Lanes change = where_there(x_j, distance - back<1>(mean_before, mean), Lanes{});
    const Lanes square = change * change;
    const Lanes spread_j = with(spreads.next(load(decayed + j) * gain * square), spread, power);
    const Lanes w_j = load(progress.weight + j);
    const Lanes variance = spread_j * (bias ? gain : w_j * w_j * load(inverse + j));
    squares = squares + square;
    // With bias: without, what is known of a variance that one sample makes nearly alone looks
    // large.
    least = smaller(least, spread_j * gain);
    mean_before = mean;
    store(progress.mean + j, mean);
    store(progress.spread + j, spread_j);
    store(progress.y + j, kRoot ? root(variance) : variance);
  }
  return is_exact(total(squares), smallest_lane(least));
}

}  // namespace EWMA_ISA
}  // namespace ewma
