r"""What each category adds to I_k of a unit, so that I_k of any set of categories is a quotient of sums.

    S_ck = sum of h_k(x),  N_ck = number of x,    over the images x of category c in A_k
    I_k(C) = sum over c in C of S_ck  /  sum over c in C of N_ck

with h_k and A_k of `invariance` (Jang et al. 2020, arXiv:2007.00112, equation 1). A bootstrap draws
categories with replacement, and a permutation test deals them anew to seen and unseen: both need
S and N alone, and no image a second time.
"""

from math import prod
from typing import Any

import numpy as np
from array_api_compat import device
from numpy.typing import NDArray

from invtool.measures.ablation import activity_floor
from invtool.measures.arrays import Array, computable, host, namespace


def spread_units(units: int, most: int) -> NDArray[np.int64]:
    """Numbers of at most `most` units, spread evenly over all `units` of them.

    >>> spread_units(10, 4)
    array([0, 2, 5, 7])
    """
    return np.arange(units) if units <= most else np.arange(most) * units // most


class CategorySums:
    """S and N, (category, unit), summed over batches; `categories` is how many there are.

    `peak` is the highest response of each unit, (unit...), and `tau` a share of it.

    >>> clean, moved = np.array([[4.0], [2.0], [0.0]]), np.array([[4.0], [1.0], [0.0]])
    >>> sums = CategorySums(np.array([4.0]), tau=0.1, categories=2)
    >>> sums.update(clean, moved, np.array([0, 1, 1]))
    >>> sums.total.round(2).tolist(), sums.count.tolist()
    ([[1.0], [0.67]], [[1.0], [1.0]])
    """

    def __init__(self, peak: Array, *, tau: float, categories: int) -> None:
        self._floor = namespace(peak).reshape(activity_floor(peak, tau), (-1,))
        shape = (categories, self._floor.shape[0])
        self.total, self.count = np.zeros(shape), np.zeros(shape)

    def update(self, clean: Array, transformed: Array, category: NDArray[Any]) -> None:
        """Add responses (image, unit...) to images of these categories (image,), and to their transforms."""
        xp = namespace(clean, transformed)
        flat = (clean.shape[0], prod(clean.shape[1:]))
        a, b = (computable(xp.reshape(part, flat), xp) for part in (clean, transformed))
        highest = xp.maximum(a, b)
        active = xp.astype(highest > self._floor, a.dtype)
        h = 2 * xp.minimum(a, b) * active / xp.maximum(a + b, self._floor)
        self.add(h, active, category)

    def add(
        self, h: Array, active: Array, category: NDArray[Any], units: slice = slice(None)
    ) -> None:
        """Add h_k(x), and 1 for who is in A_k, 0 for who is not: both (image, unit), of some units."""
        for total, values in ((self.total, h), (self.count, active)):
            if isinstance(values, np.ndarray):  # faster, image by image, than any way to group them
                for number, row in zip(category, values, strict=True):
                    total[number, units] += row
            else:
                present, member = _members(category, values)
                total[present, units] += host(member @ values)

    def merge(self, other: "CategorySums") -> None:
        """Add what another one, of the same units and categories, has seen of other images."""
        self.total += other.total
        self.count += other.count

    def parts(self) -> tuple[list[Array], list[Array]]:
        """Sums and flags: added up and or-ed in place over several of these, all are as merged."""
        return [self.total, self.count], []


def _members(category: NDArray[Any], like: Array) -> tuple[NDArray[Any], Array]:
    """Categories that are present, and (category, image) of ones and zeros on the device of `like`."""
    present, number = np.unique(category, return_inverse=True)
    member = number == np.arange(len(present))[:, None]
    return present, namespace(like).asarray(member, dtype=like.dtype, device=device(like))
