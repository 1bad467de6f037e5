r"""I_k at every tau of a grid, from one look at each pair of responses.

    S_kj = sum of h_k(x) over the x in A_k(tau_j),    N_kj = #A_k(tau_j),    I_k(tau_j) = S_kj / N_kj

with h_k and A_k of `invariance` (Jang et al. 2020, arXiv:2007.00112, section 2.2). h does not depend
on tau, and A_k(tau) only shrinks as tau grows. So each image adds its h to one bin, that of the
highest tau at which it is in A_k, and sums over the bins from above are S and N of the whole grid.
An image is compared with each tau just as a measurement at that tau alone compares it: N is the same
number, S the same up to the rounding of sums.
"""

from collections.abc import Iterator, Sequence
from math import prod

from array_api_compat import device

from invtool.measures.ablation import activity_floor
from invtool.measures.arrays import Array, computable, namespace
from invtool.measures.groups import GROUPS
from invtool.measures.invariance import by_group, coefficient, laid_flat

IMAGES, UNITS = 512, 512  # of a tile, so that it and the bins of its units fit the cache


class TauGrid:
    """I_k at each of `taus`, summed over batches of images in constant memory.

    `peak` is the highest response of each unit, (unit...); `taus` are shares of it, ascending, with
    0 <= tau < 1, 255 of them at most.

    >>> import numpy as np
    >>> clean, moved = np.array([[4.0], [2.0], [0.0]]), np.array([[4.0], [1.0], [0.0]])
    >>> grid = TauGrid(np.array([4.0]), (0.0, 0.6))
    >>> grid.update(clean, moved)
    >>> grid.invariance()[:, 0]  # the mean of 1 and of 2 * 1 / 3, and 1 alone
    array([[0.83333333],
           [1.        ]])
    """

    def __init__(self, peak: Array, taus: Sequence[float]) -> None:
        if not all(0 <= tau < 1 for tau in taus) or sorted(set(taus)) != list(taus):
            raise ValueError(f"taus are {taus}; ascending ones with 0 <= tau < 1 are wanted")
        xp = namespace(peak)
        self.taus = tuple(taus)
        self._shape = tuple(peak.shape)
        highest = computable(xp.reshape(peak, (-1,)), xp)
        self._floors = [activity_floor(highest, tau) for tau in taus]
        self._negative = highest < 0
        # (kind, bin, unit): images of which nothing is known, of seen and of unseen categories; bin
        # n holds the images that activate the unit at n of the taus.
        bins = xp.stack([xp.zeros_like(highest, dtype=xp.float64)] * (len(self.taus) + 1))
        self._sum, self._count = xp.stack([bins] * 3), xp.stack([bins] * 3)

    def update(self, clean: Array, transformed: Array, seen: Array | None = None) -> None:
        """Add a batch: responses (image, unit...), finite, to the images and to their transforms.

        `seen` is (image,), not 0 where the image's category was transformed in training.
        """
        xp = namespace(clean, transformed)
        clean, transformed = laid_flat(clean, transformed, self._shape)
        kinds = slice(0, 1) if seen is None else slice(1, 3)
        kind = xp.zeros(clean.shape[0], dtype=xp.int64, device=device(clean))
        if seen is not None:
            kind += xp.astype(xp.asarray(seen, device=device(clean)) == 0, xp.int64)
        for rows, units in _tiles(*clean.shape):
            a, b = computable(clean[rows, units], xp), computable(transformed[rows, units], xp)
            self._add(a, b, kind[rows], (kinds, units))

    def _add(self, a: Array, b: Array, kind: Array, at: tuple[slice, slice]) -> None:
        xp = namespace(a, b)
        kinds, units = at
        low, high = xp.minimum(a, b), xp.maximum(a, b)
        self._negative[units] |= xp.min(low, axis=0) < 0
        low = xp.maximum(low, xp.zeros_like(low))
        bins = xp.zeros_like(low, dtype=xp.uint8)
        for floor in self._floors:
            bins += xp.astype(high > floor[units], xp.uint8)
        low /= xp.maximum(high + low, self._floors[0][units])  # h / 2
        shape = (kinds.stop - kinds.start, len(self.taus) + 1, low.shape[1])
        start = shape[1] * shape[2] * kind[:, None] + xp.arange(shape[2], device=device(a))
        place = xp.reshape(shape[2] * xp.astype(bins, xp.int64) + start, (-1,))
        weight = xp.reshape(xp.astype(low, xp.float64), (-1,))
        self._sum[kinds, :, units] += xp.reshape(xp.bincount(place, weight, prod(shape)), shape)
        self._count[kinds, :, units] += xp.reshape(xp.bincount(place, None, prod(shape)), shape)

    def merge(self, other: "TauGrid") -> None:
        """Add what another one, of the same peak and taus, has seen of other images."""
        if self.taus != other.taus or self._shape != other._shape:
            raise ValueError("only grids of the same units and taus can be merged")
        self._sum += other._sum
        self._count += other._count
        self._negative |= other._negative

    def parts(self) -> tuple[list[Array], list[Array]]:
        """Sums and flags: added up and or-ed in place over several of these, all are as merged."""
        return [self._sum, self._count], [self._negative]

    def invariance(self) -> Array:
        """(tau, group, unit...), I_k in 0..1; NaN as in `invariance`."""
        total, count = _from_above(self._sum), _from_above(self._count)
        shape = (len(self.taus), len(GROUPS), *self._shape)
        return namespace(total).reshape(coefficient(total, count, self._negative), shape)


def _from_above(bins: Array) -> Array:
    """(tau, group, unit): what is active at each tau, from bins; groups in the order of GROUPS."""
    xp = namespace(bins)
    above = xp.flip(xp.cumulative_sum(xp.flip(bins[:, 1:, :], axis=1), axis=1), axis=1)
    return xp.permute_dims(by_group(above), (1, 0, 2))


def _tiles(images: int, units: int) -> Iterator[tuple[slice, slice]]:
    for unit in range(0, units, UNITS):
        for image in range(0, images, IMAGES):
            yield slice(image, min(image + IMAGES, images)), slice(unit, min(unit + UNITS, units))
