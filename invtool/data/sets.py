"""An image set in memory, mapped into it, or in files that are decoded as they are read."""

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.data.decoding import ImageFiles
from invtool.errors import InvtoolError
from invtool.files.provenance import Steps

TRAIN, TEST = 0, 1
MOST_CATEGORIES = 1_000_000  # more is another numbering, as ImageNet's of synsets
UNNAMED = "category-"  # and its number: a category without a name


@dataclass(frozen=True)
class ImageSet:
    """Images of one size with their categories.

    image: (image, channel, height, width), uint8 or float32 in 0..255
    label: (image,) int64, category number
    split: (image,) uint8, 0 training, 1 test
    """

    image: NDArray[Any] | ImageFiles
    label: NDArray[np.int64]
    split: NDArray[np.uint8]
    categories: list[str]
    spec: str
    steps: Steps = field(default_factory=list)

    def batches(self, parts: Iterable[NDArray[np.int64]]) -> Iterator[NDArray[Any]]:
        """The pixels of each part, numbers of images, in order; files are decoded ahead."""
        if isinstance(self.image, ImageFiles):
            yield from self.image.parts(parts)
            return
        for rows in parts:
            pixels = np.asarray(self.image[rows])  # a copy: a mapped set cannot be written
            self.release()
            yield pixels

    def loaded(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """The pixels of the images `index` in memory; decoding shows progress."""
        if isinstance(self.image, ImageFiles):
            return self.image.whole(index)
        return np.asarray(self.image[index])

    def release(self) -> None:
        """Give back the memory of a mapped file's pages that were read; they can be read again.

        Else the images of a file, however many, would stay resident one after the other.
        """
        mapped = getattr(self.image, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)

    def indices(self, split: int, limit: int | None = None) -> NDArray[np.int64]:
        """Numbers of the images of a split, ascending.

        With `limit`, that many spread evenly over the split's categories, and over the images of
        each: a plain stride would meet one category alone where they take turns.

        Raises InvtoolError if there is none.
        """
        found = np.flatnonzero(self.split == split)
        if not len(found):
            kind = "training" if split == TRAIN else "test"
            raise InvtoolError(f"{self.spec}: no {kind} images in it")
        return spread(found, self.label, limit)


def spread(
    index: NDArray[np.int64], label: NDArray[np.int64], limit: int | None
) -> NDArray[np.int64]:
    """At most `limit` of the images `index`, spread evenly over their categories; see `indices`."""
    if limit is None or limit >= len(index):
        return index
    by_category = index[np.argsort(label[index], kind="stable")]
    return np.sort(by_category[np.arange(limit) * len(index) // limit])
