"""Materialize a data set as an images file."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from invtool.config import Data
from invtool.data.sets import ImageSet
from invtool.data.sources import open_data
from invtool.data.specs import parse
from invtool.files import hdf5, messages, provenance
from invtool.files.provenance import Steps

PART = 256  # images that are written at once


def run(config: Data, target: Path) -> None:
    images = open_data(parse(config.data, seed=config.seed), download=config.download)
    steps = provenance.step(config=asdict(config), inputs=[images.steps])
    write(images, target, steps, config.limit)


def write(images: ImageSet, target: Path, steps: Steps, limit: int | None = None) -> None:
    """Write an image set; `limit` keeps that many of each split, spread evenly."""
    kept = [images.indices(split, limit) for split in np.unique(images.split)]
    rows = np.sort(np.concatenate(kept))
    with hdf5.create(target, "images", steps) as out:
        slab = out.reserve(
            "image",
            (len(rows), *images.image.shape[1:]),
            images.image.dtype,
            ("image", "channel", "height", "width"),
            long_name="pixels, 0 to 255",
        )
        starts = range(0, len(rows), PART)
        parts = images.batches(rows[start : start + PART] for start in starts)
        parts = messages.progress(parts, total=len(rows), label="writing", unit="images", size=PART)
        for start, pixels in zip(starts, parts, strict=True):
            slab.write((start, 0), pixels)
        out.array("label", images.label[rows], ("image",), long_name="category number")
        out.array("split", images.split[rows], ("image",), long_name="0 training, 1 test")
        out.attribute("categories", images.categories)
        out.attribute("data", images.spec)
