"""Folders of image files: PATH/train/CATEGORY/* with PATH/test/CATEGORY/*, or PATH/CATEGORY/*.

A small folder is decoded at once, and refused at once if an image is damaged; of a large one the images
are decoded as they are read, with the same pixels.

Without a folder of test images, a seeded fifth of each category is for the test. With `numbered`,
the digits that a category's name begins with are its number, as a network counts it, and images may
lie in PATH itself, each named by the number of its category. Hidden files and folders (of
notebooks, of macOS) are left out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invtool.data.decoding import ImageFiles
from invtool.data.memory import fits
from invtool.data.sets import MOST_CATEGORIES, TEST, TRAIN, UNNAMED, ImageSet
from invtool.data.specs import DataSpec
from invtool.errors import InvtoolError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp"}
LEADING_DIGITS = re.compile(r"\d+")
TEST_SHARE = 5  # one image in so many
HELD = 1 << 30  # bytes of images that are decoded at once: 7,000 of 224 pixels


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, and what their names tell.

    label: (image,) category number
    split: (image,) 0 training, 1 test
    """

    files: list[Path]
    label: NDArray[np.int64]
    split: NDArray[np.uint8]
    categories: list[str]


def read(spec: DataSpec) -> ImageSet:
    """The images of the folder.

    Raises InvtoolError for no images, and, now or when they are read, for unreadable ones or several
    sizes without `size`.
    """
    return _opened(spec, listing(spec))


def listing(spec: DataSpec) -> Listing:
    """Find the images of the folder without decoding them; InvtoolError for none."""
    top = Path(spec.path)
    if not _folders(top / "train"):  # a category may be called train
        return _list(spec, [(top, None)])
    for test in ("test", "val"):
        if (top / test).is_dir():
            return _list(spec, [(top / "train", TRAIN), (top / test, TEST)])
    return _list(spec, [(top / "train", None)])


def _folders(top: Path) -> list[Path]:
    if not top.is_dir():
        return []
    return [path for path in top.iterdir() if path.is_dir() and not path.name.startswith(".")]


def read_parts(spec: DataSpec, parts: Sequence[tuple[Path, int | None]]) -> ImageSet:
    """Images of several folders of categories, each with its split (None: a seeded one)."""
    return _opened(spec, _list(spec, parts))


def _opened(spec: DataSpec, found: Listing) -> ImageSet:
    files = ImageFiles(found.files, spec.options["size"], spec.options.get("crop", 0))
    image = files.whole() if files.nbytes <= HELD and fits(files.nbytes) else files
    return ImageSet(image, found.label, found.split, found.categories, str(spec))


def _list(spec: DataSpec, parts: Sequence[tuple[Path, int | None]]) -> Listing:
    numbered = bool(spec.options.get("numbered"))
    names = sorted({folder.name for part, _ in parts for folder in _folders(part)})
    flat = numbered and not names
    number = {name: _number(name, str(spec)) if numbered else i for i, name in enumerate(names)}
    files: list[Path] = []
    label: list[int] = []
    split: list[NDArray[np.uint8]] = []
    for part, fixed in parts:
        for name in names:
            found = image_files([part / name])
            files += found
            label += [number[name]] * len(found)
            split.append(_split(len(found), fixed, (spec.options["seed"], number[name])))
        if flat:
            found = image_files([part])
            files += found
            label += [_number(path.name, str(spec)) for path in found]
            split.append(np.full(len(found), TEST, np.uint8))
    if not files:
        raise InvtoolError(f"{spec}: no images in it; a folder a category is wanted")
    categories = [f"{UNNAMED}{i}" for i in range(max(label) + 1)] if numbered else names
    for name, i in number.items():
        categories[i] = name
    return Listing(files, np.array(label), np.concatenate(split), categories)


def _number(name: str, spec: str) -> int:
    digits = LEADING_DIGITS.match(name)
    if digits is None or int(digits[0]) >= MOST_CATEGORIES:
        raise InvtoolError(
            f"{spec}: {name!r} does not begin with the number of its category, from 0"
            f" to {MOST_CATEGORIES - 1:,}"
        )
    return int(digits[0])


def image_files(folders: Iterable[Path]) -> list[Path]:
    """Image files below the folders, by name."""
    return sorted(
        path
        for top in folders
        for path in top.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _split(count: int, fixed: int | None, seed: tuple[int, int]) -> NDArray[np.uint8]:
    if fixed is not None:
        return np.full(count, fixed, np.uint8)
    split = np.full(count, TRAIN, np.uint8)
    split[np.random.default_rng(seed).permutation(count)[: -(-count // TEST_SHARE)]] = TEST
    return split


def resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Images of one size brought to `size` x `size` pixels; 0 leaves them as they are."""
    if size in (0, image.shape[2]):
        return image
    from PIL import Image

    def one(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        picture = Image.fromarray(planes.transpose(1, 2, 0).squeeze())
        pixels = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
        return pixels.reshape(size, size, -1).transpose(2, 0, 1)

    return np.stack([one(planes) for planes in image])
