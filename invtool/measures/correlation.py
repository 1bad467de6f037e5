r"""Correlation of two numbers over networks, as of invariance and accuracy (Jang et al. 2020, figure 5).

    r   = sum_i w_i (x_i - x) (y_i - y) / sqrt( sum_i w_i (x_i - x)^2  sum_i w_i (y_i - y)^2 )
    rho = r of the ranks of x and of y,  equal numbers sharing the mean of their ranks

x_i and y_i are of dot i, x and y their means weighted by w, and w_i = 1: Pearson's r and Spearman's rho.
Networks are the units that another experiment would draw anew, so the interval is the percentile
bootstrap over networks: w_i is how often a resample holds the network of dot i, with all of its dots.
Fewer than four networks tell nothing of how r would vary, and get none.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array
from invtool.measures.bootstrap import RESAMPLES, category_weights, percentile_interval
from invtool.measures.intervals import LEVEL

FEWEST = 4  # networks with an interval

Floats = NDArray[np.float64]


class Correlation(NamedTuple):
    """Both coefficients, -1..1, with intervals (bound,); NaN where undefined."""

    pearson: float
    pearson_interval: Floats
    spearman: float
    spearman_interval: Floats
    networks: int


def correlation(
    x: Array,
    y: Array,
    network: Array | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Correlation:
    """How x and y, both (dot,), go together, -1..1; NaN where x or y does not vary.

    Dots of which x or y is NaN are left out. `network` (dot,) says which dots belong to one network;
    without it each dot is one.

    >>> found = correlation(np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 4, 9, 16, 25]))
    >>> round(found.pearson, 3), found.spearman, found.networks
    (0.981, 1.0, 5)
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"x {x.shape} and y {y.shape}: two numbers a dot are wanted, (dot,)")
    known = np.isfinite(x) & np.isfinite(y)
    names = np.arange(len(x)) if network is None else np.asarray(network)
    present, owner = np.unique(names[known], return_inverse=True)
    x, y, count = x[known], y[known], len(present)
    once = np.ones((1, len(x)))
    (r,), (rho,) = _pearson(x, y, once), _spearman(x, y, once)
    ends = np.full((2, 2), np.nan)
    if count >= FEWEST:
        drawn = category_weights(None, count, resamples=resamples, seed=seed)[:, owner]
        both = np.stack([_pearson(x, y, drawn), _spearman(x, y, drawn)], axis=-1)
        ends = percentile_interval(both, level)
    return Correlation(float(r), ends[0], float(rho), ends[1], count)


def _pearson(x: Floats, y: Floats, w: Floats) -> Floats:
    """r under each row of weights w (resample, dot); x and y are (dot,) or (resample, dot)."""
    total = w.sum(axis=1, keepdims=True)
    if not total.all():
        return np.full(len(w), np.nan)
    dx = x - (w * x).sum(axis=1, keepdims=True) / total
    dy = y - (w * y).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((w * dx**2).sum(axis=1) * (w * dy**2).sum(axis=1))
    flat = spread <= 1e-12 * np.sqrt((w * x**2).sum(axis=1) * (w * y**2).sum(axis=1))
    r = (w * dx * dy).sum(axis=1) / np.where(flat, np.nan, spread)
    return np.asarray(np.clip(r, -1, 1))


def _spearman(x: Floats, y: Floats, w: Floats) -> Floats:
    return _pearson(_ranks(x, w), _ranks(y, w), w)


def _ranks(x: Floats, w: Floats) -> Floats:
    """Rank of each dot among the dots of a resample, (resample, dot): those below, half of those equal."""
    below = (x[:, None] < x[None, :]).astype(np.float64)
    equal = (x[:, None] == x[None, :]).astype(np.float64)
    return np.asarray(w @ below + (w @ equal + 1) / 2)
