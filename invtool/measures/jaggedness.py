r"""How often an answer changes while its image moves by one pixel a step.

    J = sum over t of [c(t) != c(t + 1)],   c(t): the true class is among the top k at position t

entries to and exits from the top k alike (k = 5). An image with J > 0 is *jagged*. Beside it stand
the same count for the top-1 class, and the mean absolute change of the true class's probability,

    MAC = mean over t of |p(t + 1) - p(t)|

Source: shifts, section 2 ("we quantify the lack of invariance by a measure we call jaggedness"),
and its figure 7 for MAC.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def jaggedness(in_topk: Array, shown: Array | None = None) -> NDArray[np.int64]:
    """Entries to and exits from the top k, (image,), from 0: not at all jagged; never NaN.

    `in_topk` is (image, position), not 0 where the class is among the top k. `shown` (image,
    position) is not 0 where the image has such a position; None: everywhere.

    >>> jaggedness(np.array([[1, 1, 1, 1], [1, 0, 0, 1]]))
    array([0, 2])
    """
    return changes(np.asarray(in_topk) != 0, shown)


def changes(values: Array, shown: Array | None = None) -> NDArray[np.int64]:
    """Steps from a position to the next between which `values` (image, position) differ, (image,).

    >>> changes(np.array([[7, 7, 3, 7]]))
    array([2])
    """
    values = np.asarray(values)
    return np.asarray(((values[:, 1:] != values[:, :-1]) & _pairs(values, shown)).sum(axis=1))


def absolute_change(probability: Array, shown: Array | None = None) -> NDArray[np.float64]:
    """Mean of |p(t + 1) - p(t)| for each image, (image,), 0 to 1; NaN without two neighbors.

    >>> absolute_change(np.array([[0.5, 0.75, 0.25], [0.5, np.nan, np.nan]]))
    array([0.375,   nan])
    """
    probability = np.asarray(probability, np.float64)
    pairs = _pairs(probability, shown) & ~np.isnan(probability[:, 1:] + probability[:, :-1])
    change = np.where(pairs, np.abs(np.diff(probability, axis=1)), 0)
    total, count = change.sum(axis=1), pairs.sum(axis=1)
    return np.where(count, total / np.maximum(count, 1), np.nan)


def steps(shown: Array) -> NDArray[np.int64]:
    """Steps from a shown position to a shown next one, (image,)."""
    return np.asarray(_pairs(shown, shown).sum(axis=1))


def _pairs(like: Array, shown: Array | None) -> NDArray[np.bool_]:
    """Where a position and its next are both shown, (image, position - 1)."""
    there = np.ones(np.shape(like), bool) if shown is None else np.asarray(shown) != 0
    return np.asarray(there[:, 1:] & there[:, :-1])
