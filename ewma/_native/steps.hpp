// What series that share a weight are moved on by: how a mean takes a sample in.
#pragma once

#include <cstddef>
#include <vector>

#include "double2.hpp"
#include "powers.hpp"

namespace ewma {
namespace EWMA_ISA {

constexpr double kLargePart = 1.0 / 3;

// As Series::observe: start from whichever is nearer to the new mean, the sample or the mean
// before, and go a part of the way to the other.
struct Step {
  bool from_sample;
  double part;
};

// The next step, which a weight makes.
inline Step next_step(const Powers& powers, Double2& weight) {
  if (powers.is_steady(weight.hi)) {
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

// The same where what x - hi is rounded by is a large part of what a step forgets.
struct FromMeanExactly {
  template <typename Vector>
  void operator()(const Vector& x, const Vector& part, Vector& hi, Vector& lo) const {
    const Twofold<Vector> way = two_sum(x, -hi);
    const Vector rest = part * (way.lo - lo) + lo;
    const Twofold<Vector> mean = two_sum(hi, part * way.hi + rest);
    hi = mean.hi, lo = mean.lo;
  }
};

// Calls all(how) with what moves means on by a step.
template <typename All>
void by(const Step& step, const All& all) {
  if (step.from_sample) {
    all(FromSample{});
  } else if (step.part > kLargePart) {
    all(FromMeanExactly{});
  } else {
    all(FromMean{});
  }
}

// The first steps from one weight, each made when it is first asked for.
class Steps {
 public:
  Steps(const Powers& powers, const Double2& weight)
      : beta_(powers.beta), first_(weight), last_(weight) {}

  bool start_from(const Powers& powers, const Double2& weight) const {
    return beta_ == powers.beta && first_.hi == weight.hi && first_.lo == weight.lo;
  }

  const Step* first(const Powers& powers, std::size_t count) {
    steps_.reserve(count);
    while (steps_.size() < count) steps_.push_back(next_step(powers, last_));
    return steps_.data();
  }

 private:
  double beta_;
  Double2 first_, last_;  // weights
  std::vector<Step> steps_;
};

}  // namespace EWMA_ISA
}  // namespace ewma
