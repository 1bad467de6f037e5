"""Bounding boxes of objects, from files of any of three formats, in units of their images.

What a file is, its content tells: PASCAL VOC XML (`boxes_voc`), COCO JSON (`boxes_coco`) or CSV
(`boxes_csv`), each plain or through gzip. A folder stands for all such files below it, by suffix.
"""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invtool.data import boxes_coco, boxes_csv, boxes_voc
from invtool.data.raw_boxes import SHIFTS, RawBoxes
from invtool.errors import InvtoolError
from invtool.files import messages, streams

SUFFIXES = (".xml", ".json", ".csv")  # in folders; .gz may follow
REFUSE, SKIP, CLIP = "refuse", "skip", "clip"
ROUNDING = 0.02  # px outside the image that are no fault: COCO rounds edge and extent to 0.01 px

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]  # left, upper, right and lower edge


@dataclass(frozen=True)
class Boxes:
    """Boxes in units of their images: each edge is in 0..1."""

    corner: Floats  # left and upper edge, (box, axis)
    extent: Floats  # width and height, (box, axis)
    category: NDArray[np.int64]  # (box,)
    categories: list[str]  # by name
    crowds: int = 0  # boxes around several objects, left out
    skipped: int = 0  # faulty boxes, left out
    clipped: int = 0  # faulty boxes, cut at the border of their image

    @property
    def center(self) -> Floats:
        """(box, axis), horizontal first."""
        return self.corner + self.extent / 2


def read(sources: Sequence[Path], *, corners: str = "auto", faulty: str = REFUSE) -> Boxes:
    """The boxes of files and folders.

    `corners` is what x0, y0, x1, y1 mean (auto: from-1 in XML, edges in CSV): `edges` are positions,
    so that x1 - x0 is the width; `from-0` and `from-1` are numbers of the first and the last pixel of
    the box, counted from 0 or 1. COCO says what its own mean. `faulty` is what becomes of a box
    outside its image or of no size: refuse, skip or clip, which skips what is of no size then.

    Raises InvtoolError with file and box, what was found and what was wanted.
    """
    files = [file for source in sources for file in files_of(source)]
    watched = messages.progress(files, total=len(files), label="reading boxes", unit="files")
    found = [_parse(file) for file in watched]
    names = np.array([name for raw in found for name in raw.names], object)
    edges = np.concatenate([_edges(raw, corners) for raw in found])
    size = np.concatenate([raw.size for raw in found])
    outside, empty = _faults(edges, size)
    if faulty == REFUSE and (outside | empty).any():
        raise InvtoolError(_sentence(found, int(np.argmax(outside | empty)), outside, empty, size))
    sides = np.tile(np.maximum(size, 0), 2)
    edges = np.clip(edges, 0, sides) / np.where(sides > 0, sides, 1)
    whole = (edges[:, 2:] > edges[:, :2]).all(axis=1)
    kept = whole & ((faulty == CLIP) | ~(outside | empty))
    crowds = sum(raw.crowds for raw in found)
    if not kept.any():
        left = f" (left out: {crowds + len(names):,})" if crowds + len(names) else ""
        raise InvtoolError(f"{', '.join(map(streams.label, sources))}: no boxes{left}")
    categories, numbers = np.unique(names[kept].astype(str), return_inverse=True)
    edges = edges[kept]
    return Boxes(
        edges[:, :2],
        edges[:, 2:] - edges[:, :2],
        numbers.astype(np.int64),
        categories.tolist(),
        crowds,
        int((~kept).sum()),
        int((outside & kept).sum()),
    )


def by_image(source: Path) -> dict[str, Box]:
    """The box around all objects of each image, in px, by the image's file name without its suffix.

    Raises InvtoolError where no box says which image it belongs to.
    """
    found: dict[str, Box] = {}
    for file in files_of(source):
        raw = _parse(file)
        for image, box in zip(raw.images, _edges(raw, "auto").tolist(), strict=False):
            stem = Path(image).stem
            x0, y0, x1, y1 = found.get(stem, box)
            found[stem] = min(x0, box[0]), min(y0, box[1]), max(x1, box[2]), max(y1, box[3])
    if not found:
        raise InvtoolError(f"{source}: no box names its image; VOC XML or COCO JSON is wanted")
    return found


def files_of(source: Path) -> list[Path]:
    """A file itself, or the files of boxes below a folder, by name; InvtoolError where none is."""
    if not source.is_dir():
        return [source]
    found = sorted(
        path
        for path in source.rglob("*")
        if path.name.lower().removesuffix(".gz").endswith(SUFFIXES)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    if not found:
        raise InvtoolError(f"{source}: no {', '.join(SUFFIXES)} file in it, plain or .gz")
    return found


def _parse(path: Path) -> RawBoxes:
    file, data = streams.label(path), path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise InvtoolError(f"{file}: no whole gzip ({error})") from None
    start = data[:1000].lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1]
    if not start:
        raise InvtoolError(f"{file}: empty; boxes in VOC XML, COCO JSON or CSV are wanted")
    if start == b"<":
        return boxes_voc.parse(file, data)
    return boxes_coco.parse(file, data) if start in b"{[" else boxes_csv.parse(file, data)


def _edges(raw: RawBoxes, corners: str) -> Floats:
    """Positions of the edges, in px, (box, 4)."""
    first, last = SHIFTS[raw.means if raw.fixed or corners == "auto" else corners]
    shift: Floats = np.array([first, first, last, last], np.float64)
    return raw.corners + shift


def _faults(edges: Floats, size: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which boxes reach outside their images, and which have no size."""
    low, high = edges[:, :2], edges[:, 2:]
    outside = (low < -ROUNDING) | (high > size + ROUNDING)
    empty = (high <= low) | (size <= 0)
    return np.any(outside, axis=1), np.any(empty, axis=1)


def _sentence(
    found: Sequence[RawBoxes],
    at: int,
    outside: NDArray[np.bool_],
    empty: NDArray[np.bool_],
    size: Floats,
) -> str:
    """What is wrong with box number `at`, and with how many others."""
    inside = at
    for raw in found:
        if inside < len(raw.names):
            break
        inside -= len(raw.names)
    w, h = size[at].tolist()
    box = " ".join(f"{value:g}" for value in raw.corners[inside])
    what = f"{raw.file}: {raw.where[inside]}: box {box} of {raw.names[inside]!r}"
    more = int((outside | empty).sum()) - 1
    others = f", and {more:,} more are faulty" if more else ""
    fault = f"reaches outside its image, {w:g} x {h:g} px" if outside[at] else "has no size"
    if min(w, h) <= 0:
        fault = f"is in an image of no size, {w:g} x {h:g} px"
    return f"{what} {fault}{others}; see --corners for what the numbers mean, or --faulty skip"
