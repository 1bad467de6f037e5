"""Which networks belong together in a picture, and the one point that those at a place make."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from invtool.files import messages
from invtool.plots.colors import FAINT, of_many, of_ordered
from invtool.plots.panels import Drawing, Facts, Look, Mark, Point
from invtool.stages.plot_sources import Interval, Result

CHANCE = Look(FAINT, ":")


@dataclass(frozen=True)
class Picture:
    """A drawing and the sentences of its caption; `facts` and `rows` go beside exported numbers."""

    drawing: Drawing
    notes: Sequence[str] = ()
    heading: str = ""  # in text, where no title is given
    facts: Facts | None = None
    rows: Sequence[dict[str, Any]] | None = None  # instead of those of the drawing


@dataclass(frozen=True)
class Family:
    """A transform and the networks that are compared under it."""

    transform: str
    title: str
    networks: list[Result]

    def at(self, seen: int | None) -> list[Result]:
        return [result for result in self.networks if result.seen == seen]

    @property
    def counts(self) -> list[int]:
        return sorted({result.seen for result in self.networks if result.seen is not None})


def families(results: Sequence[Result]) -> list[Family]:
    """For each transform, the networks whose number of seen categories is of that transform.

    Those are the ones trained with it, untransformed, or not known. Where there is none, the networks of
    one other transform do; those of several say nothing together and are left out aloud.
    """
    found, left = [], []
    results = sorted(results, key=lambda result: result.seen or 0)
    for transform in dict.fromkeys(t for result in results for t in result.transforms):
        having = [result for result in results if transform in result.transforms]
        own = [result for result in having if result.trained in ("", transform) or not result.seen]
        others = sorted({result.trained for result in having if result not in own})
        if not others or any(result.seen != 0 for result in own):
            found.append(Family(transform, transform, own))
        elif len(others) == 1:
            found.append(Family(transform, f"{transform} (trained with {others[0]})", having))
        else:
            left.append(transform)
    if left:
        messages.note(f"left out, no network was trained with it: {', '.join(left)}")
    return found


def counted(results: Sequence[Result]) -> bool:
    """Whether the networks differ in how many categories they saw."""
    return len({result.seen for result in results if result.seen is not None}) > 1


def total(results: Sequence[Result]) -> int | None:
    totals = {result.categories for result in results}
    return totals.pop() if len(totals) == 1 else None


def point(place: float | str, networks: Iterable[tuple[float, Interval]]) -> Point:
    """One network's number with its interval, or the mean of several with their extent."""
    defined = [(value, ends) for value, ends in networks if math.isfinite(value)]
    if not defined:
        return Point(place, math.nan)
    if len(defined) == 1:
        value, ends = defined[0]
        return Point(place, value, *ends)
    values = [value for value, _ in defined]
    return Point(place, float(np.mean(values)), min(values), max(values), values)


def many(names: Sequence[str]) -> dict[str, Look]:
    """A look for each of several things that have no order, as transforms."""
    looks = (of_many(number) for number in range(len(names)))
    return {n: Look(color, "-", marker) for n, (color, marker) in zip(names, looks, strict=True)}


def ordered(numbers: Sequence[int]) -> dict[int, str]:
    """A color for each of several numbers."""
    last = max(len(numbers) - 1, 1)
    return {number: of_ordered(at / last) for at, number in enumerate(numbers)}


def chance(categories: int | None) -> list[Mark]:
    """The accuracy of guessing, where the number of categories is known."""
    return [Mark(1 / categories, "chance", CHANCE)] if categories else []


def of_categories(number: int | None) -> str:
    return "number of seen categories" + (f" of {number}" if number else "")


def titled(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def spread(networks: Sequence[Result], points: Sequence[Point]) -> list[str]:
    """What bars and bands are, in sentences."""
    notes = []
    single = any(not p.each and math.isfinite(p.low) for p in points)
    kinds = sorted({result.interval for result in networks if result.interval})
    if single and kinds:
        notes.append(f"Intervals: {' or '.join(kinds)}.")
    if any(p.each for p in points):
        notes.append("Where networks share a place: their mean, and each of them.")
    return notes
