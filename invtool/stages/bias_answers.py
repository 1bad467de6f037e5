"""Three questions to every category: are its objects uniform in position, in placement and in size?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Bias
from invtool.data.boxes import Boxes
from invtool.measures import (
    corrected_log10_p,
    either_log10_p,
    grid_uniformity,
    placement,
    uniformity,
)

Floats = NDArray[np.float64]
Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The answer of every category to one question."""

    statistic: Floats  # (category, axis), or (category,) where there is one, or one of both
    log10_p: Floats  # (category,); NaN where undefined
    corrected: Floats  # its logarithm once corrected, (category,)


@dataclass(frozen=True)
class Result:
    boxes: Boxes
    test: str  # by which the questions were answered
    below: float
    correction: str
    count: NDArray[np.int64]  # (category,)
    center_mean: Floats  # (category, axis)
    center_sd: Floats
    height_mean: Floats  # (category,)
    height_sd: Floats
    answers: Mapping[str, Answer]  # position, placement, size

    def under(self, test: str, corrected: bool = False) -> NDArray[np.bool_]:
        """Which categories are under the limit, (category,)."""
        found = self.answers[test]
        return np.asarray((found.corrected if corrected else found.log10_p) < np.log10(self.below))

    def summary(self) -> list[Row]:
        """How many categories have a p, and how many one under the limit, by test and for both."""
        both = ("position", "size")
        rows = []
        for name, tests in {"position": both[:1], "size": both[1:], "both": both}.items():
            rows.append(self._counted(name, tests))
        return [*rows, self._counted("placement", ("placement",))]

    def _counted(self, name: str, tests: tuple[str, ...]) -> Row:
        tested = np.logical_and.reduce([~np.isnan(self.answers[t].log10_p) for t in tests])
        plain, corrected = (
            np.logical_and.reduce([self.under(test, after) for test in tests])
            for after in (False, True)
        )
        return {
            "test": name,
            "tested": int(tested.sum()),
            "under": int(plain.sum()),
            "under_corrected": int(corrected.sum()),
        }


def measure(boxes: Boxes, config: Bias) -> Result:
    """Put the three questions to every category."""
    height = boxes.extent[:, 1]
    center_mean, center_sd = _moments(boxes.center, boxes)
    height_mean, height_sd = _moments(height[:, None], boxes)
    values = {
        "position": boxes.center,
        "placement": placement(boxes.corner, boxes.extent),
        "size": height[:, None],
    }
    return Result(
        boxes,
        config.test,
        config.below,
        config.correction,
        np.bincount(boxes.category),
        center_mean,
        center_sd,
        height_mean[:, 0],
        height_sd[:, 0],
        {name: _answer(each, boxes, config) for name, each in values.items()},
    )


def _moments(values: Floats, boxes: Boxes) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each category, (category, axis); NaN for that of one box."""
    count = np.bincount(boxes.category)
    means, deviations = [], []
    for value in values.T:
        mean = np.bincount(boxes.category, value) / count
        squares = np.bincount(boxes.category, (value - mean[boxes.category]) ** 2)
        means.append(mean)
        deviations.append(np.sqrt(squares / np.where(count > 1, count - 1, np.nan)))
    return np.clip(np.stack(means, -1), 0, 1), np.stack(deviations, -1)


def _answer(values: Floats, boxes: Boxes, config: Bias) -> Answer:
    """Whether values (box, axis) are uniform."""
    categories = len(boxes.categories)
    if config.test == "chi-square":
        statistic, log10_p, _ = grid_uniformity(values, boxes.category, categories)
    else:
        found = [uniformity(value, boxes.category, categories) for value in values.T]
        log10_p = either_log10_p(np.stack([each.log10_p for each in found]))
        statistic = np.stack([each.statistic for each in found], axis=-1)
        statistic = statistic if len(found) > 1 else statistic[:, 0]
    return Answer(statistic, log10_p, corrected_log10_p(log10_p, config.correction))
