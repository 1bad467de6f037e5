"""Folders of image files: PATH/train/CATEGORY/* with PATH/test/CATEGORY/*, or PATH/CATEGORY/*.

Without train and test, a seeded fifth of each category is for the test.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    for test in ("test", "val"):
        if (top / "train").is_dir() and (top / test).is_dir():
            return read_parts(spec, [(top / "train", TRAIN), (top / test, TEST)])
    return read_parts(spec, [(top, None)])


def read_parts(spec: DataSpec, parts: Sequence[tuple[Path, int | None]]) -> ImageSet:
    """Images of several folders of categories, each with its split (None: a seeded one)."""
    names = sorted({c.name for part, _ in parts for c in part.iterdir() if c.is_dir()})
    number = {name: i for i, name in enumerate(names)}
    files: list[Path] = []
    label: list[int] = []
    split: list[NDArray[np.uint8]] = []
    for part, fixed in parts:
        for name in names:
            found = image_files([part / name]) if (part / name).is_dir() else []
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
        path for top in folders for path in top.rglob("*") if path.suffix.lower() in SUFFIXES
    )


def _split(count: int, fixed: int | None, seed: tuple[int, int]) -> NDArray[np.uint8]:
    if fixed is not None:
        return np.full(count, fixed, np.uint8)
    split = np.full(count, TRAIN, np.uint8)
    split[np.random.default_rng(seed).permutation(count)[: -(-count // TEST_SHARE)]] = TEST
    return split


def decode(files: Sequence[Path], size: int, name: str) -> NDArray[np.uint8]:
    """RGB pixels, (image, channel, height, width); with `size`, the resized central square."""
    first = _decoded(files[0], size)
    _check_memory(first.nbytes * len(files), name)
    image = np.empty((len(files), *first.shape), np.uint8)
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda path: _decoded(path, size), files)
        steps = messages.progress(decoded, total=len(files), label="decoding", unit="images")
        for i, pixels in enumerate(steps):
            if pixels.shape != first.shape:
                raise InvtoolError(
                    f"{files[i]} is {_extent(pixels)}, {files[0].name} {_extent(first)}; "
                    "give one size, as folder:PATH,size=224"
                )
            image[i] = pixels
    return image


def _decoded(path: Path, size: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except (OSError, ValueError) as error:
        raise InvtoolError(f"{path}: not a whole image ({error})") from None
    if size:  # the shorter side to `size`, then the middle
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))


def _extent(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[2]} x {pixels.shape[1]} px"


def _check_memory(need: int, name: str) -> None:
    import os

    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if need > MEMORY_SHARE * free:
        raise InvtoolError(
            f"{name} needs {need / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free; lower size="
        )


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
