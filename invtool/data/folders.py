"""Folders of image files: PATH/train/CATEGORY/* with PATH/test/CATEGORY/*, or PATH/CATEGORY/*.

Without a folder of test images, a seeded fifth of each category is for the test. With `numbered`,
the digits that a category's name begins with are its number, as a network counts it, and images may
lie in PATH itself, each named by the number of its category. Hidden files and folders (of
notebooks, of macOS) are left out.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invtool.data.sets import MOST_CATEGORIES, TEST, TRAIN, UNNAMED, ImageSet
from invtool.data.specs import DataSpec
from invtool.errors import InvtoolError
from invtool.files import messages

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp"}
LEADING_DIGITS = re.compile(r"\d+")
TEST_SHARE = 5  # one image in so many
MEMORY_SHARE = 0.8  # of what is free, at most


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
    """Decode every image of the folder.

    Raises InvtoolError for no images, unreadable ones, or several sizes without `size`.
    """
    return _decoded(spec, listing(spec))


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
    return _decoded(spec, _list(spec, parts))


def _decoded(spec: DataSpec, found: Listing) -> ImageSet:
    image = decode(found.files, spec.options["size"], str(spec), spec.options.get("crop", 0))
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


def decode(files: Sequence[Path], size: int, name: str, crop: int = 0) -> NDArray[np.uint8]:
    """RGB pixels, (image, channel, height, width); with `size`, the resized central square.

    With `crop`, its middle of so many pixels.
    """
    first = decode_one(files[0], size, crop)
    _check_memory(first.nbytes * len(files), name)
    image = np.empty((len(files), *first.shape), np.uint8)
    with _decoders() as pool:
        decoded = pool.map(lambda path: decode_one(path, size, crop), files)
        steps = messages.progress(decoded, total=len(files), label="decoding", unit="images")
        for i, pixels in enumerate(steps):
            if pixels.shape != first.shape:
                raise InvtoolError(
                    f"{files[i]} is {_extent(pixels)}, {files[0].name} {_extent(first)}; "
                    "give one size, as folder:PATH,size=224"
                )
            image[i] = pixels
    return image


@contextmanager
def _decoders() -> Iterator[ThreadPoolExecutor]:
    """Threads that stop at the first failure, and at Ctrl-C, instead of decoding the rest."""
    pool = ThreadPoolExecutor()
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def decode_one(path: Path, size: int, crop: int = 0) -> NDArray[np.uint8]:
    """RGB pixels of one file, (channel, height, width); with `size`, the resized central square.

    With `crop`, the middle of so many pixels of what is then there. Raises InvtoolError for a file
    that is no whole image, or smaller than `crop`.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except Exception as error:  # of a damaged file, a decoder raises whatever it stumbles on
        raise InvtoolError(f"{path}: not a whole image ({error})") from None
    if size:  # the shorter side to `size`, then the middle
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
    if crop:
        if crop > min(picture.size):
            raise InvtoolError(
                f"{path} has {min(picture.size)} pixels a side, crop={crop} wants more"
            )
        left, top = (picture.width - crop) // 2, (picture.height - crop) // 2
        picture = picture.crop((left, top, left + crop, top + crop))
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))


def _extent(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[2]} x {pixels.shape[1]} px"


def _check_memory(need: int, name: str) -> None:
    free = _free_memory()
    if need > MEMORY_SHARE * free:
        raise InvtoolError(
            f"{name} needs {need / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free; lower size="
        )


def _free_memory() -> int:
    """Bytes to be had without swapping; on a system that does not tell, all there are."""
    with suppress(OSError):
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(facts["MemAvailable"].split()[0]) * 1024  # caches count as free
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


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
