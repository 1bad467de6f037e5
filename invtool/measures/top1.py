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

from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np

from invtool.measures.arrays import Array, namespace, tiles

TOP = 0.01  # share of the images that count as a unit's best


@dataclass(frozen=True)
class TopImages:
    """F_k of every unit as pairs of an image and a unit; found once, it serves every transform."""

    unit_shape: tuple[int, ...]
    threshold: Array
    """(flat unit,), what a response must reach to fire the unit."""
    image: Array
    """(pair,)"""
    unit: Array
    """(pair,), number among the units laid flat."""

    def score(self, transformed: Array) -> Array:
        """Share of each unit's F_k that still fires it when transformed, (unit...).

        `transformed` is (image, unit...), the same images in the same order. In 0..1, 1 is
        invariant; NaN for a unit that no clean image fires.
        """
        xp = namespace(transformed)
        if tuple(transformed.shape[1:]) != self.unit_shape:
            raise ValueError(
                f"responses {tuple(transformed.shape)} do not have units {self.unit_shape}"
            )
        flat = xp.reshape(transformed, (transformed.shape[0], prod(self.unit_shape)))
        kept = flat[self.image, self.unit] >= self.threshold[self.unit]
        top = self._count(self.unit, xp)
        share = self._count(self.unit[kept], xp) / xp.where(
            top > 0, top, xp.full_like(top, float("nan"))
        )
        return xp.reshape(share, self.unit_shape)

    def _count(self, units: Array, xp: Any) -> Array:
        """How often each unit is named."""
        size = prod(self.unit_shape)
        return xp.astype(xp.bincount(units, minlength=size), xp.float64)


def top_images(clean: Array) -> TopImages:
    """The images that fire each unit most, among responses (image, unit...) to all images.

    >>> import numpy as np
    >>> top = top_images(np.arange(300.0)[:, None])  # 1 % of 300 is 3
    >>> top.image, top.threshold
    (array([297, 298, 299]), array([297.]))
    """
    xp = namespace(clean)
    images, *shape = clean.shape
    if images == 0:
        raise ValueError("the top 1 % of no images is not defined")
    flat = xp.reshape(clean, (images, prod(shape)))
    best = ceil(TOP * images)
    least = xp.finfo(flat.dtype).smallest_normal  # stands for "above 0"
    if xp is np:
        return TopImages(tuple(shape), *_selected(flat, best, least))
    threshold = xp.maximum(xp.sort(flat, axis=0)[images - best, :], xp.full_like(flat[0, :], least))
    return TopImages(tuple(shape), threshold, *xp.nonzero(flat >= threshold))


def _selected(values: Array, best: int, least: float) -> tuple[Array, Array, Array]:
    """Threshold of each column, and row and column of what reaches it; for numpy.

    The rows are dealt to 3 * best hands. At least `best` values of a column reach the best-th
    highest maximum of its hands, so only the few that do, and that are above 0, are sorted out.
    """
    rows, columns = values.shape
    hands = min(3 * best, rows)
    maxima = values[:hands].copy()
    for start in range(hands, rows, hands):
        deal = values[start : start + hands]
        np.maximum(maxima[: len(deal)], deal, out=maxima[: len(deal)])
    bound = np.maximum(np.partition(maxima.T, hands - best, axis=1)[:, hands - best], least)
    row, column, value = _reaching(values, bound)
    count = np.bincount(column, minlength=columns)
    rank = np.arange(len(column)) - np.repeat(np.cumsum(count) - count, count)
    order = np.argsort(column, kind="stable")
    width = max(best, int(count.max(initial=0)))
    candidates = np.broadcast_to(bound, (width, columns)).T.copy()  # (column, candidate)
    candidates[column[order], rank] = value[order]
    threshold = np.partition(candidates, width - best, axis=1)[:, width - best]
    kept = value >= threshold[column]
    return threshold, row[kept], column[kept]


def _reaching(values: Array, bound: Array) -> tuple[Array, Array, Array]:
    """Row, column and value of all that reaches the bound of its column."""
    found: list[tuple[Array, Array, Array]] = []
    for rows, units in tiles(values):
        tile = values[rows, units]
        cells = np.flatnonzero(tile >= bound[units])
        row = cells // tile.shape[1]
        column = cells - row * tile.shape[1]
        found.append((row + rows.start, column + units.start, tile[row, column]))
    row, column, value = map(np.concatenate, zip(*found, strict=True))
    return row, column.astype(np.min_scalar_type(values.shape[1])), value  # short ones sort faster


def top1_score(clean: Array, transformed: Array) -> Array:
    """Share of the top 1 % images that remain there, 0..1 (1: invariant), (unit...).

    `clean` and `transformed` are responses (image, unit...) to the same images, all of them. NaN
    for a unit that no clean image fires.

    >>> import numpy as np
    >>> clean = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.0]])
    >>> transformed = np.array([[3.0, 2.0, 1.0], [0.0, 1.0, 1.0]])
    >>> top1_score(clean, transformed)
    array([ 1.,  0., nan])
    """
    if clean.shape != transformed.shape:
        raise ValueError(
            f"responses {tuple(clean.shape)} and {tuple(transformed.shape)} are not of the same"
            " images and units"
        )
    return top_images(clean).score(transformed)
