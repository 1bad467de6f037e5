r"""How far a network lets itself be pushed: the first magnitude at which its accuracy is not kept.

    boundary = min {m : a(m) < limit},    between the magnitudes tried, a(m) is linear

a(m) is the accuracy at magnitude m, from 0 upwards. Curves need not fall all the way: what is found is
where they first do. A search by halves would miss that.
"""

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array
from invtool.measures.bootstrap import RESAMPLES, percentile_interval
from invtool.measures.intervals import LEVEL


def boundary(accuracy: Array, magnitude: Array, limit: Array) -> tuple[Array, Array]:
    """Where each curve first falls under its limit, in the magnitude's unit, and whether it does.

    accuracy is (curve, step), magnitude (step,) ascending, limit a number or (curve,). A curve is over
    at its first NaN; one that does not fall gives the last magnitude that was tried.

    >>> curves = np.array([[0.9, 0.7, 0.3, 0.9], [0.9, 0.8, np.nan, np.nan]])
    >>> where, fell = boundary(curves, np.array([0.0, 1, 2, 3]), 0.6)
    >>> where.round(2).tolist(), fell.tolist()
    ([1.25, 1.0], [True, False])
    """
    a, m = np.asarray(accuracy, np.float64), np.asarray(magnitude, np.float64)
    floor = np.broadcast_to(np.asarray(limit, np.float64), a.shape[:1])
    tried = np.cumsum(np.isnan(a), axis=1) == 0
    under = tried & (a < floor[:, None])
    fell, first = under.any(axis=1), under.argmax(axis=1)
    rows, before = np.arange(len(a)), np.maximum(first - 1, 0)
    drop = a[rows, before] - a[rows, first]
    part = np.where(drop > 0, (a[rows, before] - floor) / np.where(drop > 0, drop, 1), 0.0)
    crossed = m[before] + part.clip(0, 1) * (m[first] - m[before])
    last = m[np.maximum(tried.sum(axis=1) - 1, 0)]
    return np.where(fell, crossed, last), fell


def boundary_interval(
    right: Array,
    magnitude: Array,
    share: float,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Bootstrap interval over images of the boundary of one curve, (bound,); NaN for under two images.

    right is (step, image), 1 where the answer is right and NaN where none was asked for; the limit is
    `share` of the accuracy at the first step, drawn anew with the images.

    >>> right = np.array([[1.0] * 10, [1.0] * 8 + [0.0] * 2, [0.0] * 10])
    >>> boundary_interval(right, np.array([0.0, 1, 2]), 0.5, resamples=200).round(1)
    array([1. , 1.5])
    """
    right = np.asarray(right, np.float64)
    images = right.shape[1]
    if images < 2 or resamples < 1:
        return np.full(2, np.nan)
    random = np.random.default_rng([seed, resamples])
    accuracy = np.empty((resamples, len(right)))
    for row in accuracy:  # one at a time: a matrix of all takes gigabytes for 50,000 images
        row[:] = right @ np.bincount(random.integers(images, size=images), minlength=images)
    accuracy /= images
    where, _ = boundary(accuracy, magnitude, share * accuracy[:, 0])
    return percentile_interval(where, level)
