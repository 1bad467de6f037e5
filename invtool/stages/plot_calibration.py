"""Accuracy against the strength of a transform, down to the limit where the search ended."""

from collections.abc import Sequence

import numpy as np

from invtool.config import Plot
from invtool.files import hdf5
from invtool.plots.colors import COLORS, INK
from invtool.plots.panels import Line, Lines, Look, Mark, Plane, Point
from invtool.stages.plot_networks import Picture, chance, titled
from invtool.stages.plot_sources import IMAGES_INTERVAL, Result

ACCURACY = Look(COLORS["seen"], "-", "o")
LIMIT, FOUND = Look(INK, "--"), Look(INK, "-.")


def calibration(config: Plot, results: Sequence[Result]) -> Picture:
    """A panel a file: every step with its interval, the limit, and the strength that was found."""
    panels, labels, notes = [], [], []
    families = [str(result.attributes.get("family") or "") for result in results]
    for result, family in zip(results, families, strict=True):
        title = family if families.count(family) == 1 else titled(family, result.name)
        panels.append(_panel(result, title, family))
        labels.append(_strength(result))
        found = any(mark.upright for mark in panels[-1].marks)
        missed = f"{title or result.name}: no strength is under the limit."
        notes.append(f"Found: {result.transforms[0]}." if found else missed)
    marked = {mark.name: mark.look for panel in panels for mark in panel.marks}
    limits = dict.fromkeys(f"{m.at:.0%}" for p in panels for m in p.marks if m.name == "limit")
    notes += [f"Limit: {', '.join(limits)}."] if limits else []
    xlabel = labels[0] if len(set(labels)) == 1 else "strength"
    keys = [("top-1 accuracy", ACCURACY), *marked.items()]
    drawing = Lines(panels, keys, xlabel, place="strength", band=True)
    return Picture(drawing, [*notes, f"Band: {IMAGES_INTERVAL}."])


def _panel(result: Result, title: str, family: str) -> Plane:
    held = result.arrays("strength", "accuracy", "wilson")
    ends = held.get("wilson", np.full((len(held["strength"]), 2), np.nan))
    points = [
        Point(float(strength), float(accuracy), float(low), float(high))
        for strength, accuracy, (low, high) in zip(
            held["strength"], held["accuracy"], ends, strict=True
        )
    ]
    marks = chance(result.categories)
    limit = result.attributes.get("limit")
    if limit is not None:
        marks.append(Mark(float(limit), "limit", LIMIT))
        under = [point.place for point in points if point.value < limit]
        if under and result.transforms[0]:
            marks.append(Mark(float(under[0]), "found strength", FOUND, upright=True))
    line = Line("accuracy", points, ACCURACY, {"file": result.name, "transform": family})
    return Plane(title, [line], marks)


def _strength(result: Result) -> str:
    """The parameter and its unit."""
    with hdf5.open(result.path, kinds=(result.kind,), label=result.label) as file:
        units = str(file.dataset("strength").attrs.get("units", "1"))
    name = str(result.attributes.get("parameter") or "strength")
    return name if units == "1" else f"{name} ({units})"
