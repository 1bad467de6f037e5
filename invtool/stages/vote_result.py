"""What the votes over random crops are worth, as arrays of a file and as rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.measures import wilson_interval

Array = NDArray[Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Votes:
    """What the majority says, for each number of crops."""

    crops: Sequence[int]
    prediction: NDArray[np.int64]  # (crops, image), of the images as they are
    moved: NDArray[np.int64]  # (crops, image), of the images moved by a pixel, other crops of them

    @cached_property
    def changed(self) -> Array:
        """Images whose vote changes as they move by a pixel, (crops,)."""
        return np.asarray((self.prediction != self.moved).sum(axis=1))

    def right(self, label: Array) -> Array:
        """Images whose vote is their category, (crops,)."""
        return np.asarray((self.prediction == label).sum(axis=1))

    def arrays(self, label: Array) -> dict[str, Array]:
        """Every array of the file that differs among networks, by name."""
        images = np.full(len(self.crops), len(label))
        right = self.right(label)
        return {
            "tta_prediction": self.prediction,
            "tta_accuracy": right / images,
            "tta_interval": wilson_interval(right, images),
            "tta_changes": self.changed / images,
            "tta_changes_interval": wilson_interval(self.changed, images),
        }


DIMS = {
    "tta_prediction": (("crops", "image"), "category that most random crops are given"),
    "tta_accuracy": (("crops",), "top-1 accuracy of that majority"),
    "tta_interval": (("crops", "bound"), "95 % interval of it over images"),
    "tta_changes": (("crops",), "share of images whose vote changes by a move of one pixel"),
    "tta_changes_interval": (("crops", "bound"), "95 % interval of it over images"),
}
TITLE = "Majority vote over random crops, each a forward pass; changes: by a pixel and new crops"


def rows(votes: Votes, label: Array) -> Iterator[Row]:
    """A row a number of crops: accuracy and changes, and their intervals."""
    held = votes.arrays(label)
    for at, crops in enumerate(votes.crops):
        accuracy, changes = held["tta_interval"][at], held["tta_changes_interval"][at]
        yield {
            "crops": crops,
            "right": int(votes.right(label)[at]),
            "accuracy": float(held["tta_accuracy"][at]),
            "wilson_low": float(accuracy[0]),
            "wilson_high": float(accuracy[1]),
            "changes": float(held["tta_changes"][at]),
            "changes_low": float(changes[0]),
            "changes_high": float(changes[1]),
        }


def short(votes: Votes, label: Array) -> Iterator[Row]:
    """The same for a table."""
    for row in rows(votes, label):
        yield {
            "crops": row["crops"],
            "accuracy": row["accuracy"],
            "95 % accuracy": f"{row['wilson_low']:.3f}-{row['wilson_high']:.3f}",
            "changes": row["changes"],
            "95 % changes": f"{row['changes_low']:.3f}-{row['changes_high']:.3f}",
        }
