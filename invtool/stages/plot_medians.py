"""Median I_k of a layer: as lines by seen categories (figure 5a), layer (10) or tau."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.errors import InvtoolError
from invtool.plots.colors import INK, NAMES
from invtool.plots.density import summary
from invtool.plots.panels import MEDIAN, Line, Lines, Look, Mark, Plane, Point
from invtool.stages.plot_networks import (
    Picture,
    counted,
    families,
    many,
    of_categories,
    ordered,
    point,
    titled,
)
from invtool.stages.plot_sources import UNKNOWN, Interval, Result, common_categories, common_layers

SPLIT = ("seen", "unseen")
KEYS = {
    "seen": (NAMES["seen"], Look(INK, "--")),
    "unseen": (NAMES["unseen"], Look(INK, "-")),
    "all": (NAMES["all"], Look(INK, "-")),
}


@dataclass(frozen=True)
class Medians:
    """Median I_k over the units of a layer, (transform, group), and its interval where known."""

    result: Result
    values: NDArray[Any]
    ends: NDArray[Any] | None

    def told(self, transform: str, group: str) -> tuple[float, Interval]:
        """The median and its interval."""
        return self.value(transform, group), self.interval(transform, group)

    def value(self, transform: str, group: str) -> float:
        return float(self.values[self._at(transform, group)])

    def interval(self, transform: str, group: str) -> Interval:
        if self.ends is None:
            return UNKNOWN
        low, high = self.ends[self._at(transform, group)].tolist()
        return low, high

    def _at(self, transform: str, group: str) -> tuple[int, int]:
        return self.result.transforms.index(transform), self.result.index(group)


def medians(result: Result, layer: str) -> Medians:
    """The medians that the file holds, else those of its units."""
    path = f"layers/{layer}"
    held = result.arrays(f"{path}/median", f"{path}/median_interval")
    found = held.get(f"{path}/median")
    if found is None:
        units = result.read([layer], "invariance")[layer]
        found = np.array([[summary(values).median for values in groups] for groups in units])
    return Medians(result, found, held.get(f"{path}/median_interval"))


def groups_of(config: Plot, results: Sequence[Result], found: Sequence[Medians]) -> Sequence[str]:
    """The group asked for; `auto` is seen and unseen, or all where neither has a value."""
    if config.group != "auto":
        return (config.group,)
    held = any(
        np.isfinite(m.value(t, group))
        for result, m in zip(results, found, strict=True)
        for t in result.transforms
        for group in SPLIT
    )
    return SPLIT if held else ("all",)


def trend(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 5a: against the number of seen categories, a line a transform."""
    total = common_categories(results)
    layers = common_layers(results, config.layers or ("penultimate",))
    compared = families(results)
    looks = many([family.title for family in compared])
    panels, shown = [], list[str]()
    for layer in layers:
        found = {id(result): medians(result, layer) for result in results}
        groups = groups_of(config, results, list(found.values()))
        shown += groups
        lines = [
            Line(
                titled(family.title, group if len(groups) > 1 else ""),
                [
                    point(
                        number,
                        [found[id(r)].told(family.transform, group) for r in family.at(number)],
                    )
                    for number in family.counts
                ],
                _grouped(looks[family.title], group),
                {"transform": family.transform, "layer": layer, "group": group},
            )
            for family in compared
            for group in groups
        ]
        panels.append(Plane(layer, lines))
    drawing = Lines(
        panels,
        [*looks.items(), *_group_keys(shown)],
        of_categories(total),
        MEDIAN,
        place="seen_categories",
        value="median",
        percent=False,
        band=True,
        wide=True,
    )
    return Picture(drawing, _bands(panels))


def _bands(panels: Sequence[Plane]) -> list[str]:
    points = [p for panel in panels for line in panel.lines for p in line.points]
    notes = []
    if any(not p.each and p.low <= p.high for p in points):
        notes.append("Band: 95 % bootstrap over categories.")
    if any(p.each for p in points):
        notes.append("Where networks share a place: their mean, and a band for their extent.")
    return notes


