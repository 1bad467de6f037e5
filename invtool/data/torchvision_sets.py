"""CIFAR, MNIST, Omniglot and ImageNet as torchvision keeps them under $INVTOOL_DATA."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.data import folders
from invtool.data.sets import TEST, TRAIN, ImageSet
from invtool.data.specs import DataSpec, data_root
from invtool.errors import InvtoolError

CLASSES = {
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
}
# What torchvision raises where files are missing, and where they are damaged.
UNREADABLE = (RuntimeError, OSError, ValueError, LookupError, EOFError, AssertionError)
DRAWERS_TRAIN = 15  # of Omniglot's 20 drawers of every character; the other 5 are for the test


def read(spec: DataSpec, *, download: bool) -> ImageSet:
    """Training and test images; downloads only where told to, and ImageNet never.

    Raises InvtoolError if the data set is not there.
    """
    root = data_root()
    if spec.name == "imagenet":
        return _imagenet(spec, root)
    if download:
        root.mkdir(parents=True, exist_ok=True)
    try:
        parts = (
            _omniglot(root, download) if spec.name == "omniglot" else _parts(spec, root, download)
        )
    except UNREADABLE as error:
        why = str(error).partition("\n")[0] or "damaged"
        raise InvtoolError(
            f"{spec.name} is not in {root} ({why}); "
            f"fetch it with: invtool data {spec.name} --download -o {spec.name}.h5"
        ) from None
    images, labels, splits, names = parts
    image = folders.resized(images, spec.options["size"])
    return ImageSet(image, labels, splits, names, str(spec))


def _parts(spec: DataSpec, root: Path, download: bool) -> tuple[Any, ...]:
    from torchvision import datasets

    kind = getattr(datasets, CLASSES[spec.name])
    sets = [kind(root, train=train, download=download) for train in (True, False)]
    images = np.concatenate([_planes(np.asarray(s.data)) for s in sets])
    labels = np.concatenate([np.asarray(s.targets, dtype=np.int64) for s in sets])
    splits = np.repeat(np.array([TRAIN, TEST], np.uint8), [len(s) for s in sets])
    return images, labels, splits, [str(name) for name in sets[0].classes]


def _planes(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(image, height, width) or (image, height, width, channel) with the channels second."""
    if pixels.ndim == 3:
        return pixels[:, None]
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _omniglot(root: Path, download: bool) -> tuple[Any, ...]:
    from PIL import Image
    from torchvision.datasets import Omniglot

    top = Path(Omniglot(root, background=True, download=download).target_folder)
    # torchvision numbers the characters as the file system lists them; names are the same anywhere.
    files = folders.image_files([top])
    pixels = [255 - np.asarray(Image.open(path).convert("L")) for path in files]
    names, labels = np.unique(
        [f"{path.parent.parent.name}.{path.parent.name}" for path in files], return_inverse=True
    )
    drawer = np.array([int(path.stem.split("_")[1]) for path in files])
    splits = np.where(drawer <= DRAWERS_TRAIN, TRAIN, TEST).astype(np.uint8)
    return np.stack(pixels)[:, None], labels.astype(np.int64), splits, names.tolist()


def _imagenet(spec: DataSpec, root: Path) -> ImageSet:
    top = root / "imagenet"
    parts = [top / "train", top / "val"]
    if not all(part.is_dir() for part in parts):
        raise InvtoolError(
            f"imagenet: {parts[0]} and {parts[1]} with a folder a category are wanted"
        )
    named: Sequence[tuple[Path, int]] = list(zip(parts, (TRAIN, TEST), strict=True))
    return folders.read_parts(spec, named)
