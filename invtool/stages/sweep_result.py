"""What `invtool sweep` has measured, and its HDF5 file of kind `sweep`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Sweep
from invtool.data.sets import UNNAMED
from invtool.files import hdf5
from invtool.measures import (
    SIDES,
    accuracy_threshold_interval,
    falls,
    threshold,
    wilson_interval,
)
from invtool.transforms import Step
from invtool.transforms.ranges import Range

Array = NDArray[Any]
SAMPLES = 7  # magnitudes at which an image is kept, at most


@dataclass(frozen=True)
class Moved:
    """A transform at one of its magnitudes, or no transform at all."""

    range: Range | None
    magnitude: float | None

    @property
    def unchanged(self) -> bool:
        """Whether nothing changes."""
        return self.range is None or self.magnitude == self.range.identity

    @property
    def steps(self) -> tuple[Step, ...]:
        """The transform, if any."""
        if self.range is None or self.magnitude is None:
            return ()
        return (self.range.step.at(self.magnitude),)


@dataclass(frozen=True, eq=False)
class Plan:
    """A transform over its range, alone or with a second one after it.

    at: number of the condition, (magnitude,), of a grid (magnitude_2, magnitude)
    """

    first: Range
    second: Range | None
    at: Array

    @property
    def name(self) -> str:
        return f"{self.first.name}+{self.second.name}" if self.second else self.first.name

    @property
    def magnitude(self) -> Array:
        """(magnitude,)"""
        return np.array(self.first.magnitudes)

    @property
    def samples(self) -> list[int]:
        """Numbers of a few magnitudes, evenly from the identity to both ends."""
        count = len(self.first.magnitudes)
        own = self.first.magnitudes.index(self.first.identity)
        step = -(-(count - 1) // (SAMPLES - 1))
        return list(range(own % step, count, step))


@dataclass(frozen=True, eq=False)
class Answers:
    """What one network answers.

    category: (category,) number of each that has an image, ascending
    softmax: (category, condition, answer) mean over its images
    prediction: (image, condition)
    threshold: of each plan, (side, category, magnitude_2...), both sides together first
    interval: the same, (..., bound)
    """

    category: Array
    softmax: Array
    prediction: Array
    threshold: Sequence[Array]
    interval: Sequence[Array]


@dataclass(frozen=True, eq=False)
class Images:
    """The images that were shown.

    examples: (example,) category of each image that is kept
    frames: of each plan, (example, sample, channel, height, width); None for none
    """

    label: Array
    index: Array
    categories: list[str]
    examples: Array
    frames: Sequence[Array | None]

    def name(self, category: int) -> str:
        """Of a category, by number."""
        known = self.categories[category : category + 1]
        return known[0] if known else f"{UNNAMED}{category}"


@dataclass(frozen=True, eq=False)
class Sweeping:
    """One network, all that was swept."""

    name: str
    plans: Sequence[Plan]
    answers: Answers
    facts: dict[str, Any]

    def curves(self, images: Images, config: Sweep) -> list["Curves"]:
        """Each plan's."""
        return [
            Curves(self.name, plan, number, self.answers, images, config)
            for number, plan in enumerate(self.plans)
        ]


@dataclass(frozen=True, eq=False)
class Curves:
    """One network and one transform."""

    network: str
    plan: Plan
    number: int  # of the plan
    answers: Answers
    images: Images
    config: Sweep

    @cached_property
    def prediction(self) -> Array:
        """(image, magnitude_2..., magnitude)"""
        return self.answers.prediction[:, self.plan.at]

    @cached_property
    def right(self) -> Array:
        """(image, magnitude_2..., magnitude)"""
        label = self.images.label.reshape(-1, *[1] * self.plan.at.ndim)
        return np.asarray(self.prediction == label)

    @cached_property
    def softmax(self) -> Array:
        """(category, magnitude_2..., magnitude, answer)"""
        return self.answers.softmax[:, self.plan.at]

    @cached_property
    def count(self) -> Array:
        """Images of each category, (category,)."""
        return np.bincount(self.images.label)[self.answers.category]

    @cached_property
    def accuracy(self) -> Array:
        """(category, magnitude_2..., magnitude)"""
        of = [self.images.label == category for category in self.answers.category]
        return np.stack([self.right[each].mean(axis=0) for each in of])

    @cached_property
    def own(self) -> float:
        """Accuracy on the untransformed images."""
        return float((self.answers.prediction[:, 0] == self.images.label).mean())

    @cached_property
    def overall(self) -> dict[str, Array]:
        """The arrays about all images, named as in a file without `overall_`."""
        plan, config = self.plan, self.config
        right, images = self.right, len(self.right)
        accuracy = right.mean(axis=0)
        left = falls(accuracy, np.full(plan.at.shape[:-1], self.own), config.keep)
        moved = plan.magnitude, plan.first.identity
        share = self.count / images
        return {
            "softmax": np.tensordot(share, self.softmax, 1).astype(np.float32),
            "accuracy": accuracy,
            "wilson": np.asarray(
                wilson_interval(right.sum(axis=0), np.full(plan.at.shape, images))
            ),
            "threshold": np.stack([threshold(left, *moved, side) for side in ("", *SIDES)]),
            "interval": accuracy_threshold_interval(
                right,
                self.answers.prediction[:, 0] == self.images.label,
                *moved,
                config.keep,
                resamples=config.resamples,
                seed=config.seed,
            ),
        }

    @cached_property
    def arrays(self) -> dict[str, tuple[Array, tuple[str, ...]]]:
        """Every array of the file that differs among networks, and its dimensions."""
        answers, number, overall = self.answers, self.number, self.overall
        second = ("magnitude_2",) * (self.plan.second is not None)
        grid = (*second, "magnitude")
        both, sides = answers.threshold[number], answers.interval[number]
        found = {
            "softmax": (self.softmax, ("category", *grid, "answer")),
            "accuracy": (self.accuracy, ("category", *grid)),
            "threshold": (both[0], ("category", *second)),
            "threshold_interval": (sides[0], ("category", *second, "bound")),
            "side_threshold": (both[1:], ("side", "category", *second)),
            "side_threshold_interval": (sides[1:], ("side", "category", *second, "bound")),
            "overall_softmax": (overall["softmax"], (*grid, "answer")),
            "overall_accuracy": (overall["accuracy"], grid),
            "overall_accuracy_interval": (overall["wilson"], (*grid, "bound")),
            "overall_threshold": (overall["threshold"][0], second),
            "overall_threshold_interval": (overall["interval"][0], (*second, "bound")),
            "overall_side_threshold": (overall["threshold"][1:], ("side", *second)),
            "overall_side_threshold_interval": (
                overall["interval"][1:],
                ("side", *second, "bound"),
            ),
            "prediction": (self.prediction.astype(np.int32), ("image", *grid)),
        }
        return {name: _ordered(*pair) for name, pair in found.items()}


