"""What was learned, as a file of kind `itn` and as tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from invtool.files import hdf5, tables
from invtool.files.provenance import Steps
from invtool.measures import color_parts, spatial_parts, wilson_interval
from invtool.measures.color_parts import PARTS as COLOR_PARTS
from invtool.measures.spatial_parts import PARTS as SPACE_PARTS
from invtool.stages import itn_words
from invtool.stages.itn_measure import CORNERS, Array, Reached, Stage, Start, unit_of
from invtool.transforms.controllers import COLOR, SPACE

LETTERS = {SPACE: "k1", COLOR: "k2"}
Row = dict[str, Any]


def write(
    out: hdf5.Writer,
    stage: Stage,
    starts: Sequence[Start],
    found: Sequence[Reached],
    told: dict[str, Any],
) -> None:
    """Fill a file of kind `itn`."""
    for name, value in told.items():
        out.attribute(name, value)
    subject = stage.subject
    out.array("seed", [start.seed for start in starts], ("seed",), long_name="seed of each start")
    out.array("label", subject.images.label[stage.rows], ("image",), long_name="category number")
    long_name = "number of the image in its data set"
    out.array("index", stage.rows, ("image",), long_name=long_name)
    _losses(out, starts)
    grid = starts[0].space.matrix.shape[0]
    out.array("k", np.linspace(0, 1, grid), ("k",), long_name="values of both numbers of k1 and k2")
    out.array("bound", ["lower", "upper"], ("bound",), long_name="ends of an interval")
    out.array("corner", [f"{a}/{b}" for a, b in CORNERS], ("corner",), long_name="corners of k")
    out.array("space_part", list(SPACE_PARTS), ("space_part",), long_name="what a matrix does")
    out.array("color_part", list(COLOR_PARTS), ("color_part",), long_name="what a matrix does")
    out.array("example", stage.examples, ("example",), long_name="place among the images")
    limit = told["share"] * told["own_accuracy"]
    for name in (SPACE, COLOR):
        _part(out, stage, name, starts, limit)
    long_name = "top-1 accuracy with k1 and k2 at the same corner"
    both = np.stack([start.both_accuracy for start in starts])
    out.array("both_accuracy", both, ("seed", "corner"), long_name=long_name)
    dims = ("example", "channel", "height", "width")
    out.array("example_image", stage.pictures(), dims, long_name="as it was")
    _paths(out, found)


def _losses(out: hdf5.Writer, starts: Sequence[Start]) -> None:
    for name, field, long_name in (
        ("classification_loss", "classification", "cross-entropy of the batch"),
        ("magnitude_loss", "magnitude", "c_theta L_k2(color) + L_k1(space)"),
        ("batch_accuracy", "accuracy", "share of the batch that is answered right"),
    ):
        values = [[getattr(step, field) for step in start.steps] for start in starts]
        out.array(name, values, ("seed", "step"), long_name=long_name)
    kept = np.array([[step.kept for step in start.steps] for start in starts], np.uint8)
    long_name = "1: accurate enough to take the magnitude loss, 0: the classification loss"
    out.array("kept", kept, ("seed", "step"), long_name=long_name)


def _part(out: hdf5.Writer, stage: Stage, name: str, starts: Sequence[Start], limit: float) -> None:
    parts = [start.part(name) for start in starts]
    dims = ("seed", "k", "k_second")
    other = LETTERS[COLOR if name == SPACE else SPACE]
    matrix = np.stack([part.matrix for part in parts])
    axes = (*dims, f"{name}_row", f"{name}_column")
    out.array(f"{name}_matrix", matrix, axes, long_name="A(k); places from -1 to 1, white is 1")
    if name == SPACE:
        values = spatial_parts(matrix, *stage.shape[1:])
        out.array("space_parts", values, (*dims, "space_part"), long_name="what the matrix does")
    else:
        values = color_parts(matrix)
        out.array(
            "color_parts",
            values,
            (*dims, "color_part", "channel"),
            long_name="what the matrix does",
        )
    for field, more, long_name in (
        ("size", (), "what the matrix amounts to"),
        ("accuracy", (), f"top-1 accuracy on held-out images, {other} at 0"),
        ("probability", (), "softmax of the true category, mean over images"),
        ("prediction", ("image",), "category answered"),
        ("softmax", ("example", "category"), "softmax of every category"),
    ):
        values = np.stack([getattr(part, field) for part in parts])
        if field == "softmax":
            values = values.astype(np.float32)
        units = unit_of(name) if field == "size" else "1"
        out.array(f"{name}_{field}", values, (*dims, *more), units=units, long_name=long_name)
    pictures = np.stack([part.pictures for part in parts])
    shown = ("seed", "corner", "example", "channel", "height", "width")
    long_name = f"examples at the corners of {LETTERS[name]}, clipped"
    out.array(f"{name}_picture", pictures, shown, long_name=long_name)
    kept = np.stack([_kept(part.accuracy, limit) for part in parts])
    long_name = f"largest value of each number of {LETTERS[name]}, the other 0, with accuracy kept"
    out.array(f"{name}_k_kept", kept, ("seed", "number"), long_name=long_name)


def _kept(accuracy: Array, limit: float) -> Array:
    """How far either number of k may go alone before the accuracy is under the limit; NaN: not at all."""
    grid = np.linspace(0, 1, len(accuracy))
    found = []
    for line in (accuracy[:, 0], accuracy[0]):
        under = np.flatnonzero(line < limit)
        last = (under[0] if len(under) else len(line)) - 1
        found.append(grid[last] if last >= 0 else np.nan)
    return np.array(found)


def _paths(out: hdf5.Writer, found: Sequence[Reached]) -> None:
    out.array("path", [f.path.name for f in found], ("path",), long_name="transformations")
    out.array("path_part", [f.path.part for f in found], ("path",), long_name="space or color")
    long_name = "seed of what was learned; -1: a single transformation"
    out.array("path_seed", [f.path.start for f in found], ("path",), long_name=long_name)
    long_name = "what they amount to: px of space, gray levels of color"
    two = ("path", "magnitude")
    out.array("path_magnitude", [f.magnitude for f in found], two, long_name=long_name)
    long_name = "top-1 accuracy; NaN where it was not asked for"
    out.array("path_accuracy", [f.accuracy for f in found], two, long_name=long_name)
    long_name = "largest magnitude with accuracy kept: px or gray levels"
    out.array("boundary", [f.boundary for f in found], ("path",), long_name=long_name)
    interval = np.stack([f.interval for f in found])
    long_name = "95 % bootstrap interval over images"
    out.array("boundary_interval", interval, ("path", "bound"), long_name=long_name)
    fell = np.array([f.fell for f in found], np.uint8)
    long_name = "1: accuracy falls within the magnitudes tried; 0: it is kept as far as they go"
    out.array("boundary_found", fell, ("path",), long_name=long_name)


def tabulate(
    target: Path,
    stage: Stage,
    starts: Sequence[Start],
    found: Sequence[Reached],
    told: dict[str, Any],
    form: str,
    steps: Steps,
) -> None:
    """Write a row a corner of what was learned, then a row a boundary."""
    if form == "table":
        target.write_text(shown(stage, starts, found, told), encoding="utf-8")
        return
    rows = [*_corners(stage, starts), *_boundaries(stage, found)]
    tables.write(target, rows, form, steps, title="itn", facts=told)


def shown(
    stage: Stage, starts: Sequence[Start], found: Sequence[Reached], told: dict[str, Any]
) -> str:
    """Both tables as text."""
    own, share = told["own_accuracy"], told["share"]
    learned = [
        {
            "seed": row["seed"],
            "k": row["name"].removeprefix("learned "),
            "size": f"{row['size']:.1f} {row['unit']}",
            "accuracy": row["accuracy"],
            "95 %": f"{row['low']:.2f}-{row['high']:.2f}",
            "what it does": row["what"],
        }
        for row in _corners(stage, starts)
    ]
    ends = [
        {
            "transformation": row["name"] + (f" (seed {row['seed']})" if row["seed"] >= 0 else ""),
            "bears": ("" if row["reached"] else ">= ") + f"{row['size']:.1f} {row['unit']}",
            "95 %": "-" if np.isnan(row["low"]) else f"{row['low']:.1f}-{row['high']:.1f}",
            "that is": row["what"],
        }
        for row in sorted(_boundaries(stage, found), key=_farthest)
    ]
    count = len(stage.rows)
    first = tables.text(
        learned,
        title=f"What {told['model']} was taught to bear, {count:,} held-out images of {told['data']}",
    )
    second = tables.text(
        ends,
        title=f"How far it can be pushed with {share:.0%} of its own accuracy of {own:.3f} kept, farthest first",
    )
    notes = (
        "Sizes: mean way of a pixel (px), mean change of a value (gray levels). Learned ones on the straight"
        " line from none\nthrough a corner of k, and beyond. 95 %: Wilson over images; of how far, bootstrap."
    )
    return f"{first}\n{second}{notes}\n"


def _farthest(row: Row) -> tuple[bool, float]:
    return row["part"] == COLOR, -row["size"]


def _corners(stage: Stage, starts: Sequence[Start]) -> Iterator[Row]:
    for start in starts:
        for name in (SPACE, COLOR):
            part = start.part(name)
            for number, (first, second) in enumerate(CORNERS):
                at = part.corner(number)
                right = np.array([part.accuracy[at] * len(stage.rows)])
                low, high = wilson_interval(right, np.array([len(stage.rows)]))[0]
                yield {
                    "row": "corner",
                    "name": f"learned {LETTERS[name]}={first},{second}",
                    "part": name,
                    "seed": start.seed,
                    "size": float(part.size[at]),
                    "unit": unit_of(name),
                    "accuracy": float(part.accuracy[at]),
                    "low": float(low),
                    "high": float(high),
                    "reached": True,
                    "what": _said(stage, name, part.matrix[at]),
                }


def _boundaries(stage: Stage, found: Sequence[Reached]) -> Iterator[Row]:
    for one in found:
        low, high = one.interval
        yield {
            "row": "boundary",
            "name": one.path.name,
            "part": one.path.part,
            "seed": one.path.start,
            "size": one.boundary,
            "unit": unit_of(one.path.part),
            "accuracy": float(np.interp(one.boundary, one.magnitude, one.accuracy)),
            "low": float(low),
            "high": float(high),
            "reached": one.fell,
            "what": _said(stage, one.path.part, one.matrix),
        }


def _said(stage: Stage, part: str, matrix: Array) -> str:
    if part == SPACE:
        return itn_words.spatial(matrix, *stage.shape[1:])
    return itn_words.color(matrix, stage.colors())
