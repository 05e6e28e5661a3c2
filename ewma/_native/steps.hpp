// What series that share a weight are moved on by: how a mean takes a sample in.
#pragma once

#include <cstddef>
#include <vector>

#include "double2.hpp"
#include "powers.hpp"

namespace ewma {
namespace EWMA_ISA {

// As Series::observe: start from whichever is nearer to the new mean, the sample or the mean
// before, and go a part of the way to the other.
struct Step {
  bool from_sample;
  double part;
};

inline bool is_steady(const Powers& powers, const Double2& weight) {
  return weight.hi >= powers.steady_weight;
}

// The next step, which a weight makes.
inline Step next_step(const Powers& powers, Double2& weight) {
  if (is_steady(powers, weight)) {
    const bool from_sample = powers.alpha > 0.5;
    return {from_sample, from_sample ? powers.beta : powers.alpha};
  }
  const Double2 decayed = multiply(powers.beta, weight);
  weight = add(1.0, decayed);
  const double gain = divide({1.0, 0.0}, weight).hi;
  return gain > 0.5 ? Step{true, divide(decayed, weight).hi} : Step{false, gain};
}

// A step of the mean hi + lo, from the sample.
struct FromSample {
  template <typename Vector>
  void operator()(const Vector& x, const Vector& part, Vector& hi, Vector& lo) const {
    const Twofold<Vector> mean = two_sum(x, part * ((hi - x) + lo));
    hi = mean.hi, lo = mean.lo;
  }
};

// The same from the mean before. Where that is smaller than the change, what is lost is a part of
// an ulp of the change.
struct FromMean {
  template <typename Vector>
  void operator()(const Vector& x, const Vector& part, Vector& hi, Vector& lo) const {
    const Twofold<Vector> mean = fast_two_sum(hi, part * ((x - hi) - lo) + lo);
    hi = mean.hi, lo = mean.lo;
  }
};

// The first steps from one weight, each made when it is first asked for.
class Steps {
 public:
  Steps(const Powers& powers, const Double2& weight) : beta_(powers.beta), weights_{weight} {}

  bool start_from(const Powers& powers, const Double2& weight) const {
    return beta_ == powers.beta && weights_[0].hi == weight.hi && weights_[0].lo == weight.lo;
  }

  // Makes sure of the first `count` steps.
  void reach(const Powers& powers, std::size_t count) {
    while (steps_.size() < count) {
      Double2 weight = weights_.back();
      steps_.push_back(next_step(powers, weight));
      weights_.push_back(weight);
    }
  }

  const Step* from(std::size_t count) const { return steps_.data() + count; }
  // After so many steps.
  const Double2& weight(std::size_t count) const { return weights_[count]; }

 private:
  double beta_;
  std::vector<Step> steps_;
  std::vector<Double2> weights_;
};

}  // namespace EWMA_ISA
}  // namespace ewma
