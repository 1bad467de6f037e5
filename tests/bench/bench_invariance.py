"""I_k from an activations file that lies in the page cache: bytes a second beside a memory copy.

A memory copy of the same bytes is the fastest that reading them all once can be. The plain numpy
way is equation 1 as it is printed, on whole arrays in memory; it does less (no groups, no counts
by image, no top 1 % score). The stage runs in this process; the command is a whole process, with
Python's own start.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import Spread, Table, Work, in_turns, main
from numpy.typing import NDArray

from invtool.config import Invariance
from invtool.files import hdf5
from invtool.stages import invariance

IMAGES, TRANSFORMS = 10_000, ("blur",)
LAYERS = {"conv5": (128, 8, 8), "fc6": (4096,)}  # 1 GB with one transform, in float32
TAU = Invariance.tau
TARGET = 0.25  # of a memory copy
Floats = NDArray[np.float32]


def measured(quick: bool) -> list[Table]:
    images, turns = (200, 1) if quick else (IMAGES, 5)
    with tempfile.TemporaryDirectory() as folder:
        return [compared(Path(folder), images, dtype, turns) for dtype in ("float32", "float16")]


def compared(folder: Path, images: int, dtype: str, turns: int) -> Table:
    source, target = folder / f"{dtype}.h5", folder / "result.h5"
    layers = write_activations(source, images, dtype)
    size = sum(layer.nbytes for layer in layers)
    works: dict[str, Work] = {
        "memory copy": copying(layers),
        "stage": lambda: invariance.run(Invariance(), source, target, "h5"),
        "stage, 1 thread": lambda: invariance.run(Invariance(threads=1), source, target, "h5"),
        "plain numpy": lambda: [plain(layer[0], layer[1]) for layer in layers],
        "command": command(source, target),
    }
    taken = in_turns(works, turns)
    table = Table(
        f"invariance of {images:,} images, {size / 1e6:,.0f} MB of {dtype} in the page cache"
    )
    for name, seconds in taken.items():
        share = taken["memory copy"] / seconds
        table.rows.append(row(name, seconds, size, share))
    return table


def row(name: str, seconds: Spread, size: int, share: Spread) -> dict[str, object]:
    judged = name == "stage"
    return {
        "way": name,
        "seconds": seconds,
        "GB/s": seconds.map(lambda each: size / each / 1e9),
        "of a copy": share,
        "target": TARGET if judged else "",
        "met": ("yes" if share.median >= TARGET else "no") if judged else "",
    }


def write_activations(path: Path, images: int, dtype: str) -> list[Floats]:
    """A file of responses after a ReLU, about one in six above 0; its arrays are returned too."""
    rng = np.random.default_rng(0)
    conditions = ["none", *TRANSFORMS]
    label = np.arange(images) % 100
    arrays = []
    with hdf5.create(path, "activations", []) as out:
        out.array("condition", conditions, ("condition",))
        out.array("label", label, ("image",))
        out.array("seen", (label < 50).astype(np.uint8), ("image",))
        for name, shape in LAYERS.items():
            values = np.empty((len(conditions), images, *shape), dtype)
            for image in range(images):
                clean = rng.standard_normal(shape, np.float32) - 1
                for place in range(len(conditions)):
                    noise = 0.7 * rng.standard_normal(shape, np.float32) if place else 0
                    values[place, image] = np.maximum(clean + noise, 0)
            units = ("unit",) if len(shape) == 1 else ("channel", "height", "width")
            out.array(f"layers/{name}/activation", values, ("condition", "image", *units))
            arrays.append(values)
    return arrays


def copying(layers: list[Floats]) -> Callable[[], None]:
    """Into memory that is there already."""
    copies = [np.zeros_like(layer) for layer in layers]

    def copy() -> None:
        for copied, layer in zip(copies, layers, strict=True):
            np.copyto(copied, layer)

    return copy


def plain(clean: Floats, transformed: Floats) -> Floats:
    """Equation 1 of the paper, word for word, for all images."""
    highest = np.maximum(clean.max(axis=0), transformed.max(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        f, moved = clean / highest, transformed / highest
        h = 1 - np.abs((moved - f) / (moved + f))
        active = (f > TAU) | (moved > TAU)
        return np.where(active, h, 0).sum(axis=0) / active.sum(axis=0)


def command(source: Path, target: Path) -> Callable[[], None]:
    line = [sys.executable, "-m", "invtool", "invariance", str(source), "-o", str(target)]

    def run() -> None:
        subprocess.run([*line, "--overwrite"], check=True)

    return run


if __name__ == "__main__":
    main(measured, text=__doc__)
