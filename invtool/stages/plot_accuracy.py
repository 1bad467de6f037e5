"""Accuracy within seen categories and across to the others (figure 2b, c)."""

from collections.abc import Sequence

import numpy as np

from invtool.config import Plot
from invtool.measures import rise
from invtool.plots.colors import COLORS, FAINT
from invtool.plots.panels import Line, Lines, Look, Plane, Point
from invtool.stages.plot_networks import (
    CHANCE,
    Family,
    Picture,
    chance,
    counted,
    families,
    of_categories,
    point,
    spread,
    total,
)
from invtool.stages.plot_sources import Result, common_categories, refuse_silent

# A series: condition (empty: the transform), group, words of the legend, look.
SERIES = {
    "within": ("", "seen", "seen, transformed (within)", Look(COLORS["seen"], "-", "o")),
    "across": (
        "",
        "unseen",
        "unseen, transformed (across)",
        Look(COLORS["unseen"], "-", "s"),
    ),
    "all": ("", "all", "transformed", Look(COLORS["all"], "-", "^")),
    "clean": ("none", "all", "untransformed", Look(FAINT, "--", "D")),
}
ASKED = {"all": ("all", "clean"), "seen": ("within", "clean"), "unseen": ("across", "clean")}


def accuracy(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 2b, c: within and across against the number of seen categories, or by transform."""
    refuse_silent(results)
    compared = families(results)
    by_count = counted(results)
    categories = common_categories(results) if by_count else total(results)
    names = ASKED.get(config.group, tuple(SERIES))
    if by_count:
        panels = [
            Plane(family.title, [_by_count(family, name) for name in names]) for family in compared
        ]
    else:
        lines = [
            Line(n, [_at(f, f.transform, n) for f in compared], SERIES[n][-1], _named(n))
            for n in names
        ]
        panels = [Plane("", lines)]
    if config.group == "auto":
        panels = [_telling(panel, panels) for panel in panels]
    panels = [Plane(p.title, p.lines, chance(categories)) for p in panels]
    points = [p for panel in panels for line in panel.lines for p in line.points]
    keys = [SERIES[n][2:] for n in dict.fromkeys(line.name for p in panels for line in p.lines)]
    xlabel = of_categories(categories) if by_count else "transform"
    drawing = Lines(
        panels,
        [*keys, *([("chance", CHANCE)] if categories else [])],
        xlabel,
        place="seen_categories" if by_count else "transform",
        wide=True,
    )
    notes = [*spread(results, points), *(_rises(compared) if by_count else [])]
    return Picture(drawing, notes)


def _rises(compared: Sequence[Family]) -> list[str]:
    """Whether the across-category accuracy of each transform rises as a line or as a logarithm."""
    told = []
    for family in compared:
        found = [(r.seen or 0, r.right(family.transform, "unseen")) for r in family.networks]
        try:
            law = rise(*map(np.array, zip(*found, strict=True)))
        except ValueError:  # too few counts to tell
            continue
        told.append(
            f"{family.title}: across rises as a line with R2 {law.linear.r2:.2f}, as a logarithm with"
            f" {law.logarithmic.r2:.2f} (difference of AIC {law.preference:+.1f}, above 0 for the logarithm)."
        )
    return told


def _by_count(family: Family, name: str) -> Line:
    points = [_at(family, number, name) for number in family.counts]
    return Line(name, points, SERIES[name][-1], {"transform": family.transform, **_named(name)})


def _at(family: Family, place: int | str, name: str) -> Point:
    condition, group, *_ = SERIES[name]
    condition = condition or family.transform
    networks = family.networks if isinstance(place, str) else family.at(place)
    return point(place, [result.measured(condition, group) for result in networks])


def _named(name: str) -> dict[str, str]:
    return {"series": name}


def _telling(panel: Plane, panels: Sequence[Plane]) -> Plane:
    """Without the series that are nowhere defined; `all` only where no image says which it is."""

    def held(name: str) -> bool:
        lines = [line for p in panels for line in p.lines if line.name == name]
        return any(p.defined for line in lines for p in line.points)

    split = held("within") or held("across")
    names = [n for n in SERIES if held(n) and (n != "all" or not split)]
    return Plane(panel.title, [line for line in panel.lines if line.name in names])
