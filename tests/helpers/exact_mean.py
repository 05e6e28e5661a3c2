"""The exponential moving average in exact arithmetic, and how far a result lies from it."""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np


def by_definition(x, beta, debias=True, ignore_na=True):
    """Return y_t = sum beta^age x / sum beta^age over the finite samples up to t, as fractions.

    None where there is no sample yet. Without debias, y_t = (1 - beta) * sum beta^age x.
    """
    beta = Fraction(beta)
    now, samples, means = 0, [], []
    for value in x:
        finite = math.isfinite(value)
        now += finite or not ignore_na
        if finite:
            samples.append((now, Fraction(value)))
        # What has decayed since the last sample cancels in the ratio; at beta = 0 it is 0 / 0.
        newest = samples[-1][0] if debias and samples else now
        weights = [beta ** (newest - then) for then, _ in samples]
        total = sum(w * sample for w, (_, sample) in zip(weights, samples, strict=True))
        mean = total / sum(weights) if debias and samples else (1 - beta) * total
        means.append(mean if samples else None)
    return means


class Exact(NamedTuple):
    """Means in ulp of the largest |x| so far, to 100 bits: hi + lo, times 2**exponent."""

    hi: np.ndarray
    lo: np.ndarray
    exponent: np.ndarray
    missing: np.ndarray

    def filled(self, start):
        """Return the means from `start` on, those of missing samples too."""
        exact = self._replace(missing=np.zeros_like(self.missing))
        return Exact(*(field[start:] for field in exact))

    def errors(self, y):
        """Return the largest error of y, which may be shorter, where x is not missing.

        In ulp of the largest |x| of all, and in ulp of the largest |x| so far.
        """
        hi, lo, exponent, missing = (field[: len(y)] for field in self)
        y = np.where(missing, 0.0, y)
        so_far = np.where(missing, 0.0, np.abs((np.ldexp(y, -exponent) - hi) - lo))
        of_all = np.ldexp(so_far, exponent - exponent[-1])
        return of_all.max(), so_far.max()


# Numbers are whole multiples of 2**-1074; _BITS more keep what is cut off below out of sight.
_BITS = 200
_UNIT = 1074 + _BITS


def exact_mean(x, beta, debias=True, ignore_na=True):
    """Return what `by_definition` does, in whole numbers and so in linear time."""
    numerator, denominator = float(beta).as_integer_ratio()
    shift = denominator.bit_length() - 1
    alpha_fixed = (denominator - numerator << _UNIT) >> shift

    def forget(fixed):
        return fixed * numerator >> shift

    total, weight, seen, largest, gap = 0, 0, False, 0.0, 0
    hi, lo, exponent = [], [], []
    for value in map(float, x):
        if math.isfinite(value):
            # A gap decays the past when something comes after it: until then the ratio stands.
            for _ in range(gap + 1):
                total, weight = forget(total), forget(weight)
            top, bottom = value.as_integer_ratio()
            total += top << (_UNIT + 1 - bottom.bit_length())
            weight += 1 << _UNIT
            seen, gap, largest = True, 0, max(largest, abs(value))
        elif not ignore_na and debias:
            gap += 1
        elif not ignore_na:
            total = forget(total)
        e = math.frexp(math.ulp(largest))[1] - 1
        if not seen:
            over, under = 0, 1
        elif debias:
            over, under = total << 1074, weight
        else:
            over, under = total * alpha_fixed >> _UNIT, 1 << _BITS
        # In ulp: the mean over 2**e, a fraction of whole numbers.
        under <<= e + 1074
        first = over / under
        rounded, one = first.as_integer_ratio()
        hi.append(first)
        lo.append((over * one - rounded * under) / (under * one))
        exponent.append(e)
    missing = ~np.isfinite(np.asarray(x, float))
    return Exact(np.array(hi), np.array(lo), np.array(exponent, np.int32), missing)
