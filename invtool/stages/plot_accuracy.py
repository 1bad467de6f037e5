"""Accuracy as lines: by seen categories (figure 2), by tau (7), by the strength of a transform."""

import math
from collections.abc import Sequence

import numpy as np

from invtool.config import Plot
from invtool.errors import InvtoolError
from invtool.files import hdf5
from invtool.plots.colors import COLORS, FAINT, INK
from invtool.plots.panels import Line, Lines, Look, Mark, Plane, Point
from invtool.stages.plot_networks import (
    Family,
    Picture,
    counted,
    families,
    many,
    of_categories,
    point,
    spread,
    titled,
    total,
)
from invtool.stages.plot_sources import IMAGES_INTERVAL, Result, common_categories

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
CHANCE = Look(FAINT, ":")


def accuracy(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 2b, c: within and across against the number of seen categories, or by transform."""
    for result in results:
        if not result.accuracy:
            raise InvtoolError(f"{result.label} holds no accuracy; its network gave no predictions")
    compared = families(results)
    by_count = counted(results)
    categories = common_categories(results) if by_count else total(results)
    every = [config.group] if config.group != "auto" else []
    panels = []
    names = [n for g in every for n in ASKED[g]] or list(SERIES)
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
    if not every:
        panels = [_telling(panel, panels) for panel in panels]
    panels = [Plane(p.title, p.lines, _chance(categories)) for p in panels]
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
    return Picture(drawing, spread(results, points))


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


def _chance(categories: int | None) -> list[Mark]:
    return [Mark(1 / categories, "chance", CHANCE)] if categories else []


def ablation(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 7: accuracy against tau, the active units alone and the others alone."""
    dashes = {"keep-active": "-", "ablate-active": "--"}
    conditions = list(dict.fromkeys(c for result in results for c in result.conditions))
    looks = many(conditions)
    panels = []
    for result in results:
        names = ("tau", "mode", "accuracy", "group_accuracy", "intact_accuracy", "chosen_tau")
        held = result.arrays(*names)
        taus, modes = held["tau"].tolist(), held["mode"].tolist()
        group = "all" if config.group == "auto" else config.group
        grouped = group != "all" and "group_accuracy" in held
        shown = held["group_accuracy"][..., result.index(group)] if grouped else held["accuracy"]
        lines = [
            Line(
                f"{condition} {mode}",
                [Point(tau, float(v)) for tau, v in zip(taus, shown[m, c], strict=True)],
                Look(looks[condition].color, dashes.get(mode, "-.")),
                {"file": result.name, "condition": condition, "group": group, "mode": mode},
            )
            for c, condition in enumerate(result.conditions)
            for m, mode in enumerate(modes)
        ]
        if "intact_accuracy" in held:
            lines += [
                Line(
                    f"{condition} intact",
                    [Point(tau, float(value)) for tau in (taus[0], taus[-1])],
                    Look(looks[condition].color, faint=True),
                    {"file": result.name, "condition": condition, "group": group, "mode": "intact"},
                )
                for c, condition in enumerate(result.conditions)
                for value in [held["intact_accuracy"][c, result.index(group)]]
            ]
        marks = _chance(result.categories)
        chosen = float(held.get("chosen_tau", np.nan))
        if math.isfinite(chosen):
            marks.append(Mark(chosen, "chosen tau", Look(INK, "-."), upright=True))
        panels.append(Plane(result.name if len(results) > 1 else "", lines, marks))
    keys = [(c, Look(looks[c].color)) for c in conditions]
    keys += [
        ("only active units kept", Look(INK, "-")),
        ("active units ablated", Look(INK, "--")),
        ("nothing ablated", Look(INK, faint=True)),
    ]
    marked = {mark.name: mark.look for panel in panels for mark in panel.marks}
    keys += marked.items()
    drawing = Lines(panels, keys, "tau, share of a unit's highest response", place="tau")
    return Picture(drawing, _chosen(results, panels, config))


def _chosen(results: Sequence[Result], panels: Sequence[Plane], config: Plot) -> list[str]:
    found = [m.at for panel in panels for m in panel.marks if m.upright]
    texts = ", ".join(f"{tau:g}" for tau in dict.fromkeys(found))
    group = "all" if config.group == "auto" else config.group
    notes = [f"Accuracy of {'all' if group == 'all' else f'the {group}'} categories."]
    notes.append(f"Chosen tau: {texts}." if texts else "No tau qualifies.")
    return notes


def calibration(config: Plot, results: Sequence[Result]) -> Picture:
    """Accuracy against the strength of a transform, down to the limit where the search ended."""
    looks, panels, notes = Look(COLORS["seen"], "-", "o"), [], []
    labels = []
    for result in results:
        held = result.arrays("strength", "accuracy", "wilson")
        limit = result.attributes.get("limit")
        family, parameter = (str(result.attributes.get(n) or "") for n in ("family", "parameter"))
        with hdf5.open(result.path, kinds=("calibration",), label=result.label) as file:
            units = str(file.dataset("strength").attrs.get("units", ""))
        labels.append(
            f"{parameter or 'strength'}" + (f" ({units})" if units not in ("", "1") else "")
        )
        ends = held.get("wilson", np.full((len(held["strength"]), 2), np.nan))
        points = [
            Point(float(s), float(a), float(low), float(high))
            for s, a, (low, high) in zip(held["strength"], held["accuracy"], ends, strict=True)
        ]
        marks = _chance(result.categories)
        under = [p.place for p in points if limit is not None and p.value < limit]
        if limit is not None:
            marks.append(Mark(float(limit), "limit", Look(INK, "--")))
        if under and result.transforms[0]:
            marks.append(Mark(float(under[0]), "found strength", Look(INK, "-."), upright=True))
            notes.append(f"Found: {result.transforms[0]}.")
        else:
            notes.append(f"{family or result.name}: no strength is under the limit.")
        facts = {"file": result.name, "transform": family}
        alone = [r.attributes.get("family") for r in results].count(family) == 1
        title = family if alone else titled(family, result.name)
        panels.append(Plane(title, [Line("accuracy", points, looks, facts)], marks))
    marked = {mark.name: mark.look for panel in panels for mark in panel.marks}
    xlabel = labels[0] if len(set(labels)) == 1 else "strength"
    drawing = Lines(
        panels, [("top-1 accuracy", looks), *marked.items()], xlabel, place="strength", band=True
    )
    limits = dict.fromkeys(f"{m.at:.0%}" for p in panels for m in p.marks if m.name == "limit")
    if limits:
        notes.append(f"Limit: {', '.join(limits)}.")
    return Picture(drawing, [*notes, f"Band: {IMAGES_INTERVAL}."])
