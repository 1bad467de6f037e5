"""What `invtool bias` has measured, as an HDF5 file of kind `bias` or as rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import floor, isnan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Bias
from invtool.data.boxes import Boxes
from invtool.files import hdf5, tables
from invtool.files.provenance import Steps
from invtool.measures import (
    corrected_log10_p,
    either_log10_p,
    grid_uniformity,
    placement,
    uniformity,
)

AXES = ("horizontal", "vertical")
STATISTICS = {"kolmogorov-smirnov": "statistic", "chi-square": "chi_square"}  # of each test
SHOWN = 8  # categories at each end of a table that has no room for all

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


def write(out: hdf5.Writer, result: Result) -> None:
    """Fill a file of kind `bias`."""
    for name, value in _facts(result).items():
        out.attribute(name, value)
    boxes, one, two = result.boxes, ("category",), ("category", "axis")
    out.array("category", boxes.categories, one, long_name="category")
    out.array("axis", list(AXES), ("axis",), long_name="axis of the image")
    out.array("count", result.count, one, long_name="number of boxes")
    out.array("center_mean", result.center_mean, two, long_name="mean center")
    out.array("center_sd", result.center_sd, two, long_name="standard deviation of the center")
    out.array("height_mean", result.height_mean, one, long_name="mean height")
    out.array("height_sd", result.height_sd, one, long_name="standard deviation of the height")
    for name, answer in result.answers.items():
        dims, statistic = two[: answer.statistic.ndim], STATISTICS[result.test]
        long_name = f"{result.test} statistic of the {name}"
        out.array(f"{name}_{statistic}", answer.statistic, dims, long_name=long_name)
        for leaf, values, told in (
            ("p", 10**answer.log10_p, "p of uniform"),
            ("log10_p", answer.log10_p, "log10 p of uniform"),
            ("corrected_log10_p", answer.corrected, f"log10 p of uniform, {result.correction}:"),
        ):
            out.array(f"{name}_{leaf}", values, one, long_name=f"{told} {name}")
    out.array("center", boxes.center, ("box", "axis"), long_name="center, in units of the image")
    out.array("height", boxes.extent[:, 1], ("box",), long_name="height, in units of the image")
    out.array("box_category", boxes.category, ("box",), long_name="category number")


def _facts(result: Result) -> Row:
    boxes = result.boxes
    left_out = {"crowds": boxes.crowds, "skipped": boxes.skipped, "clipped": boxes.clipped}
    return {
        "test": result.test,
        "below": result.below,
        "correction": result.correction,
        "left_out": left_out,
    }


def tabulate(target: Path, result: Result, form: str, steps: Steps) -> None:
    """Write a row a category: all as csv or json, or a table of the most and the least biased."""
    boxes, categories = len(result.boxes.category), len(result.count)
    if form == "table":
        title = f"Uniformity ({result.test}) of {boxes:,} boxes in {categories:,} categories"
        tables.write(target, _lines(result), form, steps, title=title, footer=_footer(result))
    else:
        told = {**_facts(result), "boxes": boxes, "categories": categories}
        told["summary"] = result.summary()
        tables.write(target, list(_rows(result)), form, steps, title="bias", facts=told)


def _rows(result: Result) -> Iterator[Row]:
    for c, category in enumerate(result.boxes.categories):
        row: Row = {"category": category, "boxes": int(result.count[c])}
        for a, axis in enumerate("xy"):
            row[f"{axis}_mean"] = float(result.center_mean[c, a])
            row[f"{axis}_sd"] = float(result.center_sd[c, a])
        row["height_mean"] = float(result.height_mean[c])
        row["height_sd"] = float(result.height_sd[c])
        for name, answer in result.answers.items():
            statistic = f"{name}_{STATISTICS[result.test]}"
            if answer.statistic.ndim == 1:
                row[statistic] = float(answer.statistic[c])
            else:
                row[f"{statistic}_x"], row[f"{statistic}_y"] = answer.statistic[c].tolist()
            row[f"{name}_p"] = float(10 ** answer.log10_p[c])
            row[f"{name}_log10_p"] = float(answer.log10_p[c])
            row[f"{name}_corrected_p"] = float(10 ** answer.corrected[c])
            row[f"{name}_corrected_log10_p"] = float(answer.corrected[c])
        yield row


def order(position: Floats, size: Floats) -> NDArray[np.int64]:
    """Categories from the most to the least biased, by the larger log10 p of the two; those without p last."""
    return np.argsort(np.maximum(position, size), kind="stable")


def _lines(result: Result) -> list[Row]:
    ranked = order(result.answers["position"].log10_p, result.answers["size"].log10_p)
    lines = [_line(result, int(c)) for c in ranked]
    if len(lines) <= 2 * SHOWN:
        return lines
    between = dict.fromkeys(lines[0], "") | {"category": "..."}
    return [*lines[:SHOWN], between, *lines[-SHOWN:]]


def _line(result: Result, c: int) -> Row:
    moments = {
        "x": (result.center_mean[c, 0], result.center_sd[c, 0]),
        "y": (result.center_mean[c, 1], result.center_sd[c, 1]),
        "height": (result.height_mean[c], result.height_sd[c]),
    }
    row: Row = {"category": result.boxes.categories[c], "boxes": int(result.count[c])}
    row |= {name: f"{mean:.2f} ({sd:.2f})" for name, (mean, sd) in moments.items()}
    row |= {f"{name} p": written(float(t.log10_p[c])) for name, t in result.answers.items()}
    if result.correction != "none":
        for name, answer in result.answers.items():
            row[f"{result.correction} {name}"] = written(float(answer.corrected[c]))
    return row


def written(log10_p: float) -> str:
    """p in a few characters, however small.

    >>> [written(value) for value in (-0.3, -10.5, -1234.0001, float("nan"))]
    ['0.501', '3e-11', '1e-1234', '-']
    """
    if isnan(log10_p):
        return "-"
    if log10_p > -3:
        return f"{10**log10_p:.3f}"
    exponent = floor(log10_p)
    digit = round(10 ** (log10_p - exponent))
    return f"{digit}e{exponent}" if digit < 10 else f"1e{exponent + 1}"


def _footer(result: Result) -> str:
    lines = [f"Categories with p under {result.below:g}{_after(result)}:"]
    words = {
        "position": "position (center)",
        "size": "size (height)",
        "both": "both (the paper: more than 900 of 1000)",
        "placement": "placement (position, given the size)",
    }
    for row in result.summary():
        corrected = f", {row['under_corrected']}" if result.correction != "none" else ""
        lines.append(f"  {row['under']}{corrected} of {row['tested']}  {words[row['test']]}")
    few = sorted(result.count[np.isnan(result.answers["position"].log10_p)].tolist())
    if few:
        boxes = "1 box" if few[-1] == 1 else f"{few[-1]} boxes or fewer"
        lines.append(f"Without p for the position, as of {boxes}: {len(few)}.")
    return "\n".join(lines)


def _after(result: Result) -> str:
    return "" if result.correction == "none" else f", and after correction ({result.correction})"
