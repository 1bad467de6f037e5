r"""Are positions and sizes of a category's objects uniform? (Azulay and Weiss 2018, arXiv:1805.12177, section 4)

    D = max_i max( i/n - v_(i),  v_(i) - (i-1)/n )

v_(1) <= ... <= v_(n) are the n values of a category in ascending order, each in [0, 1] and uniform on it
if the photographer has no bias; D is the distance of Kolmogorov and Smirnov, its p in `kolmogorov`.

The paper takes the center of the bounding box for the position and its height for the size, both in
units of the image, and applies "a statistical significance test" that it does not name. This one needs
no bins, no parameter and no minimal count. A position has two coordinates: each is tested, and the
smaller p counts twice (Bonferroni), which holds however the two depend on each other:

    p = min(1, 2 min(p_x, p_y))

It can miss what only the two together show, as objects along a diagonal. Values on a coarse grid of
pixels lie up to half a pixel from their true place; D is then too large by as much.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array
from invtool.measures.kolmogorov import kolmogorov_log10_p

FEWEST = 2  # values of a category that is tested


class Uniformity(NamedTuple):
    """Of each category: D and log10 p, NaN where fewer than two values are, and how many there are."""

    statistic: NDArray[np.float64]
    log10_p: NDArray[np.float64]
    number: NDArray[np.int64]


def uniformity(value: Array, category: Array, categories: int) -> Uniformity:
    """Whether values (box,) in 0..1 are uniform within each category (box,); all outputs (category,).

    Categories are numbers under `categories`; a value of NaN does not count.

    >>> found = uniformity(np.array([0.5, 0.5, 0.1, 0.9]), np.array([0, 0, 1, 2]), 3)
    >>> found.statistic, found.number
    (array([0.5, nan, nan]), array([2, 1, 1]))
    >>> float(10 ** found.log10_p[0])  # doctest: +ELLIPSIS
    0.5...
    """
    v, owner = np.asarray(value, np.float64), np.asarray(category, np.int64)
    v, owner = v[~np.isnan(v)], owner[~np.isnan(v)]
    order = np.lexsort((v, owner))
    v, owner = v[order], owner[order]
    n = np.bincount(owner, minlength=categories)
    first = np.cumsum(n) - n
    rank = np.arange(len(v)) - first[owner]
    farthest = np.maximum((rank + 1) / n[owner] - v, v - rank / n[owner])
    d = np.full(categories, np.nan)
    if len(v):
        d[n > 0] = np.maximum.reduceat(farthest, first[n > 0])
    d[n < FEWEST] = np.nan
    return Uniformity(d, kolmogorov_log10_p(d, n), n)


def either_log10_p(log10_p: Array) -> NDArray[np.float64]:
    """log10 p that any of several tests (test, category) would give by chance, (category,).

    The smallest p times the number of tests that are defined; NaN where none is.

    >>> either_log10_p(np.array([[-3.0, -9.0, np.nan], [-5.0, np.nan, np.nan]])).round(2)
    array([-4.7, -9. ,  nan])
    """
    defined = ~np.isnan(log10_p)
    tests = defined.sum(axis=0)
    smallest = np.where(defined, log10_p, np.inf).min(axis=0)
    whole = np.minimum(smallest + np.log10(np.maximum(tests, 1)), 0.0)
    return np.where(tests > 0, whole, np.nan)
