"""What `invtool jagged` has measured, as an HDF5 file of kind `jaggedness` or as rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool import ranks
from invtool.config import Jagged
from invtool.data.photographs import UNKNOWN, Photographs
from invtool.files import hdf5, tables
from invtool.files.provenance import Steps
from invtool.measures import (
    absolute_change,
    changes,
    image_interval,
    jaggedness,
    shift_consistency,
    steps,
)
from invtool.stages._moves import Moves

Array = NDArray[Any]
Row = dict[str, Any]
NOT_SHOWN = -1  # the answer at a position that an image does not have
MEASURES = {
    "jagged_images": "share of images with an entry to or exit from the top k",
    "jaggedness": "entries to and exits from the top k, mean of the images",
    "jagged_steps": "chance of one in a step",
    "top1_changes": "chance that a step changes the class answered",
    "top1_changes_where_right": "the same, of images that are answered right in the middle",
    "absolute_change": "mean absolute change of the followed class's probability in a step",
    "consistency": "chance that two random positions get the same class",
    "accuracy": "share of all frames that are answered right",
}


@dataclass
class Answers:
    """What one network answers at every position of every image."""

    shape: tuple[int, int]  # images, positions
    label: Array  # (image,)
    top: int  # k
    target: str

    def __post_init__(self) -> None:
        self.probability = np.full(self.shape, np.nan, np.float32)  # of the class followed
        self.top1 = np.full(self.shape, NOT_SHOWN, np.int32)
        self.in_topk = np.zeros(self.shape, np.uint8)
        self.followed = np.full(self.shape[0], UNKNOWN, np.int32)
        self.change = np.full(self.shape[0], np.nan)

    def gather(self, share: slice) -> None:
        """Bring the images of all ranks to rank 0; this one's are `share`."""
        for name in ("probability", "top1", "in_topk", "followed", "change"):
            setattr(self, name, ranks.gathered(getattr(self, name)[share]))

    def put(self, image: int, shown: Array, logits: Array) -> None:
        """Keep what matters of an image's logits (position shown, category)."""
        top1 = logits.argmax(axis=1)  # of equal ones, the first
        known = self.label[image] != UNKNOWN and self.target != "first"
        followed = self.label[image] if known else top1[0]
        share = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
        share /= share.sum(axis=1, keepdims=True)
        self.top1[image, shown] = top1
        self.followed[image] = followed
        self.in_topk[image, shown] = _rank(logits, followed) < self.top
        self.probability[image, shown] = share[:, followed]
        if self.target == "each":
            before = np.arange(len(share) - 1)
            change = share[before + 1, top1[:-1]] - share[before, top1[:-1]]
            self.change[image] = np.abs(change).mean() if len(change) else np.nan
        else:
            self.change[image] = absolute_change(self.probability[image][None])[0]


def _rank(logits: Array, category: int) -> Array:
    """How many classes come before it, (position,); of equal ones, the lower number comes first."""
    own = logits[:, category, None]
    before = logits > own
    before[:, :category] |= logits[:, :category] == own
    return np.asarray(before.sum(axis=1))


@dataclass(frozen=True)
class Example:
    """The frames of one image, (position, channel, height, width) uint8."""

    number: int
    frames: Array


