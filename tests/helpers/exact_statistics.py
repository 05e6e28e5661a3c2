"""Means and variances with any options, as sums over all samples in exact arithmetic."""

import math
from collections import defaultdict
from fractions import Fraction
from itertools import pairwise


def decays_and_weights(x, times, beta, weighting, debias):
    """Return what each sample decays the past by, and how much it counts, as fractions."""
    if times is None:
        return [beta] * 10**3, [1 if debias else 1 - beta] * 10**3
    gaps = [b - a for a, b in pairwise(times)]
    decays = [beta**1 if not debias else 1, *(beta**gap for gap in gaps)]
    if not debias:
        return decays, [1 - decay for decay in decays]
    if weighting == "sample":
        return decays, [1] * len(times)
    stood = [0, *(Fraction(gap) if beta == 1 else 1 - beta**gap for gap in gaps)]
    # Nobody saw how long the first one stood: as long as the next that is there and stood at all.
    there = [row for row, sample in enumerate(x) if math.isfinite(sample)]
    if there:
        stood[there[0]] = next((stood[row] for row in there if stood[row] > 0), 0)
    return decays, stood


def of_one_series(x, beta, *, statistic, times, weighting, debias, ignore_na, bias, fill):
    """Return the statistic after each sample; None where there is none."""
    beta = Fraction(beta)
    decays, counts = decays_and_weights(x, times, beta, weighting, debias)
    samples, results, found = [], [], None
    for value, decay, count in zip(x, decays, counts, strict=False):
        good = math.isfinite(value)
        if good or not ignore_na:
            samples = [(weight * decay, sample) for weight, sample in samples]
        if good:
            samples.append((count, Fraction(value)))
        if good or (not debias and not ignore_na and samples):
            found = _of_samples(samples, statistic, debias, bias)
        results.append(found if good or fill else None)
    return results


def _of_samples(samples, statistic, debias, bias):
    if not debias:
        return sum(weight * sample for weight, sample in samples)
    total = sum(weight for weight, _ in samples)
    if total == 0:  # nothing counts yet but that the first one was there
        samples, total = [(1, samples[0][1])], 1
    mean = sum(weight * sample for weight, sample in samples) / total
    if statistic == "mean":
        return mean
    spread = sum(weight * (sample - mean) ** 2 for weight, sample in samples) / total
    if bias:
        return spread
    unlike = total**2 - sum(weight**2 for weight, _ in samples)
    return spread * total**2 / unlike if unlike > 0 else None


def by_definition(x, beta, *, times=None, by=None, **options):
    """Return the statistic of each group, in the order of the rows."""
    groups = defaultdict(list)
    for row, key in enumerate([0] * len(x) if by is None else by):
        groups[key].append(row)
    results = [None] * len(x)
    for rows in groups.values():
        own = None if times is None else [times[row] for row in rows]
        found = of_one_series([x[row] for row in rows], beta, times=own, **options)
        for row, result in zip(rows, found, strict=True):
            results[row] = result
    return results
