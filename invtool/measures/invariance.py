r"""Invariance coefficient of a unit (Jang et al. 2020, arXiv:2007.00112; section 2.2).

    h_k(x) = 1 - |f_k(T(x)) - f_k(x)| / (f_k(T(x)) + f_k(x))                      equation (1)
    A_k    = {x : f_k(x) > tau  or  f_k(T(x)) > tau}
    I_k    = 1 / #A_k  *  sum of h_k(x) over x in A_k

k is a unit, x a test image, T the transform, and f_k the unit's response over its maximum among
the transformed and the not transformed images of that one T. With a and b the two responses,
neither negative, |a - b| = max - min and a + b = max + min, so that

    h_k(x) = 2 min(a, b) / (a + b),

which has nothing to cancel, and in which the maximum cancels: it decides only who is in A_k.
"""

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import NamedTuple

from invtool.measures.ablation import activity_floor
from invtool.measures.arrays import Array, Scratch, computable, namespace, summed, tiles
from invtool.measures.groups import GROUPS, group_indicator

Tile = Callable[[slice, slice, Array, Array], None]


class InvarianceResult(NamedTuple):
    """What an InvarianceAccumulator knows of each unit; groups in the order all, seen, unseen."""

    invariance: Array
    """(group, unit...), I_k in 0..1; NaN: silent, negative, or no image of the group in A_k."""
    active_images: Array
    """(group, unit...), number of images #A_k."""
    negative: Array
    """(unit...), true where a response was below 0, for which equation (1) has no meaning."""


def peak(*responses: Array) -> Array:
    """The highest response of each unit, (unit...), over arrays (image, unit...).

    Raises NotFiniteError, a ValueError, where a response cannot be computed with.

    >>> import numpy as np
    >>> peak(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[2.0, 5.0], [0.0, 0.0]]))
    array([3., 5.])
    """
    xp = namespace(*responses)
    highest = reduce(xp.maximum, [computable(xp.max(r, axis=0), xp) for r in responses])
    _check_finite(highest)
    return highest


class NotFiniteError(ValueError):
    """A response that is NaN, infinite, or too large to be added to another."""

    def __init__(self, unit: int, value: float) -> None:
        super().__init__(f"unit {unit} has a response that is not finite ({value})")
        self.unit, self.value = unit, value


def _check_finite(extreme: Array, first_unit: int = 0) -> None:
    """Raise for the first unit whose extreme response cannot be computed with."""
    xp = namespace(extreme)
    good = xp.reshape(xp.abs(extreme) <= xp.finfo(extreme.dtype).max / 2, (-1,))
    if not xp.all(good):
        bad = int(xp.argmin(xp.astype(good, xp.int8)))
        raise NotFiniteError(first_unit + bad, float(xp.reshape(extreme, (-1,))[bad]))