@dataclass(frozen=True, eq=False)
class Jaggedness:
    """One network, and one size of the object."""

    name: str
    plan: Moves
    size: int
    photographs: Photographs
    answers: Answers
    config: Jagged
    smoothing: dict[str, str]  # filters before the network subsamples

    @cached_property
    def shown(self) -> Array:
        """(image, position)"""
        return np.asarray(self.answers.top1 != NOT_SHOWN)

    @cached_property
    def jaggedness(self) -> Array:
        """(image,)"""
        return jaggedness(self.answers.in_topk, self.shown)

    @cached_property
    def sums(self) -> tuple[Array, Array]:
        """What each measure is a quotient of, (measure, image) each, in the order of MEASURES."""
        answers, shown = self.answers, self.shown
        count = steps(shown)
        moved = (count > 0).astype(float)
        changed = changes(answers.top1, shown)
        right = self._right
        start = right[:, np.abs(self.plan.position - self._middle).argmin()] * moved
        known = (self.photographs.label != UNKNOWN)[:, None] & shown
        agree = np.nan_to_num(shift_consistency(answers.top1, shown))
        pairs = [
            ((self.jaggedness > 0) * moved, moved),
            (self.jaggedness, moved),
            (self.jaggedness, count),
            (changed, count),
            (changed * start, count * start),
            (np.nan_to_num(answers.change) * count, count),
            (agree * moved, moved),
            (right.sum(axis=1), known.sum(axis=1)),
        ]
        top, bottom = zip(*pairs, strict=True)
        return np.stack(top).astype(float), np.stack(bottom).astype(float)

    @property
    def _middle(self) -> float:
        position = self.plan.position
        return 0.0 if position[0] <= 0 <= position[-1] else float(np.median(position))

    @property
    def _right(self) -> Array:
        label = self.photographs.label[:, None]
        return np.asarray((self.answers.top1 == label) & (label != UNKNOWN) & self.shown)

    @cached_property
    def values(self) -> Array:
        """(measure,); NaN where no image tells."""
        top, bottom = (part.sum(axis=1) for part in self.sums)
        return np.where(bottom > 0, top / np.maximum(bottom, 1e-300), np.nan)

    @cached_property
    def intervals(self) -> Array:
        """95 % bootstrap over images, (measure, bound)."""
        config = self.config
        return image_interval(*self.sums, resamples=config.resamples, seed=config.seed)

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Every array of the file that differs among networks and sizes, by name."""
        answers = self.answers
        return {
            "probability": answers.probability,
            "top1": answers.top1,
            "in_topk": answers.in_topk,
            "jaggedness": self.jaggedness,
            "followed": answers.followed,
            "change": answers.change,
            "value": self.values,
            "interval": self.intervals,
        }

    def worst(self, count: int) -> list[int]:
        """The most jagged images, at most `count`; of equal ones, that whose probability moves most."""
        change = np.nan_to_num(self.answers.change)
        order = np.lexsort((np.arange(len(change)), -change, -self.jaggedness))
        moving = [int(i) for i in order if self.jaggedness[i] or change[i]]
        return moving[:count]

    @property
    def left_out(self) -> int:
        """Images that have fewer than two neighboring positions."""
        return int((steps(self.shown) == 0).sum())


DIMS = {
    "probability": (("image", "position"), "probability of the class that is followed"),
    "top1": (("image", "position"), "category answered; -1 at a position that the image lacks"),
    "in_topk": (("image", "position"), "1: the followed class is among the top k"),
    "jaggedness": (("image",), "entries to and exits from the top k"),
    "followed": (("image",), "category whose probability is followed"),
    "change": (("image",), "mean absolute change of a probability in a step"),
    "value": (("measure",), "each measure, over all images"),
    "interval": (("measure", "bound"), "95 % bootstrap interval over images"),
}


def write(out: hdf5.Writer, results: Sequence[Jaggedness], examples: Sequence[Example]) -> None:
    """Fill a file of kind `jaggedness`; several networks or sizes share a first axis, `network`."""
    first = results[0]
    photographs, plan = first.photographs, first.plan
    for name, value in _facts(first).items():
        out.attribute(name, value)
    moved = (
        "size" if plan.protocol == "scale" else "frame" if plan.protocol == "frames" else "shift"
    )
    units = "1" if plan.protocol == "frames" else "px"
    out.array("position", plan.position, ("position",), units=units, long_name=moved)
    out.array("label", photographs.label, ("image",), long_name="category number; -1: not known")
    out.array("name", photographs.name, ("image",), long_name="file, or number in the data set")
    out.array("measure", list(MEASURES), ("measure",), long_name="what is measured")
    out.array("bound", ["lower", "upper"], ("bound",), long_name="ends of an interval")
    lead: tuple[str, ...] = ()
    if len(results) > 1:
        lead = ("network",)
        out.array("network", [r.name for r in results], lead, long_name="networks, and sizes")
        sizes = [r.size for r in results]
        out.array("object_size", sizes, lead, units="px", long_name="size of the object")
        out.array("protocol_text", [r.plan.text for r in results], lead, long_name="protocols")
    for name, (dims, long_name) in DIMS.items():
        values = np.stack([result.arrays[name] for result in results])
        out.array(name, values if lead else values[0], (*lead, *dims), long_name=long_name)
    if examples:
        numbers = [example.number for example in examples]
        out.array("example", numbers, ("example",), long_name="number of the image, from 0")
        frames = np.stack([example.frames for example in examples])
        dims = ("example", "position", "channel", "height", "width")
        out.array("example_frame", frames, dims, long_name="frames of the most jagged images")


def _facts(result: Jaggedness) -> dict[str, Any]:
    photographs = result.photographs
    return {
        "model": result.name,
        "data": photographs.spec,
        "categories": photographs.categories,
        "protocol": result.plan.protocol,
        "protocol_text": result.plan.text,
        "preset": result.config.preset,
        "top": result.answers.top,
        "target": result.config.target,
        **result.smoothing,
    }


def tabulate(target: Path, results: Sequence[Jaggedness], form: str, steps: Steps) -> None:
    """Write a row a measure, or a row a network and size where there are several."""
    if form == "table":
        rows = _measures(results[0]) if len(results) == 1 else map(_short, results)
        footer = "\n".join(line for result in results for line in _lines(result, len(results) > 1))
        tables.write(target, list(rows), form, steps, title=_title(results), footer=footer)
        return
    rows = (row for result in results for row in _rows(result))
    facts = {**_facts(results[0]), "worst": [row for r in results for row in _worst(r)]}
    tables.write(target, list(rows), form, steps, title="jaggedness", facts=facts)


def _rows(result: Jaggedness) -> Iterator[Row]:
    for name, value, (low, high) in zip(MEASURES, result.values, result.intervals, strict=True):
        yield {
            "network": result.name,
            "protocol": result.plan.text,
            "object": result.size,
            "top": result.answers.top,
            "measure": name,
            "value": float(value),
            "low": float(low),
            "high": float(high),
        }


def _worst(result: Jaggedness) -> Iterator[Row]:
    for number in result.worst(result.config.examples):
        yield {
            "network": result.name,
            "image": result.photographs.name[number],
            "jaggedness": int(result.jaggedness[number]),
            "absolute_change": float(result.answers.change[number]),
        }


def _measures(result: Jaggedness) -> Iterator[Row]:
    for row in _rows(result):
        yield {
            "measure": row["measure"],
            "value": row["value"],
            "95 %": "-" if np.isnan(row["low"]) else f"{row['low']:.3f}-{row['high']:.3f}",
            "what it is": MEASURES[row["measure"]],
        }


def _short(result: Jaggedness) -> Row:
    shown = ("jagged_images", "jaggedness", "top1_changes", "absolute_change", "consistency")
    found = {row["measure"]: row for row in _rows(result)}
    return {
        "network": result.name,
        **{
            name: f"{found[name]['value']:.3f} ({found[name]['low']:.3f}-{found[name]['high']:.3f})"
            for name in shown
        },
        "accuracy": found["accuracy"]["value"],
    }


def _title(results: Sequence[Jaggedness]) -> str:
    first = results[0]
    name = first.name if len(results) == 1 else f"{len(results)} networks or sizes"
    return f"Jaggedness of {name}, {len(first.photographs):,} images, {first.photographs.spec}"


def _lines(result: Jaggedness, several: bool) -> Iterator[str]:
    """The protocol, what was left out, and the worst images."""
    who = f"{result.name}: " if several else ""
    followed = {"label": "the true class", "first": "the class answered first"}.get(
        result.config.target, "the class answered before the step"
    )
    yield f"{who}Protocol: {result.plan.text}; top {result.answers.top}, {followed} followed"
    if (result.photographs.label == UNKNOWN).all() and result.config.target == "label":
        yield f"{who}No category is known: the class answered first is followed, accuracy undefined"
    if result.left_out:
        yield f"{who}{result.left_out} images have no room to move, and are left out"
    worst = [f"{row['image']} ({row['jaggedness']})" for row in _worst(result)]
    if worst:
        yield f"{who}Most jagged: {', '.join(worst)}"