def _ordered(values: Array, dims: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """As files have it: the category before the side, the first magnitude before the second."""
    for one, other in (("side", "category"), ("magnitude_2", "magnitude")):
        if one in dims and other in dims:
            at = dims.index(one)
            values = values.swapaxes(at, at + 1)
            dims = (*dims[:at], other, one, *dims[at + 2 :])
    return values, dims


LONG_NAMES = {
    "softmax": "mean softmax of every answer over the images of a category",
    "accuracy": "top-1 accuracy on the images of a category",
    "threshold": "smallest change at which the mean prediction leaves the category",
    "threshold_interval": "95 % bootstrap over images",
    "side_threshold": "the same, below and above where nothing changes",
    "side_threshold_interval": "95 % bootstrap over images",
    "overall_softmax": "mean softmax of every answer over all images",
    "overall_accuracy": "top-1 accuracy on all images",
    "overall_accuracy_interval": "95 % Wilson over images",
    "overall_threshold": "smallest change at which accuracy is under a share of its own",
    "overall_threshold_interval": "95 % bootstrap over images",
    "overall_side_threshold": "the same, below and above where nothing changes",
    "overall_side_threshold_interval": "95 % bootstrap over images",
    "prediction": "category answered",
}


def write(out: hdf5.Writer, results: Sequence[Sweeping], images: Images, config: Sweep) -> None:
    """Fill a file of kind `sweep`; several networks share a first axis, `network`."""
    first = results[0]
    plans, answers = first.plans, first.answers
    for name, value in {**first.facts, "keep": config.keep}.items():
        out.attribute(name, value)
    lead = ("network",) * (len(results) > 1)
    if lead:
        out.array("network", [r.name for r in results], lead, long_name="networks")
    width = answers.softmax.shape[2]
    root: dict[str, tuple[list[str], str]] = {
        "transform": ([plan.name for plan in plans], "transforms that were swept"),
        "category": (list(map(images.name, answers.category)), "name of each category shown"),
        "answer": (list(map(images.name, range(width))), "name of each category answered"),
        "bound": (["lower", "upper"], "ends of an interval"),
        "side": (list(SIDES), "of where nothing changes"),
    }
    for name, (words, long_name) in root.items():
        out.array(name, words, (name,), long_name=long_name)
    out.array("category_number", answers.category, ("category",), long_name="its number")
    out.array("label", images.label, ("image",), long_name="category number")
    long_name = "number of the image in its data set"
    out.array("index", images.index, ("image",), long_name=long_name)
    if any(frames is not None for frames in images.frames):
        long_name = "category number of each image that is kept"
        out.array("example", images.examples, ("example",), long_name=long_name)
    found = [result.curves(images, config) for result in results]
    for number, plan in enumerate(plans):
        top = f"transforms/{plan.name}/" if len(plans) > 1 else ""
        _write_plan(out, top, plan, images.frames[number])
        for name in found[0][number].arrays:
            pairs = [curves[number].arrays[name] for curves in found]
            values = np.stack([values for values, _ in pairs]) if lead else pairs[0][0]
            units = plan.first.parameter.unit if "threshold" in name else "1"
            dims = (*lead, *pairs[0][1])
            out.array(top + name, values, dims, units=units, long_name=LONG_NAMES[name])


def _write_plan(out: hdf5.Writer, top: str, plan: Plan, frames: Array | None) -> None:
    """The magnitudes, and the images that are kept."""
    for name, moved in (("magnitude", plan.first), ("magnitude_2", plan.second)):
        if moved is not None:
            long_name = f"{moved.parameter.name} of {moved.name}"
            units = moved.parameter.unit
            out.array(top + name, moved.magnitudes, (name,), units=units, long_name=long_name)
            which = "identity" + name.removeprefix("magnitude")
            long_name = f"{moved.parameter.name} at which nothing changes"
            out.array(top + which, moved.identity, (), units=units, long_name=long_name)
    if frames is not None:
        shown = plan.magnitude[plan.samples]
        units = plan.first.parameter.unit
        long_name = "magnitudes of the images that are kept"
        out.array(f"{top}sample", shown, ("sample",), units=units, long_name=long_name)
        dims = ("example", "sample", "channel", "height", "width")
        out.array(f"{top}sample_frame", frames, dims, long_name="images, as they are changed")
