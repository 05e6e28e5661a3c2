// What a block of samples needs that depends on beta alone.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "double2.hpp"
#include "lanes.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr int kBlock = 128;      // samples that wait together
constexpr int kLongBlock = 256;  // the same where a block has no gaps: as far as there are powers
// First samples of a series whose weights are kept: up to a beta of 0.97 the weight grows no
// longer.
constexpr std::size_t kFirst = 10 * kBlock;

static_assert(kLongBlock >= kBlock && (kLongBlock & (kLongBlock - 1)) == 0, "made by doubling");

struct Powers {
  double beta;
  double alpha;          // 1 - beta
  double steady_weight;  // 1 / (1 - beta), less an ulp: the weight stops growing here
  Double2 full_weight;   // 1 / (1 - beta)
  double wander;         // sqrt(1 - beta^2)

  explicit Powers(double b)
      : beta(b),
        alpha(1.0 - b),
        steady_weight((1.0 - 0x1p-52) / alpha),
        full_weight(divide({1.0, 0.0}, two_sum(1.0, -b))),
        wander(std::sqrt(alpha * (1.0 + b))) {
    // Powers and sums right to the last bit, without a call of pow: by doubling.
    Double2 beta_k{1.0, 0.0}, before;
    for (int k = 0; k <= kLanes; ++k) {
      power_[k] = beta_k.hi, power_lo_[k] = beta_k.lo;
      sum_[k] = before.hi, sum_lo_[k] = before.lo;
      before = add(before, beta_k);
      beta_k = multiply(beta, beta_k);
      if (beta_k.hi < kLeast) beta_k = {};
    }
    for (int k = kLanes; k < kLongBlock; k *= 2) {
      const Lanes2 factor = all_lanes(power(k)), offset = all_lanes(sum(k));
      for (int i = 1; i <= k; i += kLanes) {
        const Lanes2 more = multiply(factor, exact_powers(i));
        const Lanes2 so_many = add(offset, multiply(factor, exact_sums(i)));
        const Lanes least = all_lanes(kLeast), none = {};
        store(power_ + k + i, where_below(more.hi, least, none, more.hi));
        store(power_lo_ + k + i, where_below(more.hi, least, none, more.lo));
        store(sum_ + k + i, so_many.hi), store(sum_lo_ + k + i, so_many.lo);
      }
    }
    for (int j = 0; j < kBlock; ++j) {
      const Double2 weight = power(kBlock - 1 - j);
      weight_top_[j] = (weight.hi + 0x1p8) - 0x1p8;
      weight_rest_[j] = (weight.hi - weight_top_[j]) + weight.lo;
    }
  }

  // Whether a weight has stopped growing.
  bool is_steady(double weight) const { return weight >= steady_weight; }

  // beta^k and 1 + beta + ... + beta^(k-1), k = 0 .. kLongBlock
  Double2 power(int k) const { return {power_[k], power_lo_[k]}; }
  Double2 sum(int k) const { return {sum_[k], sum_lo_[k]}; }
  // The same for k, k + 1, ..., without the low parts.
  Lanes powers(int k) const { return load(power_ + k); }
  Lanes sums(int k) const { return load(sum_ + k); }
  Lanes2 exact_powers(int k) const { return {powers(k), load(power_lo_ + k)}; }
  Lanes2 exact_sums(int k) const { return {sums(k), load(sum_lo_ + k)}; }
  // 1 + beta + ... + beta^k, and one divided by that, for k = 0 .. count - 1 and further.
  const double* first_sums(std::size_t count) const { return first(count).first_sums_.data(); }
  const double* first_parts(std::size_t count) const { return first(count).first_parts_.data(); }
  // Of the powers for k = kBlock - 1 - j and on down: the bits above 2^-45, of which a block's sum
  // is exact, and the rest.
  Lanes2 weights_at_the_end(int j) const { return {load(weight_top_ + j), load(weight_rest_ + j)}; }

 private:
  // What is less than this is nothing beside a sample that counts in full, and zero: denormals are
  // slow.
  static constexpr double kLeast = 1e-150;

  const Powers& first(std::size_t count) const {
    first_sums_.reserve(kFirst), first_parts_.reserve(kFirst);
    const Lanes one = all_lanes(1.0);
    for (std::size_t done = first_sums_.size(); done < count; done += kBlock) {
      first_sums_.resize(done + kBlock), first_parts_.resize(done + kBlock);
      const Lanes2 w = all_lanes(first_sum_);
      for (int k = 1; k <= kBlock; k += kLanes) {
        const Lanes sum = add(exact_sums(k), multiply(w, exact_powers(k))).hi;
        store(&first_sums_[done + k - 1], sum);
        store(&first_parts_[done + k - 1], one / sum);
      }
      first_sum_ = add(multiply(power(kBlock), first_sum_), sum(kBlock));
    }
    return *this;
  }

  double power_[kLongBlock + 1], power_lo_[kLongBlock + 1];
  double sum_[kLongBlock + 1], sum_lo_[kLongBlock + 1];
  double weight_top_[kBlock], weight_rest_[kBlock];
  // Made when they are first asked for: powers are a thread's own.
  mutable std::vector<double> first_sums_, first_parts_;
  mutable Double2 first_sum_;
};

}  // namespace EWMA_ISA
}  // namespace ewma
