// What a block of samples needs that depends on beta alone.
#pragma once

#include "double2.hpp"
#include "lanes.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr int kBlock = 128;      // samples that wait together
constexpr int kLongBlock = 256;  // the same where a block has no gaps; at least kBlock

struct Powers {
  double beta;
  double alpha;          // 1 - beta
  double steady_weight;  // 1 / (1 - beta), less an ulp: the weight stops growing here
  Double2 full_weight;   // 1 / (1 - beta)

  explicit Powers(double b)
      : beta(b),
        alpha(1.0 - b),
        steady_weight((1.0 - 0x1p-52) / alpha),
        full_weight(divide({1.0, 0.0}, two_sum(1.0, -b))) {
    for (int k = 0; k < kLongBlock; ++k) power_[k] = 1.0, sum_[k] = power_lo_[k] = sum_lo_[k] = 0.0;
    for (int k = 0; k <= 2 * kLongBlock; ++k) keep_[k] = k <= kLongBlock ? 1.0 : beta;
    // Doubling: powers and sums right to the last bit, without a call of pow.
    set(0, {1.0, 0.0}, {0.0, 0.0});
    set(1, {beta, 0.0}, {1.0, 0.0});
    for (int k = 1; k < kLongBlock; k *= 2) {
      const Double2 factor = power(k), offset = sum(k);
      for (int i = 1; i <= k; ++i) {
        set(k + i, multiply(factor, power(i)), add(offset, multiply(factor, sum(i))));
      }
    }
    for (int j = 0; j < kLanes; ++j) undone_[j] = 1.0 / power(kLanes - 1 - j).hi;
    for (int j = 0; j < kBlock; ++j) {
      const Double2 weight = power(kBlock - 1 - j);
      weight_top_[j] = (weight.hi + 0x1p8) - 0x1p8;
      weight_rest_[j] = (weight.hi - weight_top_[j]) + weight.lo;
    }
  }

  // Whether a weight has stopped growing.
  bool is_steady(double weight) const { return weight >= steady_weight; }

  // beta^k and 1 + beta + ... + beta^(k-1), k = 0 .. kLongBlock
  Double2 power(int k) const { return {power_[kLongBlock + k], power_lo_[kLongBlock + k]}; }
  Double2 sum(int k) const { return {sum_[kLongBlock + k], sum_lo_[kLongBlock + k]}; }
  // The same for k, k + 1, ..., without the low parts. As k < 0 count the samples that only fill up
  // a block: nothing happens to the state before it.
  Lanes powers(int k) const { return load(power_ + kLongBlock + k); }
  Lanes sums(int k) const { return load(sum_ + kLongBlock + k); }
  Lanes2 exact_powers(int k) const { return {powers(k), load(power_lo_ + kLongBlock + k)}; }
  Lanes2 exact_sums(int k) const { return {sums(k), load(sum_lo_ + kLongBlock + k)}; }
  // beta^-k for k = kLanes - 1 and on down to 0; infinite where beta is too small for that.
  Lanes undone() const { return load(undone_); }
  // Of the powers for k = kBlock - 1 - j and on down: the bits above 2^-45, of which a block's sum
  // is exact, and the rest.
  Lanes2 weights_at_the_end(int j) const { return {load(weight_top_ + j), load(weight_rest_ + j)}; }
  // What a sample leaves of the state before it: beta, from k = 1.
  Lanes keep(int k) const { return load(keep_ + kLongBlock + k); }

 private:
  void set(int k, Double2 power, Double2 sum) {
    // What is nothing beside a sample that counts in full is zero: denormals are slow.
    if (power.hi < 1e-150) power = {};
    power_[kLongBlock + k] = power.hi, power_lo_[kLongBlock + k] = power.lo;
    sum_[kLongBlock + k] = sum.hi, sum_lo_[kLongBlock + k] = sum.lo;
  }

  double power_[2 * kLongBlock + 1], power_lo_[2 * kLongBlock + 1];
  double sum_[2 * kLongBlock + 1], sum_lo_[2 * kLongBlock + 1];
  double weight_top_[kBlock], weight_rest_[kBlock];
  double keep_[2 * kLongBlock + 1];
  double undone_[kLanes];
};

}  // namespace EWMA_ISA
}  // namespace ewma
