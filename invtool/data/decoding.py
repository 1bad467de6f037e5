"""Image files, decoded by threads as they are read.

Threads, and not processes: Pillow lets go of the interpreter while it decodes and resizes, so threads
are as fast and nothing has to be copied between them.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from invtool import ranks
from invtool.errors import InvtoolError
from invtool.files import messages

PART = 256  # images that are decoded together, where nothing else says how many
PARTS_AHEAD = 2  # parts that are being decoded while one is used
TASKS_AHEAD = 4  # images for each thread, at least, however small the parts are
told_threads: int | None = None  # --threads sets it


class UnreadableImage(InvtoolError):
    """A file that is no whole image, or not of the size that the others have."""


class Part(NamedTuple):
    """Images on their way: their pixels, and what is to be waited for."""

    pixels: NDArray[np.uint8]  # (image, channel, height, width)
    pending: list[Future[None]]


class ImageFiles:
    """Image files that are indexed like an array (image, channel, height, width) of their pixels.

    What is read is not kept.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, files: Sequence[Path], size: int, crop: int = 0):
        self.files, self.size, self.crop = files, size, crop
        self.shape = (len(files), *decode_one(files[0], size, crop).shape)
        self.nbytes = prod(self.shape)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        """As of an array, for numbers, slices and arrays of numbers of images."""
        chosen = np.arange(len(self))[rows]
        (pixels,) = self.parts([chosen.reshape(-1)])
        return pixels.reshape(*chosen.shape, *self.shape[1:])

    def whole(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """The pixels of all images, or of `rows`, in memory; shows progress."""
        chosen = np.arange(len(self)) if rows is None else rows
        starts = range(0, len(chosen), PART)
        parts = self.parts(chosen[start : start + PART] for start in starts)
        parts = messages.progress(
            parts, total=len(chosen), label="decoding", unit="images", size=PART
        )
        pixels = self._empty(len(chosen))
        for start, part in zip(starts, parts, strict=True):
            pixels[start : start + PART] = part
        return pixels

    def parts(
        self, parts: Iterable[NDArray[np.int64]], threads: int | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """The pixels of each part, in order; the next parts are decoded meanwhile."""
        count = threads or told_threads or _own_cores()
        waiting: deque[Part] = deque()
        with _pool(count) as pool:
            for rows in parts:
                waiting.append(self._begin(pool, rows))
                ahead = max(PARTS_AHEAD, TASKS_AHEAD * count // max(len(rows), 1))
                while len(waiting) > ahead:
                    yield _finished(waiting.popleft())
            while waiting:
                yield _finished(waiting.popleft())

    def _begin(self, pool: ThreadPoolExecutor, rows: NDArray[np.int64]) -> Part:
        pixels = self._empty(len(rows))
        images = zip(rows, pixels, strict=True)
        return Part(pixels, [pool.submit(self._decode, *image) for image in images])

    def _empty(self, count: int) -> NDArray[np.uint8]:
        return np.empty((count, *self.shape[1:]), np.uint8)

    def _decode(self, number: int, place: NDArray[np.uint8]) -> None:
        pixels = decode_one(self.files[number], self.size, self.crop)
        if pixels.shape != place.shape:
            raise UnreadableImage(
                f"{self.files[number]} is {_extent(pixels)}, {self.files[0].name} {_extent(place)}; "
                "give one size, as folder:PATH,size=224"
            )
        place[:] = pixels


def _finished(part: Part) -> NDArray[np.uint8]:
    for image in part.pending:
        image.result()
    return part.pixels


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that stop at the first failure, and at Ctrl-C, instead of decoding the rest."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _own_cores() -> int:
    """The cores of this process, if those that torchrun started on the machine share them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // ranks.local_size)


def decode_one(path: Path, size: int, crop: int = 0) -> NDArray[np.uint8]:
    """RGB pixels of one file, (channel, height, width); with `size`, the resized central square.

    With `crop`, the middle of so many pixels of what is then there. Raises UnreadableImage for a file
    that is no whole image, or smaller than `crop`.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except Exception as error:  # of a damaged file, a decoder raises whatever it stumbles on
        raise UnreadableImage(f"{path}: not a whole image ({error})") from None
    if size:  # the shorter side to `size`, then the middle
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
    if crop:
        if crop > min(picture.size):
            raise UnreadableImage(
                f"{path} has {min(picture.size)} pixels a side, crop={crop} wants more"
            )
        left, top = (picture.width - crop) // 2, (picture.height - crop) // 2
        picture = picture.crop((left, top, left + crop, top + crop))
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))


def _extent(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[2]} x {pixels.shape[1]} px"
