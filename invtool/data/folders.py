"""Folders of image files: PATH/train/CATEGORY/* with PATH/test/CATEGORY/*, or PATH/CATEGORY/*.

Without a folder of test images, a seeded fifth of each category is for the test. Hidden files and
folders (of notebooks, of macOS) are left out.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invtool.data.sets import TEST, TRAIN, ImageSet
from invtool.data.specs import DataSpec
from invtool.errors import InvtoolError
from invtool.files import messages

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp"}
TEST_SHARE = 5  # one image in so many
MEMORY_SHARE = 0.8  # of what is free, at most


def read(spec: DataSpec) -> ImageSet:
    """Decode every image of the folder.

    Raises InvtoolError for no images, unreadable ones, or several sizes without `size`.
    """
    top = Path(spec.path)
    if not _folders(top / "train"):  # a category may be called train
        return read_parts(spec, [(top, None)])
    for test in ("test", "val"):
        if (top / test).is_dir():
            return read_parts(spec, [(top / "train", TRAIN), (top / test, TEST)])
    return read_parts(spec, [(top / "train", None)])


def _folders(top: Path) -> list[Path]:
    if not top.is_dir():
        return []
    return [path for path in top.iterdir() if path.is_dir() and not path.name.startswith(".")]


def read_parts(spec: DataSpec, parts: Sequence[tuple[Path, int | None]]) -> ImageSet:
    """Images of several folders of categories, each with its split (None: a seeded one)."""
    names = sorted({folder.name for part, _ in parts for folder in _folders(part)})
    number = {name: i for i, name in enumerate(names)}
    files: list[Path] = []
    label: list[int] = []
    split: list[NDArray[np.uint8]] = []
    for part, fixed in parts:
        for name in names:
            found = image_files([part / name])
            files += found
            label += [number[name]] * len(found)
            split.append(_split(len(found), fixed, (spec.options["seed"], number[name])))
    if not files:
        raise InvtoolError(f"{spec}: no images in it; a folder a category is wanted")
    image = decode(files, spec.options["size"], str(spec))
    return ImageSet(image, np.array(label), np.concatenate(split), names, str(spec))


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


def decode(files: Sequence[Path], size: int, name: str) -> NDArray[np.uint8]:
    """RGB pixels, (image, channel, height, width); with `size`, the resized central square."""
    first = decode_one(files[0], size)
    _check_memory(first.nbytes * len(files), name)
    image = np.empty((len(files), *first.shape), np.uint8)
    with _decoders() as pool:
        decoded = pool.map(lambda path: decode_one(path, size), files)
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


def decode_one(path: Path, size: int) -> NDArray[np.uint8]:
    """RGB pixels of one file, (channel, height, width); with `size`, the resized central square.

    Raises InvtoolError for a file that is no whole image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except Exception as error:  # of a damaged file, a decoder raises whatever it stumbles on
        raise InvtoolError(f"{path}: not a whole image ({error})") from None
    if size:  # the shorter side to `size`, then the middle
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
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
