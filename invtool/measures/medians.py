r"""How sure the median of I_k over a layer's units is, and whether seen and unseen categories share it.

    m(C)  = median over units k of  I_k(C) = sum_C S_ck / sum_C N_ck           see `category_sums`
    D     = m(seen) - m(unseen)
    p     = (1 + #{b : |D_b| >= |D|}) / (1 + B),    D_b of seen and unseen sets dealt at random

Intervals are those of a bootstrap over categories (see `bootstrap`). The test permutes which
categories were seen: which ones were is a random draw in the first place (section 2.1), so that
under the hypothesis that being seen changes nothing every deal of as many is as likely, and p is
exact for any distribution. The added 1 counts the deal that was observed (Phipson and Smyth 2010,
equation 2). A large p is no proof of equality: the interval of D says how unequal they may be.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from invtool.measures.bootstrap import RESAMPLES, category_weights, percentile_interval
from invtool.measures.groups import GROUPS, group_indicator
from invtool.measures.intervals import LEVEL

Floats = NDArray[np.float64]


class MedianSpread(NamedTuple):
    """Of one layer and transform; groups in the order all, seen, unseen; NaN where undefined."""

    median: Floats
    """(group,), in 0..1, over the units that are defined."""
    interval: Floats
    """(group, bound); NaN for fewer than two categories."""
    difference: float
    """D, in -1..1: above 0 the seen categories are more invariant."""
    difference_interval: Floats
    """(bound,)"""
    coincide: float
    """p, in 0..1."""


def defined_median(values: Floats) -> Floats:
    """Median along the last axis of what is not NaN; NaN where nothing is.

    >>> defined_median(np.array([[3.0, 1.0, np.nan], [np.nan, np.nan, np.nan]]))
    array([ 2., nan])
    """
    ordered = np.sort(values, axis=-1)  # NaN last
    held = np.sum(~np.isnan(values), axis=-1, keepdims=True)
    low, high = np.maximum((held - 1) // 2, 0), np.minimum(held // 2, values.shape[-1] - 1)
    middle = np.take_along_axis(ordered, low, -1) + np.take_along_axis(ordered, high, -1)
    return np.asarray(np.where(held > 0, middle / 2, np.nan)[..., 0])


def median_spread(
    total: Floats,
    count: Floats,
    seen: NDArray[np.bool_] | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> MedianSpread:
    """Medians, intervals and test from S and N, both (category, unit); categories without images count.

    `seen` is (category,), true where it was transformed in training; None knows of none.

    >>> total, count = np.array([[1.0], [3.0], [2.0], [2.0]]), np.full((4, 1), 4.0)
    >>> found = median_spread(total, count, np.array([True, True, False, False]), resamples=99)
    >>> found.median, found.difference
    (array([0.5, 0.5, 0.5]), 0.0)
    """
    categories = len(total)
    groups = group_indicator(seen, categories, np.zeros(1), np)  # (group, category)

    def medians(weights: Floats) -> Floats:
        """(...) from weights (..., category)."""
        held = weights @ count
        return defined_median(weights @ total / np.where(held > 0, held, np.nan))

    observed = medians(groups)
    drawn = category_weights(seen, categories, resamples=max(resamples, 1), seed=seed)
    several = groups.sum(axis=1) > 1
    nothing = np.full(len(drawn), np.nan)
    each = [
        medians(drawn * g) if s and resamples else nothing
        for g, s in zip(groups, several, strict=True)
    ]
    values = dict(zip(GROUPS, each, strict=True))
    difference = float(observed[1] - observed[2])
    return MedianSpread(
        observed,
        np.stack([percentile_interval(v, level) for v in each]),
        difference,
        percentile_interval(values["seen"] - values["unseen"], level),
        _coincide(difference, groups[1], medians, resamples, seed),
    )


def _coincide(
    difference: float,
    seen: Floats,
    medians: Callable[[Floats], Floats],
    permutations: int,
    seed: int,
) -> float:
    """p of `difference` among as many deals of `seen`, (category,) of zeros and ones."""
    if np.isnan(difference) or not permutations:
        return float("nan")
    random = np.random.default_rng([seed, permutations, 1])
    dealt = random.permuted(np.tile(seen, (permutations, 1)), axis=1)
    found = medians(dealt) - medians(1 - dealt)
    as_large = np.abs(found) >= abs(difference) - 1e-12  # equal deals differ by rounding
    return float((1 + np.sum(as_large)) / (1 + permutations))
