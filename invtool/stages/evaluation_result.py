"""What `invtool evaluate` has measured, as an HDF5 file of kind `evaluation` or as rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.files import hdf5, tables
from invtool.files.provenance import Steps
from invtool.measures import (
    GROUPS,
    accuracy_interval,
    group_accuracy,
    group_indicator,
    wilson_interval,
)
from invtool.measures.confusion import SIDES, confusion
from invtool.stages import vote_result
from invtool.stages.vote_result import Votes

Array = NDArray[Any]
Row = dict[str, Any]
UNCROPPED = dict.fromkeys(("crops", "changes", "changes_low", "changes_high"), float("nan"))
SMOOTHING = ("pool", "antialias")  # facts that few networks have
UNKNOWN = -1  # a number that a network does not tell


@dataclass(frozen=True)
class Evaluation:
    """One network under every condition."""

    name: str
    conditions: list[str]  # the first is none
    prediction: Array  # (condition, image)
    label: Array  # (image,)
    seen: Array | None  # (image,), not 0 where the category was seen transformed
    seen_categories: Sequence[int] | None
    facts: dict[str, Any]
    votes: Votes | None = None  # where crops were to vote

    @cached_property
    def right(self) -> Array:
        """Images answered right, (condition, group)."""
        return np.round(np.nan_to_num(self.accuracy) * self.images).astype(np.int64)

    @cached_property
    def images(self) -> Array:
        """(group,)"""
        members = group_indicator(self.seen, len(self.label), np.zeros(1), np)
        return np.asarray(members.sum(axis=1)).astype(np.int64)

    @property
    def mixed(self) -> bool:
        """Whether there are images of seen categories and of unseen ones."""
        return bool(self.images[1:].all())

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Every array of the file that differs among networks, by name."""
        found = {
            "accuracy": self.accuracy,
            "wilson": wilson_interval(self.right, np.broadcast_to(self.images, self.right.shape)),
            "bootstrap": accuracy_interval(self.prediction, self.label, self.seen),
            "confusion": self.confusion,
            "prediction": self.prediction,
        }
        told = {} if self.seen is None else {"seen": self.seen}
        cropped = {} if self.votes is None else self.votes.arrays(self.label)
        return {**found, **told, **cropped}

    @cached_property
    def accuracy(self) -> Array:
        """(condition, group)"""
        return np.asarray(group_accuracy(self.prediction, self.label, self.seen))

    @cached_property
    def confusion(self) -> Array:
        """(condition, true group, predicted group, correct); NaN where nothing tells who was seen."""
        if self.seen_categories is None:
            return np.full((len(self.conditions), 2, 2, 2), np.nan)
        total = max(self.facts["categories_total"], int(self.prediction.max()) + 1)
        seen = np.array(self.seen_categories, np.int64)
        return np.asarray(confusion(self.prediction, self.label, seen, total))


DIMS = {
    "accuracy": (("condition", "group"), "top-1 accuracy"),
    "wilson": (("condition", "group", "bound"), "95 % interval of the accuracy over images"),
    "bootstrap": (("condition", "group", "bound"), "95 % interval of the accuracy over categories"),
    "confusion": (
        ("condition", "true_group", "predicted_group", "correct"),
        "share of the images of the true group",
    ),
    "prediction": (("condition", "image"), "category answered"),
    "seen": (("image",), "1: category seen transformed in training"),
    **vote_result.DIMS,
}


def write(out: hdf5.Writer, results: Sequence[Evaluation], index: Array) -> None:
    """Fill a file of kind `evaluation`; several networks share a first axis, `network`."""
    first = results[0]
    out.array("condition", first.conditions, ("condition",), long_name="transform")
    out.array("group", list(GROUPS), ("group",), long_name="images of which categories")
    out.array("bound", ["lower", "upper"], ("bound",), long_name="ends of an interval")
    out.array("label", first.label, ("image",), long_name="category number")
    out.array("index", index, ("image",), long_name="number of the image in its data set")
    if first.votes is not None:
        crops = list(first.votes.crops)
        out.array("crops", crops, ("crops",), long_name="random crops, and forward passes")
    lead: tuple[str, ...] = ()
    if len(results) == 1:
        for name, value in first.facts.items():
            out.attribute(name, value)
    else:
        lead = ("network",)
        _write_networks(out, results)
    for name, (dims, long_name) in DIMS.items():
        held = [result.arrays[name] for result in results if name in result.arrays]
        if len(held) == len(results):
            values = np.stack(held) if lead else held[0]
            out.array(name, values, (*lead, *dims), long_name=long_name)


def _write_networks(out: hdf5.Writer, results: Sequence[Evaluation]) -> None:
    shared = results[0].facts
    for name in ("categories_total", "categories", "data", "image_height"):
        out.attribute(name, shared[name])
    out.array("network", [r.name for r in results], ("network",), long_name="networks")
    for name, key, other in (
        ("network_seen_categories", "seen_categories", UNKNOWN),
        ("network_trained_with", "trained_with", ""),
        ("network_seed", "model_seed", UNKNOWN),
        ("network_pool", "pool", ""),
        ("network_antialias", "antialias", ""),
    ):
        if key not in SMOOTHING or any(key in result.facts for result in results):
            told = [result.facts.get(key, other) for result in results]
            out.array(name, told, ("network",), long_name=key)


