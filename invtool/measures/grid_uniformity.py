r"""Are positions and sizes uniform on a grid? The other test that "a statistical significance test" may be.

    X^2 = sum_c (o_c - e)^2 / e,     e = n / 5^a                              (Pearson 1900)
    P(X^2 >= x) = exp(-x/2) sum_{j < m} (x/2)^j / j!,     m = (5^a - 1) / 2

o_c of the n values of a category, each of a axes in [0, 1], fall into cell c of 5 intervals an axis.
The sum is the tail of chi-square for an even number of degrees of freedom, here 24 for a position
(a = 2) and 4 for a size (a = 1), added up in logarithms. It looks at both axes of a position together,
which `uniformity` does not, and sees nothing within a cell. Five intervals are coarse enough that images of
64 pixels fill them alike within 4 %. Where a cell would hold fewer than five values it says nothing.
"""

from math import lgamma, log

import numpy as np

from invtool.measures.arrays import Array
from invtool.measures.uniformity import Uniformity

SIDE = 5  # intervals of each axis
FEWEST = 5  # values that a cell is to hold
ROUNDING = 1e-9  # of a value that lies between two intervals


def grid_uniformity(value: Array, category: Array, categories: int) -> Uniformity:
    """Whether values (box, axis) in 0..1 are uniform within each category (box,); outputs (category,).

    NaN where a category has too few values for the grid; a value that is NaN on any axis does not count.

    >>> found = grid_uniformity(np.repeat([[0.1], [0.5]], [30, 10], axis=0), np.zeros(40, int), 1)
    >>> found.statistic.tolist(), found.log10_p.round(2).tolist()
    ([85.0], [-16.82])
    """
    v, owner = np.asarray(value, np.float64), np.asarray(category, np.int64)
    known = ~np.isnan(v).any(axis=1)
    v, owner = v[known], owner[known]
    cells = SIDE ** v.shape[1]
    interval = np.minimum((v * SIDE + ROUNDING).astype(np.int64), SIDE - 1)
    cell = interval @ SIDE ** np.arange(v.shape[1])
    o = np.bincount(owner * cells + cell, minlength=categories * cells).reshape(categories, cells)
    n = o.sum(axis=1)
    e = np.where(n >= FEWEST * cells, n / cells, np.nan)[:, None]
    statistic = ((o - e) ** 2 / e).sum(axis=1)
    return Uniformity(statistic, _log10_tail(statistic, (cells - 1) // 2), n)


def _log10_tail(x: Array, m: int) -> Array:
    """log10 of the chance of chi-square above x, of 2 m degrees of freedom."""
    j = np.arange(m)
    inverse = np.array([lgamma(each + 1) for each in range(m)])  # logarithms of j!
    half = np.maximum(x, 1e-300)[:, None] / 2
    terms = j * np.log(half) - inverse - half  # (category, j)
    top = terms.max(axis=1)
    whole = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
    return np.minimum(whole / log(10), 0.0)
