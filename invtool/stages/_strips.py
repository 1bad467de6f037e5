"""Values of all images at one layer, kept in strips of units: in memory, or in a file without a name.

A strip is some units of every image, which lie together, so that it is read at once when images are
compared. A file is written and read and not mapped: pages that are mapped, given back and mapped
again cost several times the copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Strips:
    """Values (image, unit) of a layer; `width` is the units of a strip.

    place: where they lie: a tensor of as many values, or a file that holds them from `start` on
    """

    images: int
    units: int
    width: int
    dtype: torch.dtype
    place: Tensor | BinaryIO
    start: int = 0  # bytes

    def __iter__(self) -> Iterator[slice]:
        """The units of each strip."""
        for first in range(0, self.units, self.width):
            yield slice(first, min(first + self.width, self.units))

    def put(self, units: slice, rows: slice, values: Tensor) -> None:
        """Keep `values`, (image, unit), of the images `rows` in the strip `units`."""
        if isinstance(self.place, Tensor):
            self._strip(self.place, units)[rows].copy_(values)
            return
        self._seek(self.place, units, rows)
        self.place.write(values.to("cpu", self.dtype).contiguous().numpy().data)

    def get(self, units: slice) -> Tensor:
        """The strip `units`, (image, unit)."""
        if isinstance(self.place, Tensor):
            return self._strip(self.place, units)
        found = torch.empty(self.images, units.stop - units.start, dtype=self.dtype)
        self._seek(self.place, units, slice(0, self.images))
        self.place.readinto(found.numpy().data)  # type: ignore[attr-defined]
        return found

    def _strip(self, place: Tensor, units: slice) -> Tensor:
        span = slice(self.images * units.start, self.images * units.stop)
        return place[span].view(self.images, units.stop - units.start)

    def _seek(self, place: BinaryIO, units: slice, rows: slice) -> None:
        before = self.images * units.start + rows.start * (units.stop - units.start)
        place.seek(self.start + self.dtype.itemsize * before)
