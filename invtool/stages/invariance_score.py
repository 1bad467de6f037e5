"""Every number that `invariance` gives of some units of a layer, summed over batches of images.

The file's route shows it all images at once, the network's route batch by batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.measures import CategorySums, InvarianceAccumulator, TauGrid
from invtool.measures.arrays import host

Array = NDArray[Any]
TAU_GRID = tuple(round(0.05 * step, 2) for step in range(20))  # the paper's, below 1
SPREAD_UNITS = 1024  # whose medians are bootstrapped: as many tell the spread as well as all


@dataclass(frozen=True)
class Score:
    """What is measured of a layer's units, or of some of them; units are the last axis, or axes."""

    invariance: Array  # (transform, group, unit...)
    active_images: Array  # (transform, group, unit...)
    negative: Array  # (transform, unit...)
    top1_score: Array  # (transform, unit...); NaN where it was not measured
    active_units: Array  # (transform, image), a sum over the units
    total: Array  # (transform, category, sampled unit): sums of h_k ...
    count: Array  # (transform, category, sampled unit): ... and of images in A_k
    by_tau: Array | None  # (tau, transform, group, unit...); None where not asked for

    @classmethod
    def joined(cls, parts: "Sequence[Score]") -> "Score":
        """The score of all units from those of consecutive blocks of them."""

        def along(name: str) -> Array | None:
            arrays = [getattr(part, name) for part in parts]
            if name == "active_units":
                return np.asarray(np.sum(arrays, axis=0))
            return None if arrays[0] is None else np.concatenate(arrays, axis=-1)

        joined: dict[str, Any] = {field.name: along(field.name) for field in fields(cls)}
        return cls(**joined)

    def shaped(self, unit_shape: tuple[int, ...], order: tuple[int, ...] = ()) -> "Score":
        """The same with the unit axes that the layer has.

        `order` is where each of them lies among the axes that the units were laid flat from, where
        those came in another order.
        """
        stored = unit_shape
        if order:
            stored = tuple(unit_shape[order.index(at)] for at in range(len(order)))

        def shape(array: Array) -> Array:
            lead = array.ndim - 1
            laid = array.reshape(*array.shape[:lead], *stored)
            axes = [*range(lead), *(lead + at for at in order or range(len(stored)))]
            return laid.transpose(axes)

        return Score(
            shape(self.invariance),
            shape(self.active_images),
            shape(self.negative),
            shape(self.top1_score),
            self.active_units,
            self.total,
            self.count,
            None if self.by_tau is None else shape(self.by_tau),
        )


class UnitScores:
    """I_k and its like of some units for one transform; units are (unit), laid flat."""

    def __init__(
        self, peak: Array, sample: NDArray[np.int64], *, tau: float, categories: int, grid: bool
    ):
        self.sample = np.sort(sample)
        self.main = InvarianceAccumulator(peak, tau=tau)
        self.grid = TauGrid(peak, TAU_GRID) if grid else None
        self.sums = CategorySums(peak[self.sample], tau=tau, categories=categories)

    @property
    def accumulators(self) -> list[InvarianceAccumulator | TauGrid | CategorySums]:
        return [self.main, self.sums, *([self.grid] if self.grid else [])]

    def update(self, clean: Array, moved: Array, seen: Array | None, category: Array) -> Array:
        """Add responses (image, unit) and those to the transforms; active units, (image,)."""

        def sampled(rows: slice, units: slice, half: Array, active: Array) -> None:
            first, last = np.searchsorted(self.sample, (units.start, units.stop))
            if last > first:
                own = self.sample[first:last] - units.start
                h, held = 2 * half[:, own], active[:, own]
                self.sums.add(h, held, category[rows], slice(first, last))

        counted = host(self.main.update(clean, moved, seen, sampled))  # refuses what is not finite
        if self.grid:
            self.grid.update(clean, moved, seen)
        return counted


def score(units: Sequence[UnitScores], active_units: Array, top1: Array) -> Score:
    """One block's score from what each transform's UnitScores hold."""
    results = [each.main.result() for each in units]
    grids = [host(each.grid.invariance()) for each in units if each.grid]
    return Score(
        np.stack([host(r.invariance) for r in results]),
        np.stack([host(r.active_images) for r in results]),
        np.stack([host(r.negative) for r in results]),
        top1,
        active_units,
        np.stack([each.sums.total for each in units]),
        np.stack([each.sums.count for each in units]),
        np.stack(grids, axis=1) if grids else None,
    )