class InvarianceAccumulator:
    """I_k of many units, summed over batches of images in constant memory.

    `peak` is the highest response of each unit, (unit...), over all batches (see `peak`); `tau`
    is a share of it, 0 <= tau < 1. Sums are float64 across tiles of 32 images.

    >>> import numpy as np
    >>> clean, moved = np.array([[4.0], [2.0], [0.0]]), np.array([[4.0], [1.0], [0.0]])
    >>> total = InvarianceAccumulator(peak(clean, moved), tau=0.1)
    >>> total.update(clean[:2], moved[:2]), total.update(clean[2:], moved[2:])
    (array([1, 1]), array([0]))
    >>> total.result().invariance[0]  # the mean of 1 and of 2 * 1 / 3
    array([0.83333333])
    """

    def __init__(self, peak: Array, *, tau: float = 0.0) -> None:
        if not 0 <= tau < 1:
            raise ValueError(f"tau is {tau}; a share of the highest response wants 0 <= tau < 1")
        xp = namespace(peak)
        self.tau = tau
        self.peak = xp.reshape(computable(peak, xp), (-1,))
        _check_finite(self.peak)
        self._shape = tuple(peak.shape)
        # The floor divides what no image activates, instead of 0, and changes no active pair:
        # a + b >= max(a, b) > floor.
        self._floor = activity_floor(self.peak, tau)
        # Rows: images of which nothing is known, of seen and of unseen categories.
        zeros = xp.zeros_like(self.peak, dtype=xp.float64)
        self._sum = xp.stack([zeros, zeros, zeros])
        self._count = xp.stack([zeros, zeros, zeros])
        self._negative = self.peak < 0
        self._scratch = Scratch()

    def update(
        self,
        clean: Array,
        transformed: Array,
        seen: Array | None = None,
        each: Tile = lambda rows, units, half, active: None,
    ) -> Array:
        """Add a batch: responses (image, unit...) to the images and to their transforms.

        `seen` is (image,), not 0 where the image's category was transformed in training.
        `each(rows, units, h / 2, active)` is shown every tile, (image, unit), as it is added; both
        are 0 for what is not in A_k, and lie in memory that the next tile takes.
        Returns the number of units that are active in each image, (image,).
        Raises ValueError for shapes that do not fit and for responses that are not finite.
        """
        xp = namespace(clean, transformed)
        clean, transformed = laid_flat(clean, transformed, self._shape)
        images = clean.shape[0]
        everyone, *split = group_indicator(seen, images, self.peak, xp)
        known = seen is not None
        weights = xp.stack(split) if known else everyone[None, :]
        kinds = slice(1, 3) if known else slice(0, 1)
        active_units = xp.zeros_like(everyone)
        for rows, units in tiles(clean):
            half, active = self._tile(
                computable(clean[rows, units], xp), computable(transformed[rows, units], xp), units
            )
            self._sum[kinds, units] += summed(weights[:, rows], half)
            self._count[kinds, units] += summed(weights[:, rows], active)
            active_units[rows] += xp.sum(active, axis=1)
            each(rows, units, half, active)
        return xp.astype(active_units, xp.int64)

    def _tile(self, a: Array, b: Array, units: slice) -> tuple[Array, Array]:
        """h / 2 and who is in A_k; arithmetic in place keeps temporaries few enough for the cache."""
        xp = namespace(a, b)
        floor = self._floor[units]
        half = xp.minimum(a, b, **self._scratch.out(0, a))
        total = xp.maximum(a, b, **self._scratch.out(1, a))
        if not xp.min(half) >= 0:  # negative, or NaN
            low = xp.min(half, axis=0)
            _check_finite(low, units.start)
            self._negative[units] |= low < 0
            half = xp.maximum(half, xp.zeros_like(low))  # without meaning, but no overflow
        active = xp.astype(
            xp.greater(total, floor, **self._scratch.out(2, a)), half.dtype, copy=False
        )
        total += half
        half *= active
        half /= xp.maximum(total, floor, **self._scratch.out(1, a))
        return half, active

    def merge(self, other: "InvarianceAccumulator") -> None:
        """Add what another accumulator with the same peak and tau has seen of other images."""
        xp = namespace(self.peak, other.peak)
        if self.tau != other.tau or self._shape != other._shape:
            raise ValueError("only accumulators of the same units and tau can be merged")
        if not xp.all(self.peak == other.peak):
            raise ValueError("only accumulators with the same peak can be merged")
        self._sum += other._sum
        self._count += other._count
        self._negative |= other._negative

    def parts(self) -> tuple[list[Array], list[Array]]:
        """Sums and flags: added up and or-ed in place over several of these, all are as merged."""
        return [self._sum, self._count], [self._negative]

    def result(self) -> InvarianceResult:
        """I_k, #A_k and the negative units, of everything added so far."""
        xp = namespace(self.peak)
        total, count = by_group(self._sum), by_group(self._count)
        shape = (len(GROUPS), *self._shape)
        return InvarianceResult(
            xp.reshape(coefficient(total, count, self._negative), shape),
            xp.reshape(xp.astype(count, xp.int64), shape),
            xp.reshape(self._negative, self._shape),
        )


def laid_flat(clean: Array, transformed: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Both as (image, unit); ValueError unless both are (image, unit...) with units of that shape."""
    xp = namespace(clean, transformed)
    if clean.shape != transformed.shape or tuple(clean.shape[1:]) != shape:
        raise ValueError(
            f"responses {tuple(clean.shape)} and {tuple(transformed.shape)} want the same"
            f" images and units {shape}"
        )
    flat = (clean.shape[0], prod(shape))
    return xp.reshape(clean, flat), xp.reshape(transformed, flat)


def by_group(sums: Array) -> Array:
    """(group, ..., unit) from sums over unknown, seen and unseen images, (kind, ..., unit)."""
    xp = namespace(sums)
    return xp.concat([xp.sum(sums, axis=0)[None, ...], sums[1:, ...]])


def coefficient(total: Array, count: Array, negative: Array) -> Array:
    """I_k from sums of h / 2 and numbers of images, (..., unit); NaN for none, and where negative."""
    xp = namespace(total)
    defined = (count > 0) & ~negative
    return 2 * total / xp.where(defined, count, xp.full_like(count, float("nan")))


def invariance(
    clean: Array, transformed: Array, *, tau: float = 0.0, seen: Array | None = None
) -> Array:
    """I_k in 0..1 (1: never changes) of each unit, (group, unit...); NaN where undefined.

    `clean` and `transformed` are responses (image, unit...) >= 0 in any one unit of measure to
    the same images without and with the transform; `tau` is a share of each unit's highest
    response, 0 <= tau < 1; `seen` is (image,). Groups are all, seen and unseen images. I_k is
    NaN for a silent unit, for one with a negative response, and for a group without an image that
    activates it. Raises ValueError for shapes that do not fit and values that are not finite.

    >>> import numpy as np
    >>> clean = np.array([[1.0, 3.0, 0.0], [2.0, 0.0, 0.0]])
    >>> transformed = np.array([[1.0, 1.0, 0.0], [2.0, 0.0, 0.0]])
    >>> invariance(clean, transformed, seen=np.array([True, False]))
    array([[1. , 0.5, nan],
           [1. , 0.5, nan],
           [1. , nan, nan]])
    """
    total = InvarianceAccumulator(peak(clean, transformed), tau=tau)
    total.update(clean, transformed, seen)
    return total.result().invariance
