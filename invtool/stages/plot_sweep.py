"""Sweeps: softmax against magnitude (figures 2 and 3), networks side by side, and two magnitudes as a map."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.errors import InvtoolError, UsageError
from invtool.files import hdf5
from invtool.measures import highest
from invtool.plots.colors import FAINT, INK, MANY
from invtool.plots.panels import Cells, Line, Lines, Look, Mark, Matrix, Plane, Point, Sample
from invtool.stages.plot_networks import Picture, many, titled
from invtool.stages.plot_sources import Result

FIRST = 3  # answers that have a line of their own
SHOWN = 3  # categories, where none is named
MOST = 24  # panels; more cannot be read
LETTERS = 15  # magnitudes of a map: more leave no room for its numbers
OTHERS, THRESHOLD = Look(FAINT, ":"), Look(INK, "--")
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Swept:
    """One network and one transform of a file."""

    result: Result
    transform: str
    held: dict[str, Array]  # as a file of one transform has them
    strength: str  # parameter and unit
    strength_2: str

    @property
    def grid(self) -> bool:
        return "magnitude_2" in self.held

    def answers(self, number: int) -> str:
        """The name of a category answered."""
        return str(self.held["answer"][number])

    def marks(self, distance: Array) -> list[Mark]:
        """Where something is left, (side,), below and above."""
        found = []
        for sign, far in zip((-1, 1), distance.tolist(), strict=True):
            if far == far:
                at = float(self.held["identity"]) + sign * far
                found.append(Mark(at, "threshold", THRESHOLD, upright=True, label=f"{at:.4g}"))
        return found if len({mark.at for mark in found}) == len(found) else found[:1]


NAMES = (
    *("magnitude", "magnitude_2", "identity", "identity_2", "softmax", "accuracy", "threshold"),
    *("side_threshold", "overall_accuracy", "overall_accuracy_interval"),
    *("overall_side_threshold", "sample", "sample_frame"),
)
ROOT = ("category", "category_number", "answer", "example")


def swept(results: Sequence[Result]) -> list[Swept]:
    """Every transform of every network, transform by transform."""
    found = []
    for transform in dict.fromkeys(t for result in results for t in result.transforms):
        for result in results:
            if transform in result.transforms:
                top = f"transforms/{transform}/" if len(result.transforms) > 1 else ""
                held = result.arrays(*ROOT, *(top + name for name in NAMES))
                plain = {name.removeprefix(top): values for name, values in held.items()}
                words = [_strength(result, top + name) for name in ("magnitude", "magnitude_2")]
                found.append(Swept(result, transform, plain, *words))
    return found


def _strength(result: Result, name: str) -> str:
    """The parameter of a magnitude and its unit, as `sigma (px)`."""
    with hdf5.open(result.path, kinds=(result.kind,), label=result.label) as file:
        if name not in file:
            return ""
        told = file.dataset(name).attrs
        parameter, unit = str(told["long_name"]).partition(" of ")[0], str(told["units"])
    return parameter if unit in ("1", parameter) else f"{parameter} ({unit})"


def choose(results: Sequence[Result]) -> str:
    """Curves of one network and transform, a map of two magnitudes, else the overview."""
    if any("+" in transform for result in results for transform in result.transforms):
        return "heat"
    alone = len(results) == 1 and len(results[0].transforms) == 1
    return "curves" if alone else "overview"


def curves(config: Plot, results: Sequence[Result]) -> Picture:
    """Figures 2 and 3: a panel a category, network and transform; the highest answers and others."""
    panels = list[Plane]()
    found = [each for each in swept(results) if not each.grid]
    if not found:
        raise UsageError("--kind curves draws one magnitude; --kind heat draws two")
    several = len({each.transform for each in found}) > 1, len(results) > 1
    for each in found:
        panels += [_curve(each, number, *several) for number in _categories(config, each)]
    if len(panels) > MOST:
        raise UsageError(
            f"{len(panels)} panels are too many for a picture; name fewer with --category, or sweep "
            "fewer transforms"
        )
    drawing = Lines(
        panels,
        [("others", OTHERS), ("threshold", THRESHOLD)],
        "",
        "mean softmax (%)",
        place="magnitude",
        value="softmax",
        across=min(len(panels), 3),
        named=True,
    )
    notes = [
        (
            f"Lines: the {FIRST} answers that are highest anywhere, and the category's own; others: the "
            "highest beside those three."
        ),
        "Threshold: where the mean prediction leaves the category.",
    ]
    return Picture(drawing, notes, "Mean softmax by magnitude")


def _categories(config: Plot, each: Swept) -> list[int]:
    """Places of the categories that were named; else of the first, middle and last to give way."""
    names = each.held["category"].tolist()
    if not config.categories:
        far = np.nan_to_num(each.held["threshold"], nan=np.inf)
        order = np.argsort(far, kind="stable")
        right = order[far[order] > 0]  # of the others, nothing gives way
        order = right if len(right) else order
        spread = np.linspace(0, len(order) - 1, SHOWN).round().astype(int)
        return list(dict.fromkeys(order[spread].tolist()))
    found = [
        n for n, name in enumerate(names) if any(fnmatchcase(name, p) for p in config.categories)
    ]
    if not found:
        shown = ", ".join(names[:8]) + ", ..." * (len(names) > 8)
        raise InvtoolError(
            f"{each.result.label} has no image of a category {' or '.join(config.categories)}; it has {shown}"
        )
    return found


def _curve(each: Swept, number: int, transforms: bool, networks: bool) -> Plane:
    held = each.held
    name = str(held["category"][number])
    softmax = held["softmax"][number]
    first, others = highest(softmax, FIRST)
    facts = {"network": each.result.name, "transform": each.transform, "category": name}
    lines = []
    own = int(held["category_number"][number])
    for rank, answer in enumerate(dict.fromkeys([*first.tolist(), own])):
        line = _line(each, each.answers(answer), softmax[:, answer], Look(MANY[rank]), facts)
        lines.append(line)
    lines.append(_line(each, "others", others, OTHERS, facts))
    title = titled(name, each.transform if transforms else "", each.result.name if networks else "")
    return Plane(
        title,
        lines,
        each.marks(held["side_threshold"][number]),
        xlabel=titled(each.transform, each.strength),
        samples=_samples(each, own),
    )


def _line(each: Swept, name: str, values: Array, look: Look, facts: dict[str, str]) -> Line:
    pairs = zip(each.held["magnitude"].tolist(), values.tolist(), strict=True)
    return Line(name, [Point(*pair) for pair in pairs], look, {**facts, "answer": name})


def _samples(each: Swept, category: int) -> list[Sample]:
    """The image of a category that was kept, if any, as it is changed."""
    kept = each.held.get("example", np.array([])).tolist()
    if category not in kept or "sample_frame" not in each.held:
        return []
    frames = each.held["sample_frame"][kept.index(category)].transpose(0, 2, 3, 1)
    return [
        Sample(v, pixels) for v, pixels in zip(each.held["sample"].tolist(), frames, strict=True)
    ]


def overview(config: Plot, results: Sequence[Result]) -> Picture:
    """Accuracy against magnitude, a panel a transform, a line a network."""
    found = [each for each in swept(results) if not each.grid]
    if not found:
        raise UsageError("--kind overview draws one magnitude; --kind heat draws two")
    looks = many(list(dict.fromkeys(each.result.name for each in found)))
    looks = {name: Look(look.color) for name, look in looks.items()}
    panels, alone = [], len(looks) == 1
    for transform in dict.fromkeys(each.transform for each in found):
        group = [each for each in found if each.transform == transform]
        lines, marks = [], list[Mark]()
        for each in group:
            look = looks[each.result.name]
            lines.append(_accuracy(each, look))
            marks += [
                mark if alone else Mark(mark.at, mark.name, Look(look.color, ":"), upright=True)
                for mark in each.marks(each.held["overall_side_threshold"])
            ]
        panels.append(Plane(transform, lines, marks, xlabel=group[0].strength))
    keys = (
        [("top-1 accuracy", Look(next(iter(looks.values())).color))]
        if alone
        else list(looks.items())
    )
    drawing = Lines(
        panels,
        [*keys, ("threshold", THRESHOLD if alone else Look(INK, ":"))],
        place="magnitude",
        band=True,
    )
    keep = sorted({float(each.result.attributes["keep"]) for each in found})
    kept = " or ".join(f"{share:g}" for share in keep)
    notes = [
        f"Threshold: accuracy under {kept} of the network's own, where nothing changes.",
        "Band: 95 % Wilson over images.",
    ]
    return Picture(drawing, notes, "Accuracy by magnitude")


def _accuracy(each: Swept, look: Look) -> Line:
    held = each.held
    columns = held["magnitude"], held["overall_accuracy"], *held["overall_accuracy_interval"].T
    points = [Point(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    name = each.result.name
    return Line(name, points, look, {"network": name, "transform": each.transform})


def heat(config: Plot, results: Sequence[Result]) -> Picture:
    """Accuracy, or of categories their mean softmax, at every pair of two magnitudes."""
    found = [each for each in swept(results) if each.grid]
    if not found:
        raise UsageError("--kind heat draws two magnitudes; sweep a second one with --with")
    panels = []
    for each in found:
        if not config.categories:
            panels.append(_map(each, "", each.held["overall_accuracy"]))
            continue
        for number in _categories(config, each):
            own = int(each.held["category_number"][number])
            name = str(each.held["category"][number])
            panels.append(_map(each, name, each.held["softmax"][number, ..., own]))
    what = "mean softmax of the category" if config.categories else "top-1 accuracy"
    first = found[0]
    one, _, two = first.transform.partition("+")
    drawing = Matrix(
        panels,
        titled(one, first.strength),
        titled(two, first.strength_2),
        value="softmax" if config.categories else "accuracy",
        column="magnitude",
    )
    notes = [f"In percent: {what}. Framed: nothing is changed."]
    return Picture(drawing, notes, f"{what[0].upper()}{what[1:]} (%) by two magnitudes")


def _map(each: Swept, name: str, shares: Array) -> Cells:
    """`shares` is (magnitude, magnitude_2)."""
    held = each.held
    one, two = held["magnitude"].tolist(), held["magnitude_2"].tolist()
    facts = {"network": each.result.name, "transform": each.transform}
    facts |= {"category": name} if name else {}
    quiet = len(one) > LETTERS
    return Cells(
        titled(name, each.result.name),
        [f"{value:.4g}" for value in two],
        [f"{value:.4g}" for value in one],
        shares.T,
        texts=[[""] * len(one)] * len(two) if quiet else (),
        framed=[(two.index(float(held["identity_2"])), one.index(float(held["identity"])))],
        facts=[{**facts, "magnitude_2": value} for value in two],
    )
