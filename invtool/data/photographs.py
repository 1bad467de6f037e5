"""Photographs one at a time, each of its own size: what is embedded, scaled, cropped or filmed."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.data import folders
from invtool.data.decoding import decode_one
from invtool.data.folders import image_files
from invtool.data.sets import TEST, ImageSet, spread
from invtool.data.sources import open_data
from invtool.data.specs import DataSpec
from invtool.errors import InvtoolError
from invtool.files.provenance import Steps

UNKNOWN = -1  # the category of a photograph that nothing tells


@dataclass(frozen=True)
class Photographs:
    """Test images of a data set, or of a folder, in their order.

    read: pixels of one, (channel, height, width), uint8 or float32 in 0..255
    name: (image,) file names below the folder, or numbers in the data set
    label: (image,) category number, -1 where it is not known
    """

    read: Callable[[int], NDArray[Any]]
    name: list[str]
    label: NDArray[np.int64]
    categories: list[str]
    spec: str
    steps: Steps = field(default_factory=list)

    def having(self, stems: Collection[str]) -> "Photographs":
        """Those whose file name without its suffix is among `stems`."""
        kept = [i for i, name in enumerate(self.name) if Path(name).stem in stems]
        return replace(
            self,
            read=lambda i: self.read(kept[i]),
            name=[self.name[i] for i in kept],
            label=self.label[kept],
        )

    def __len__(self) -> int:
        return len(self.name)


def open_photographs(spec: DataSpec, limit: int | None = None) -> Photographs:
    """The test images that a spec names; a folder's are decoded when they are read.

    Images that lie in the folder itself belong to no known category, unless they are numbered.
    Raises InvtoolError where there are none.
    """
    if spec.name != "folder":
        return _of_set(open_data(spec), limit)
    files, label, categories = _test_images(spec)
    kept = spread(np.arange(len(files)), label, limit)
    names = [str(files[i].relative_to(spec.path)) for i in kept]
    read = partial(_decoded, [files[i] for i in kept], spec.options["size"], spec.options["crop"])
    return Photographs(read, names, label[kept], categories, str(spec))


def _test_images(spec: DataSpec) -> tuple[list[Path], NDArray[np.int64], list[str]]:
    """A folder's test images, their category numbers, and the categories."""
    top = Path(spec.path)
    lying = any(path.suffix.lower() in folders.SUFFIXES for path in top.glob("[!.]*"))
    if lying and not spec.options["numbered"]:
        files = image_files([top])
        return files, np.full(len(files), UNKNOWN), []
    found = folders.listing(spec)
    test = np.flatnonzero(found.split == TEST)
    if not len(test):
        raise InvtoolError(f"{spec}: no test images in it")
    return [found.files[i] for i in test], found.label[test], found.categories


def clips(spec: DataSpec) -> list[tuple[str, list[Path]]]:
    """Frames of each clip below a folder: a folder of images is a clip, its frames by name.

    Raises InvtoolError where there is none, or one of a single frame.
    """
    top = Path(spec.path)
    found: dict[Path, list[Path]] = {}
    for path in image_files([top]):
        found.setdefault(path.parent, []).append(path)
    if not found:
        raise InvtoolError(f"{spec}: no image files in it; a folder of frames is wanted")
    for folder, frames in found.items():
        if len(frames) < 2:
            raise InvtoolError(f"{folder} holds one frame; a clip has two or more")
    return [(str(folder.relative_to(top)), frames) for folder, frames in sorted(found.items())]


def _of_set(images: ImageSet, limit: int | None) -> Photographs:
    index = images.indices(TEST, limit)
    return Photographs(
        lambda i: np.asarray(images.image[index[i]]),
        [str(number) for number in index],
        images.label[index],
        images.categories,
        images.spec,
        images.steps,
    )


def _decoded(files: list[Path], size: int, crop: int, number: int) -> NDArray[np.uint8]:
    return decode_one(files[number], size, crop)
