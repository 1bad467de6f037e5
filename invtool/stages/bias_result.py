"""What `invtool bias` has measured, as an HDF5 file of kind `bias` or as rows."""

from collections.abc import Iterator
from math import floor, isnan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invtool.files import hdf5, tables
from invtool.files.provenance import Steps
from invtool.stages.bias_answers import Floats, Result, Row

AXES = ("horizontal", "vertical")
STATISTICS = {"kolmogorov-smirnov": "statistic", "chi-square": "chi_square"}  # of each test
SHOWN = 8  # categories at each end of a table that has no room for all


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
        number = f"{categories:,} categories" if categories > 1 else "one category"
        title = f"p of uniformity ({result.test}) of {boxes:,} boxes in {number}"
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
    row |= {name: written(float(a.log10_p[c])) for name, a in result.answers.items()}
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
