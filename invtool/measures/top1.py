"""The older score of invariance, by a unit's firing: does the top 1 % stay the top 1 %?

Goodfellow et al. (2009) as Jang et al. (2020, arXiv:2007.00112, section 2.2) describe it: the
images that generate the top 1 % of a unit's output are transformed, and the score is the share of
them whose activity remains in the top 1 %.

    t_k = the ceil(0.01 N)-th highest of f_k(x) over the N images, not transformed
    F_k = {x : f_k(x) >= t_k  and  f_k(x) > 0}
    score_k = #{x in F_k : f_k(T(x)) >= t_k  and  f_k(T(x)) > 0} / #F_k

Two choices of ours: images that tie with the last of the top 1 % belong to it, and a unit fires
only above 0, so that one that is silent for most images is not called invariant for its silence.
"""

from math import ceil, prod
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array

from invtool.measures.arrays import Array, tiles

TOP = 0.01  # share of the images that count as a unit's best


def top1_threshold(clean: Array) -> Array:
    """t_k, (unit...): the response that the top 1 % of the images, (image, unit...), reach.

    >>> import numpy as np
    >>> top1_threshold(np.arange(300.0)[:, None])  # 3 of 300 reach it
    array([297.])
    """
    xp = array_namespace(clean)
    images, *shape = clean.shape
    if images == 0:
        raise ValueError("the top 1 % of no images is not defined")
    best = ceil(TOP * images)
    flat = xp.reshape(clean, (images, prod(shape)))
    highest = _kth_highest(flat, best) if is_numpy_array(flat) else _sorted(flat, best, xp)
    return xp.reshape(highest, tuple(shape))


def _sorted(values: Array, best: int, xp: Any) -> Array:
    return xp.sort(values, axis=0)[values.shape[0] - best, :]


def _kth_highest(values: Array, best: int) -> Array:
    """The `best`-th highest of each column, where best is a small share of the rows.

    The rows are dealt to 3 * best hands. At least `best` values of a column reach the best-th
    highest maximum of its hands, so only the few above that bound compete.
    """
    rows, columns = values.shape
    hands = 3 * best
    if rows < 4 * hands:
        return np.partition(values, rows - best, axis=0)[rows - best]
    maxima = values[:hands].copy()
    for start in range(hands, rows, hands):
        deal = values[start : start + hands]
        np.maximum(maxima[: len(deal)], deal, out=maxima[: len(deal)])
    bound = np.partition(maxima.T, hands - best, axis=1)[:, hands - best]
    cells = np.flatnonzero(values > bound)
    row, column = np.divmod(cells, columns)
    order = np.argsort(column, kind="stable")
    count = np.bincount(column, minlength=columns)
    rank = np.arange(len(cells)) - np.repeat(np.cumsum(count) - count, count)
    width = max(best, int(count.max(initial=0)))
    above = np.broadcast_to(bound, (width, columns)).T.copy()  # (column, candidate)
    above[column[order], rank] = values[row[order], column[order]]
    return np.partition(above, width - best, axis=1)[:, width - best]


class Top1Accumulator:
    """The share of the top 1 % images that remain in the top 1 %, summed over batches of images.

    >>> import numpy as np
    >>> clean = np.arange(300.0)[:, None]
    >>> total = Top1Accumulator(top1_threshold(clean))
    >>> total.update(clean[:150], clean[:150])
    >>> total.update(clean[150:], clean[150:] - 1)  # 298 and 299 remain, 297 does not
    >>> total.result()
    array([0.66666667])
    """

    def __init__(self, threshold: Array) -> None:
        xp = array_namespace(threshold)
        self._shape = tuple(threshold.shape)
        flat = xp.reshape(threshold, (-1,))
        self.threshold = flat
        # Firing is one comparison: the least value above 0 stands for "above 0".
        least = xp.full_like(flat, float(xp.finfo(flat.dtype).smallest_normal))
        self._fires = xp.maximum(flat, least)
        self._top = xp.zeros_like(flat, dtype=xp.int64)
        self._kept = xp.zeros_like(flat, dtype=xp.int64)

    def update(self, clean: Array, transformed: Array) -> None:
        """Add a batch: responses (image, unit...) to the images and to their transforms."""
        xp = array_namespace(clean, transformed)
        images, *shape = clean.shape
        if clean.shape != transformed.shape or tuple(shape) != self._shape:
            raise ValueError(
                f"responses {tuple(clean.shape)} and {tuple(transformed.shape)} want the same"
                f" images and units {self._shape}"
            )
        flat = (images, prod(shape))
        clean, transformed = xp.reshape(clean, flat), xp.reshape(transformed, flat)
        for rows, units in tiles(*flat, clean):
            top = clean[rows, units] >= self._fires[units]
            kept = top & (transformed[rows, units] >= self._fires[units])
            self._top[units] += xp.sum(top, axis=0, dtype=xp.int64)
            self._kept[units] += xp.sum(kept, axis=0, dtype=xp.int64)

    def merge(self, other: "Top1Accumulator") -> None:
        """Add what another accumulator with the same threshold has seen of other images."""
        xp = array_namespace(self.threshold, other.threshold)
        if self._shape != other._shape or not xp.all(self.threshold == other.threshold):
            raise ValueError("only accumulators with the same threshold can be merged")
        self._top += other._top
        self._kept += other._kept

    def result(self) -> Array:
        """The share, 0..1, of each unit, (unit...); NaN for a unit that no clean image fires."""
        xp = array_namespace(self.threshold)
        top = xp.astype(self._top, xp.float64)
        kept = xp.astype(self._kept, xp.float64)
        share = kept / xp.where(top > 0, top, xp.full_like(top, float("nan")))
        return xp.reshape(share, self._shape)


def top1_score(clean: Array, transformed: Array) -> Array:
    """Share of the top 1 % images that remain there, 0..1 (1: invariant), (unit...).

    `clean` and `transformed` are responses (image, unit...) to the same images. NaN for a unit
    that no clean image fires. Needs all images at once.

    >>> import numpy as np
    >>> clean = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.0]])
    >>> transformed = np.array([[3.0, 2.0, 1.0], [0.0, 1.0, 1.0]])
    >>> top1_score(clean, transformed)
    array([ 1.,  0., nan])
    """
    total = Top1Accumulator(top1_threshold(clean))
    total.update(clean, transformed)
    return total.result()
