"""The workflows that lie in studies/: their files, their settings, and how many images they take."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from invtool.data import folders
from invtool.data.sets import TEST
from invtool.data.sources import open_data
from invtool.data.specs import DataSpec

FOLDER = Path(__file__).parent.parent / "studies"
# Categories, training and test images of data sets that need not be read to know.
SIZES = {
    "cifar10": (10, 50_000, 10_000),
    "cifar100": (100, 50_000, 10_000),
    "mnist": (10, 60_000, 10_000),
    "fashion-mnist": (10, 60_000, 10_000),
    "imagenet": (1000, 1_281_167, 50_000),
}


def workflow(study: str) -> Path:
    return FOLDER / f"{study}.smk"


def read(study: str) -> dict[str, Any]:
    """Its settings: `small`, `paper`, title, and the figures with their captions."""
    return tomllib.loads((FOLDER / f"{study}.toml").read_text())


def count(spec: DataSpec) -> dict[str, int]:
    """Categories, training and test images of a data set, read only where that is quick."""
    told = spec.options
    if spec.name in SIZES:
        categories, train, test = SIZES[spec.name]
    elif "train" in told:  # drawn
        categories = told.get("categories") or told["classes"]
        train, test = categories * told["train"], categories * told["test"]
    else:
        images = folders.listing(spec) if spec.name == "folder" else open_data(spec)
        test = int(np.count_nonzero(images.split == TEST))
        categories, train = len(images.categories), len(images.split) - test
    return {"categories": categories, "train": train, "test": test}
