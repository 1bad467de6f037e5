"""From a data spec to an ImageSet: drawn, downloaded, decoded or read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from invtool.data import embedded, folders, torchvision_sets
from invtool.data.sets import TEST, ImageSet
from invtool.data.specs import DOWNLOADED, EMBEDDED, DataSpec, parse
from invtool.errors import InvtoolError
from invtool.files import hdf5, streams


def open_data(spec: DataSpec | str, *, download: bool = False) -> ImageSet:
    """The images that a spec names.

    Raises UsageError or InvtoolError with what was found and what was wanted.
    """
    told = parse(spec) if isinstance(spec, str) else spec
    if told.name in EMBEDDED:
        return embedded.draw_set(told)
    if told.name in DOWNLOADED:
        return torchvision_sets.read(told, download=download)
    opener: dict[str, Callable[[DataSpec], ImageSet]] = {"folder": folders.read, "file": _read_file}
    return opener[told.name](told)


def _read_file(spec: DataSpec) -> ImageSet:
    with (
        streams.reading(Path(spec.path)) as path,
        hdf5.open(path, ["images"], spec.path) as file,
    ):
        image = file.view("image")
        if spec.path == "-" or not isinstance(image, np.ndarray):
            image = np.asarray(image[:])  # the spool vanishes; chunks are not mapped
        label = file.array("label").astype(np.int64)
        split = file.array("split") if "split" in file else np.full(len(label), TEST)
        names = file.attribute("categories", [])
        _check(spec.path, image, label)
        count = max(int(label.max()) + 1, len(names))
        categories = [*names, *(f"category-{i}" for i in range(len(names), count))]
        return ImageSet(
            image, label, split.astype(np.uint8), categories, spec.path, list(file.steps)
        )


def _check(path: str, image: np.ndarray, label: np.ndarray) -> None:  # type: ignore[type-arg]
    if not len(label):
        raise InvtoolError(f"{path}: no images in it")
    if label.min() < 0:
        raise InvtoolError(f"{path}: category number {label.min()}; they count from 0")
    if image.dtype.kind == "f":
        # By parts: the array may be larger than memory.
        for start in range(0, len(image), 1000):
            part = image[start : start + 1000]
            if not np.isfinite(part).all():
                bad = start + int(np.argwhere(~np.isfinite(part))[0, 0])
                raise InvtoolError(f"{path}: image {bad} holds NaN or infinity")
