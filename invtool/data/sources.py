"""From a data spec to an ImageSet: drawn, downloaded, decoded or read."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.data import deformed, embedded, folders, torchvision_sets
from invtool.data.sets import MOST_CATEGORIES, TEST, UNNAMED, ImageSet
from invtool.data.specs import DOWNLOADED, EMBEDDED, DataSpec, parse
from invtool.errors import InvtoolError
from invtool.files import hdf5, streams

IN_MEMORY = 16 << 20  # bytes of images that are read whole where they cannot be mapped
PART = 1000  # images read at once


def open_data(spec: DataSpec | str, *, download: bool = False) -> ImageSet:
    """The images that a spec names.

    Raises UsageError or InvtoolError with what was found and what was wanted.
    """
    told = parse(spec) if isinstance(spec, str) else spec
    if told.name in EMBEDDED:
        return embedded.draw_set(told)
    if told.name in DOWNLOADED:
        return torchvision_sets.read(told, download=download)
    if told.deformation:
        return deformed.draw(
            told, told.deformation, open_data(told.deformation.source, download=download)
        )
    opener: dict[str, Callable[[DataSpec], ImageSet]] = {"folder": folders.read, "file": _read_file}
    return opener[told.name](told)


def _read_file(spec: DataSpec) -> ImageSet:
    name = "standard input" if spec.path == str(streams.STDIO) else spec.path
    with streams.reading(Path(spec.path)) as path, hdf5.open(path, ["images"], name) as file:
        image = file.view("image")  # mapped: it outlives the file, and even a spool's name
        if not isinstance(image, np.ndarray) or image.dtype not in (np.uint8, np.float32):
            image = _laid_out(image, name)
        label = file.array("label").astype(np.int64)
        split = file.array("split") if "split" in file else np.full(len(label), TEST)
        _check(name, image, label)
        categories = _categories(file, int(label.max()) + 1)
        return ImageSet(
            image, label, split.astype(np.uint8), categories, spec.path, list(file.steps)
        )


def _laid_out(stored: Any, name: str) -> NDArray[Any]:
    """A chunked or foreign array as one of ours: in memory, or mapped from a nameless file if large."""
    dtype = np.dtype(np.uint8 if stored.dtype == np.uint8 else np.float32)
    if stored.size * dtype.itemsize <= IN_MEMORY:
        return np.asarray(stored[:], dtype=dtype)
    try:
        with tempfile.TemporaryFile(prefix="invtool-") as file:
            for start in range(0, len(stored), PART):
                file.write(np.ascontiguousarray(stored[start : start + PART], dtype=dtype).data)
            file.flush()
            return np.memmap(file, dtype, "r", shape=stored.shape)
    except OSError as error:
        if not error.errno:  # HDF5 could not read, and says so itself
            raise
        raise InvtoolError(
            f"{name} does not fit in {tempfile.gettempdir()} ({error.strerror}); set TMPDIR"
        ) from None


def _categories(file: hdf5.Reader, count: int) -> list[str]:
    """The names that the file gives, and made-up ones for the numbers it has none for."""
    told = file.attribute("categories")
    names = [str(name) for name in told] if isinstance(told, list) else []
    return names + [f"{UNNAMED}{number}" for number in range(len(names), count)]


def _check(path: str, image: NDArray[Any], label: NDArray[np.int64]) -> None:
    if not image.size:
        raise InvtoolError(f"{path}: no images in it")
    if label.min() < 0 or label.max() >= MOST_CATEGORIES:
        wrong = label.min() if label.min() < 0 else label.max()
        raise InvtoolError(f"{path}: category number {wrong}; they count from 0, one by one")
    if image.dtype.kind == "f":
        # By parts: the array may be larger than memory.
        for start in range(0, len(image), PART):
            part = image[start : start + PART]
            if not np.isfinite(part).all():
                bad = start + int(np.argwhere(~np.isfinite(part))[0, 0])
                raise InvtoolError(f"{path}: image {bad} holds NaN or infinity")