def tabulate(
    target: Path, results: Sequence[Evaluation], group: str, form: str, steps: Steps
) -> None:
    """Write csv or json with a row a network, condition and group, or a table."""
    if form == "table":
        rows = list(_conditions(results[0]) if len(results) == 1 else _matrix(results, group))
        shown = f"{len(results[0].label):,} images, {results[0].facts['data']}"
        who = f"{group} categories" if len(results) > 1 else _about(results[0])
        title = f"Top-1 accuracy, {who}, {shown}"
        lines = [*(_quadrants(results[0]) if len(results) == 1 else ()), *_votes(results)]
        footer = "\n".join(lines)
        tables.write(target, rows, form, steps, title=title, footer=footer)
    else:
        rows = [row for result in results for row in _rows(result)]
        quadrants = [row for result in results for row in _quadrant_rows(result)]
        facts = {
            name: results[0].facts[name] for name in ("data", "categories_total", "image_height")
        }
        told = {**facts, "confusion": quadrants}
        tables.write(target, rows, form, steps, title="evaluation", facts=told)


def _told(result: Evaluation) -> Row:
    facts = result.facts
    return {
        "network": result.name,
        "trained_with": facts.get("trained_with", ""),
        "seen_categories": facts.get("seen_categories", float("nan")),
        "seed": facts.get("model_seed", float("nan")),
        **{option: facts.get(option, "") for option in SMOOTHING},
    }


def _about(result: Evaluation) -> str:
    facts = result.facts
    told = [result.name, *(f"{option} {facts[option]}" for option in SMOOTHING if option in facts)]
    if "seen_categories" in facts:
        told.append(f"{facts['seen_categories']} of {facts['categories_total']} categories seen")
    return ", ".join(told)


def _rows(result: Evaluation) -> Iterator[Row]:
    arrays = result.arrays
    for c, condition in enumerate(result.conditions):
        for g, group in enumerate(GROUPS):
            yield {
                **_told(result),
                "condition": condition,
                "group": group,
                "images": int(result.images[g]),
                "right": int(result.right[c, g]),
                "accuracy": float(result.accuracy[c, g]),
                **_bounds("wilson", arrays["wilson"][c, g]),
                **_bounds("bootstrap", arrays["bootstrap"][c, g]),
                **({} if result.votes is None else UNCROPPED),
            }
    if result.votes is not None:
        where = {"condition": result.conditions[0], "group": GROUPS[0]}
        images = {"images": len(result.label), **_bounds("bootstrap", np.full(2, np.nan))}
        for row in vote_result.rows(result.votes, result.label):
            yield {**_told(result), **where, **images, **row}


def _votes(results: Sequence[Evaluation]) -> Iterator[str]:
    """A table of them, where there are any."""
    rows = [
        {**({"network": result.name} if len(results) > 1 else {}), **row}
        for result in results
        if result.votes is not None
        for row in vote_result.short(result.votes, result.label)
    ]
    if rows:
        yield "\n" + tables.text(rows, title=vote_result.TITLE).rstrip("\n")


def _bounds(name: str, bounds: Array) -> Row:
    return {f"{name}_low": float(bounds[0]), f"{name}_high": float(bounds[1])}


def _quadrant_rows(result: Evaluation) -> Iterator[Row]:
    for c, condition in enumerate(result.conditions):
        for t, p in np.ndindex(2, 2):
            wrong, right = result.confusion[c, t, p]
            if not np.isnan(wrong):
                yield {
                    "network": result.name,
                    "condition": condition,
                    "true_group": SIDES[t],
                    "predicted_group": SIDES[p],
                    "wrong": float(wrong),
                    "right": float(right),
                }


def _conditions(result: Evaluation) -> Iterator[Row]:
    """A row a condition: accuracy of all and, where they differ, of each group, with its interval."""
    for c, condition in enumerate(result.conditions):
        row: Row = {"condition": condition}
        for g, group in enumerate(GROUPS):
            if group == "all" or result.mixed:
                low, high = result.arrays["wilson"][c, g]
                row |= {
                    group: float(result.accuracy[c, g]),
                    f"95 % {group}": f"{low:.3f}-{high:.3f}",
                }
        yield row


def _quadrants(result: Evaluation) -> Iterator[str]:
    """A sentence a condition and true group: what its images are taken for."""
    if not result.mixed:
        return
    for c, condition in enumerate(result.conditions):
        for t, true in enumerate(SIDES):
            shares = 100 * result.confusion[c, t]  # (predicted_group, correct)
            other = 1 - t
            yield (
                f"{condition}: {true} images are {shares[t, 1]:.1f} % right, {shares[t, 0]:.1f} %"
                f" taken for another {true} category, {shares[other, 0]:.1f} % for an {SIDES[other]} one"
            ).replace("an seen", "a seen")


def _matrix(results: Sequence[Evaluation], group: str) -> Iterator[Row]:
    """A row a network, a column a condition."""
    g = GROUPS.index(group)
    for result in results:
        told = _told(result)
        yield {
            "network": told["network"],
            "trained with": told["trained_with"] or "none",
            "seen": told["seen_categories"],
            "seed": told["seed"],
            **{c: float(result.accuracy[n, g]) for n, c in enumerate(result.conditions)},
        }
