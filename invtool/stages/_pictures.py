"""Images of any origin, read as they are needed: a data set, an images file, or image files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Transform
from invtool.data import folders
from invtool.data.decoding import decode_one
from invtool.data.sets import TEST, ImageSet
from invtool.data.sources import open_data
from invtool.errors import InvtoolError, UsageError
from invtool.files.provenance import Steps

AT_ONCE = 2**23  # values of images of one size


@dataclass(frozen=True)
class Pictures:
    """Images with their categories; `read(rows)` gives (image, channel, height, width) in 0..255.

    Images of different sizes are read one at a time: `at_once` is 1.
    """

    read: Callable[[NDArray[np.int64]], NDArray[Any]]
    at_once: int
    names: Sequence[str]  # relative paths without suffix
    label: NDArray[np.int64]
    split: NDArray[np.uint8]
    categories: list[str]
    steps: Steps = field(default_factory=list)

    def spread(self, limit: int | None) -> NDArray[np.int64]:
        """Numbers of all images, or of `limit` spread evenly over them."""
        count = len(self.label)
        if limit is None or limit >= count:
            return np.arange(count)
        return np.arange(limit) * count // limit

    def parts(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """The rows in runs that are read at once."""
        for start in range(0, len(rows), self.at_once):
            yield rows[start : start + self.at_once]


def find(config: Transform) -> Pictures:
    """The images that `config` names.

    Raises UsageError or InvtoolError with what was found and what was wanted.
    """
    if config.data:
        return _of_set(open_data(config.data), config.size)
    sources = [Path(source) for source in config.sources]
    if all(source.is_dir() or source.suffix.lower() in folders.SUFFIXES for source in sources):
        return _of_files(sources, config)
    if len(sources) > 1:
        other = next(s for s in sources if s.suffix.lower() not in folders.SUFFIXES)
        raise UsageError(f"{other} is no image file; several inputs must be images or folders")
    return _of_set(open_data(str(sources[0])), config.size)


def _of_set(images: ImageSet, size: int | None) -> Pictures:
    if not len(images.label):
        raise InvtoolError(f"{images.spec}: no images in it")
    if size and images.image.dtype != np.uint8:
        raise UsageError(
            f"--size is for pixels of 8 bits; {images.spec} holds {images.image.dtype}"
        )
    digits = len(str(len(images.label) - 1))
    names = [
        f"{images.categories[label]}/{row:0{digits}d}" for row, label in enumerate(images.label)
    ]
    return Pictures(
        read=lambda rows: folders.resized(np.asarray(images.image[rows]), size or 0),
        at_once=max(1, AT_ONCE // int(np.prod(images.image.shape[1:]))),
        names=names,
        label=images.label,
        split=images.split,
        categories=images.categories,
        steps=images.steps,
    )


def _of_files(sources: Sequence[Path], config: Transform) -> Pictures:
    found = [(path, name) for source in sources for path, name in _below(source)]
    if not found:
        raise InvtoolError(f"{sources[0]}: no image files in it")
    paths, names = [path for path, _ in found], [name for _, name in found]
    _check_names(paths, names)
    if config.form == "h5" and not config.size:
        _check_sizes(paths)
    groups = [path.absolute().parent.name for path in paths]
    categories = sorted(set(groups))
    return Pictures(
        read=lambda rows: np.stack([decode_one(paths[i], config.size or 0) for i in rows]),
        at_once=1,
        names=names,
        label=np.array([categories.index(group) for group in groups]),
        split=np.full(len(paths), TEST, np.uint8),
        categories=categories,
    )


def _below(source: Path) -> list[tuple[Path, str]]:
    """Image files with the names of their results: of a folder, their paths inside it."""
    if not source.is_dir():
        return [(source, source.stem)]
    files = folders.image_files([source])
    return [(path, str(path.relative_to(source).with_suffix(""))) for path in files]


def _check_names(paths: Sequence[Path], names: Sequence[str]) -> None:
    first: dict[str, Path] = {}
    for path, name in zip(paths, names, strict=True):
        if name in first:
            raise InvtoolError(f"{first[name]} and {path} would both be called {name}; rename one")
        first[name] = path


def _check_sizes(paths: Sequence[Path]) -> None:
    first = _extent(paths[0])
    for path in paths[1:]:
        if _extent(path) != first:
            raise InvtoolError(
                f"{paths[0]} is {first}, {path} {_extent(path)}; an images file holds one size: "
                "pass --size N, or write a folder"
            )


def _extent(path: Path) -> str:
    from PIL import Image

    try:
        with Image.open(path) as file:
            return f"{file.width} x {file.height} px"
    except (OSError, ValueError) as error:
        raise InvtoolError(f"{path}: not a whole image ({error})") from None
