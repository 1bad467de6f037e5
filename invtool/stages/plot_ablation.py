"""Accuracy against tau, the active units alone and the others alone (figure 7)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.errors import InvtoolError
from invtool.plots.colors import INK
from invtool.plots.panels import Line, Lines, Look, Mark, Plane, Point
from invtool.stages.plot_networks import Picture, chance, many
from invtool.stages.plot_sources import Result

ARRAYS = ("tau", "mode", "accuracy", "group_accuracy", "intact_accuracy", "chosen_tau")
DASHES = {"keep-active": "-", "ablate-active": "--"}
KEYS = [
    ("only active units kept", Look(INK, "-")),
    ("active units ablated", Look(INK, "--")),
    ("nothing ablated", Look(INK, faint=True)),
]
CHOSEN = Look(INK, "-.")


def ablation(config: Plot, results: Sequence[Result]) -> Picture:
    """A panel a network, a color a condition; the chosen tau stands upright."""
    group = "all" if config.group == "auto" else config.group
    looks = many(list(dict.fromkeys(c for result in results for c in result.conditions)))
    panels = []
    for result in results:
        held = result.arrays(*ARRAYS)
        marks = chance(result.categories)
        chosen = float(held.get("chosen_tau", np.nan))
        if math.isfinite(chosen):
            marks.append(Mark(chosen, "chosen tau", CHOSEN, upright=True))
        lines = list(_lines(result, held, group, looks))
        panels.append(Plane(result.name if len(results) > 1 else "", lines, marks))
    marked = {mark.name: mark.look for panel in panels for mark in panel.marks}
    keys = [*((c, Look(look.color)) for c, look in looks.items()), *KEYS, *marked.items()]
    drawing = Lines(panels, keys, "tau, share of a unit's highest response", place="tau")
    return Picture(drawing, _notes(results, panels, group))


def _lines(
    result: Result, held: Mapping[str, NDArray[Any]], group: str, looks: Mapping[str, Look]
) -> Iterator[Line]:
    taus = held["tau"].tolist()
    shown = _shown(result, held, group)
    facts = {"file": result.name, "group": group}
    for c, condition in enumerate(result.conditions):
        color = looks[condition].color
        for m, mode in enumerate(held["mode"].tolist()):
            points = [Point(tau, float(v)) for tau, v in zip(taus, shown[m, c], strict=True)]
            told = {**facts, "condition": condition, "mode": mode}
            yield Line(f"{condition} {mode}", points, Look(color, DASHES.get(mode, "-.")), told)
        if "intact_accuracy" in held:
            value = float(held["intact_accuracy"][c, result.index(group)])
            points = [Point(tau, value) for tau in (taus[0], taus[-1])]
            told = {**facts, "condition": condition, "mode": "intact"}
            yield Line(f"{condition} intact", points, Look(color, faint=True), told)


def _shown(result: Result, held: Mapping[str, NDArray[Any]], group: str) -> NDArray[Any]:
    """Accuracy of the group, (mode, condition, tau)."""
    if group == "all":
        return held["accuracy"]
    if "group_accuracy" not in held:
        raise InvtoolError(f"{result.label} holds no /group_accuracy; use --group all")
    return np.asarray(held["group_accuracy"][..., result.index(group)])


def _notes(results: Sequence[Result], panels: Sequence[Plane], group: str) -> list[str]:
    taus = dict.fromkeys(f"{m.at:g}" for panel in panels for m in panel.marks if m.upright)
    layers = dict.fromkeys(name for r in results for name in r.attributes.get("layers") or ())
    return [
        f"Accuracy of {'all' if group == 'all' else f'the {group}'} categories.",
        f"Chosen tau: {', '.join(taus)}." if taus else "No tau qualifies.",
        *([f"Ablated in: {', '.join(layers)}."] if layers else []),
    ]