def depth(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 10: through the layers, a line a network or a number of seen categories."""
    layers = common_layers(results, config.layers or ("all",))
    group = "all" if config.group == "auto" else config.group
    arrays = {id(result): result.read(layers, "invariance") for result in results}
    by_count = counted(results)
    if by_count:
        common_categories(results)
    panels, keys = [], dict[str, Look]()
    for family in families(results):
        drawn: dict[str, list[Result]] = {}
        for result in family.networks:
            name = f"{result.seen} seen" if by_count else result.name
            drawn.setdefault(name, []).append(result)
        if by_count:
            drawn = {f"{n} seen": drawn[f"{n} seen"] for n in family.counts}
        looks = many(list(drawn))
        colors = ordered(family.counts) if by_count else {}
        lines = []
        for name, networks in drawn.items():
            look = looks[name]
            if by_count:
                look = Look(colors[networks[0].seen or 0], "-", look.marker)
            points = []
            for layer in layers:
                pooled = np.concatenate(
                    [
                        arrays[id(r)][layer][r.transforms.index(family.transform), r.index(group)]
                        for r in networks
                    ]
                )
                told = summary(pooled)
                points.append(Point(layer, told.median, told.first, told.third))
            facts = {"transform": family.transform, "network": name, "group": group}
            lines.append(Line(name, points, look, facts))
            keys.setdefault(name, look)
        panels.append(Plane(family.title, lines))
    drawing = Lines(
        panels,
        list(keys.items()),
        "layer, input to output",
        MEDIAN,
        place="layer",
        value="median",
        percent=False,
        band=True,
    )
    who = "all" if group == "all" else f"the {group}"
    return Picture(drawing, [f"Line: median of the units; band: quartiles; {who} categories."])


def tau(config: Plot, results: Sequence[Result]) -> Picture:
    """How much the median hangs on tau: a line a transform, or a number of seen categories."""
    layers = common_layers(results, config.layers or ("penultimate",))
    by_count = counted(results)
    compared = families(results)
    counts = sorted({r.seen for r in results if r.seen is not None})
    titles = [family.title for family in compared]
    colors = ordered(counts) if by_count else {}
    looks = {f"{n} seen": Look(c) for n, c in colors.items()} if by_count else many(titles)
    panels, shown = [], dict[str, None]()
    for layer in layers:
        planes = {family.title: list[Line]() for family in compared} if by_count else {layer: []}
        for family in compared:
            for result in family.networks:
                name = f"{result.seen} seen" if by_count else family.title
                grid, found = _by_tau(result, layer)
                at = result.transforms.index(family.transform)
                groups = (config.group,) if config.group != "auto" else SPLIT
                if config.group == "auto" and np.isnan(found[at, 1:]).all():
                    groups = ("all",)
                for group in groups:
                    values = found[at, result.index(group)]
                    if np.isfinite(values).any():
                        shown[group] = None
                        planes[family.title if by_count else layer].append(
                            Line(
                                titled(name, group if len(groups) > 1 else ""),
                                [Point(t, float(v)) for t, v in zip(grid, values, strict=True)],
                                Look(looks[name].color, KEYS[group][1].dashes),
                                {
                                    "file": result.name,
                                    "transform": family.transform,
                                    "layer": layer,
                                    "group": group,
                                },
                            )
                        )
        many_layers = len(layers) > 1 and by_count
        panels += [
            Plane(titled(title, layer if many_layers else ""), lines, _own(results))
            for title, lines in planes.items()
            if lines
        ]
    keys = [(name, Look(look.color)) for name, look in looks.items()]
    keys += [*_group_keys(list(shown)), ("tau of the file", Look(INK, "-."))]
    drawing = Lines(
        panels,
        keys,
        "tau, share of a unit's highest response",
        MEDIAN,
        place="tau",
        value="median",
        percent=False,
    )
    return Picture(drawing, [] if by_count else [f"Layer: {', '.join(layers)}."])


def _by_tau(result: Result, layer: str) -> tuple[list[float], NDArray[Any]]:
    name = f"layers/{layer}/median_by_tau"
    held = result.arrays("tau_grid", name)
    if len(held) < 2:
        raise InvtoolError(
            f"{result.label} holds no /{name}; make the file again with invtool invariance"
        )
    return held["tau_grid"].tolist(), held[name]


def _own(results: Sequence[Result]) -> list[Mark]:
    taus = sorted({float(result.tau) for result in results if result.tau is not None})
    return [Mark(tau, "tau of the file", Look(INK, "-."), upright=True) for tau in taus]


def _grouped(look: Look, group: str) -> Look:
    return Look(look.color, KEYS[group][1].dashes, look.marker)


def _group_keys(groups: Sequence[str]) -> list[tuple[str, Look]]:
    return [KEYS[group] for group in dict.fromkeys(groups)]
