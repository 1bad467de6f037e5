"""Sensitivity to deformation and smoothness of filters: by layer, over training, and at worst.

Networks of one label, the seeds of a recipe, are one line: their mean, in a band of 2 standard
deviations.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.errors import InvtoolError
from invtool.files import messages, trajectories
from invtool.files.streams import short_names
from invtool.plots.colors import FAINT, of_many, of_ordered
from invtool.plots.panels import Line, Lines, Look, Mark, Plane, Point
from invtool.stages.plot_networks import Picture, many, titled
from invtool.stages.plot_sources import Result

VALUE = {"smoothness": "total_variation", "deformation": "sensitivity"}  # of each kind of file
PHASES = {0: "at initialization", 1: "after training"}
INITIAL = Look(FAINT, ":")
INITIAL_NAME = "initial value"
NUMBER = re.compile(r"(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Measured:
    """One network, and what its file holds of it, (layer,) or (layer, ...)."""

    result: Result
    label: str
    step: int
    layers: list[str]  # that are to be drawn
    held: Mapping[str, NDArray[Any]]
    panel: str = ""  # title of its panel, where there are several

    @property
    def phase(self) -> str:
        """Whether it was trained, where the file says so."""
        return PHASES[int(self.held["trained"])] if "trained" in self.held else ""

    def of(self, name: str, layer: str) -> Any:
        """What the array `name` holds of the layer; NaN for one that the network lacks."""
        values, names = self.held[name], self.held["layer"].tolist()
        return values[names.index(layer)] if layer in names else np.full(values.shape[1:], np.nan)


def smoothness(config: Plot, results: Sequence[Result]) -> Picture:
    """Figures 5b and 6: normalized total variation by layer, beside its initial value."""
    names = "total_variation", "initial", "initial_deviation"
    networks = _in_panels(_networks(config, results, *names))
    groups = _lines(networks)
    looks = _looks([name for name, _ in groups])
    panels = []
    for title, members in _by_panel(networks).items():
        layers = [layer for layer in _merged(members) if _varies(members, layer)]
        lines = [
            Line(
                name,
                _points(layers, own, "total_variation"),
                looks[name],
                {"panel": title, "label": name},
            )
            for name, group in groups
            if (own := [network for network in group if network in members])
        ]
        panels.append(Plane(title, [*lines, *_initial(layers, members)]))
    keys = [*looks.items()] if len(looks) > 1 else []
    if any(line.look is INITIAL for panel in panels for line in panel.lines):
        keys.append((INITIAL_NAME, INITIAL))
    drawing = Lines(
        panels,
        keys,
        "convolution, input to output",
        _ylabel(results),
        place="layer",
        value="total_variation",
        percent=False,
        band=True,
        whole=False,
        shared=True,
        near=True,
    )
    return Picture(drawing, _notes(networks, drawing), "Smoothness of filters by layer")


def deformation(config: Plot, results: Sequence[Result]) -> Picture:
    """Figures 3, 4 and 7: sensitivity to deformation by layer, untrained and trained networks apart."""
    networks = _in_panels(_networks(config, results, "sensitivity", "interval", "trained"))
    groups = _lines(networks)
    looks = _looks([name for name, _ in groups])

    def drawn(layers: list[str], name: str, own: list[Measured]) -> list[Line]:
        points = _points(layers, own, "sensitivity")
        return [Line(name, points, looks[name], _facts(name, own))]

    keys = list(looks.items()) if len(looks) > 1 else []
    drawing = _by_layer(networks, groups, drawn, keys, results)
    return Picture(drawing, _notes(networks, drawing), "Sensitivity to deformation by layer")


def worst(config: Plot, results: Sequence[Result]) -> Picture:
    """The worst deformation within the bound beside the average one, by layer."""
    names = "sensitivity", "interval", "worst", "worst_interval", "transfer", "trained"
    networks = _networks(config, results, *names)
    for network in networks:
        if "worst" not in network.held:
            raise InvtoolError(
                f"{network.result.label} holds no worst case; run invtool deform --worst first"
            )
    cases = {"sensitivity": ("average", "-", "o"), "worst": ("worst", "--", "^")}
    networks = _in_panels([_transferred(network) for network in networks])
    if any("elsewhere" in network.held for network in networks):
        cases["elsewhere"] = ("worst for another network", ":", "v")
    groups = _lines(networks)
    looks = _looks([name for name, _ in groups])

    def drawn(layers: list[str], name: str, own: list[Measured]) -> list[Line]:
        lines = []
        for array, (case, dash, marker) in cases.items():
            points = _points(layers, own, array)
            if case != "average":  # it may be known of few layers
                points = [point for point in points if point.defined]
            look = Look(looks[name].color, dash, marker)
            facts = {**_facts(name, own), "case": case}
            lines.append(Line(titled(name if len(looks) > 1 else "", case), points, look, facts))
        return lines

    several = [(name, Look(look.color)) for name, look in looks.items()] if len(looks) > 1 else []
    color = FAINT if several else of_many(0)[0]
    keys = [(case, Look(color, dash, marker)) for case, dash, marker in cases.values()]
    drawing = _by_layer(networks, groups, drawn, [*several, *keys], results)
    return Picture(drawing, _notes(networks, drawing), "Worst and average sensitivity by layer")


def trajectory(config: Plot, results: Sequence[Result]) -> Picture:
    """A number a layer over training, from the checkpoints; a panel a recipe."""
    value = VALUE[results[0].kind]
    networks = [n for n in _networks(config, results, value, "initial") if n.step >= 0]
    if not networks:
        raise InvtoolError(
            f"{results[0].label} holds no checkpoint; train with --checkpoint-at, and measure the "
            "folder of checkpoints"
        )
    if len(networks) < len(results):
        messages.note(f"left out, no checkpoint: {len(results) - len(networks)} networks")
    layers = [layer for layer in _merged(networks) if _varies(networks, layer)]
    colors = {n: of_ordered(at / max(len(layers) - 1, 1)) for at, n in enumerate(layers)}
    looks = {layer: Look(color) for layer, color in colors.items()}
    labels = list(dict.fromkeys(network.label for network in networks))
    panels = []
    for label, title in zip(labels, trajectories.telling(labels), strict=True):
        members = [network for network in networks if network.label == label]
        steps = sorted({network.step for network in members})
        lines = [
            Line(
                layer,
                [
                    _point(step, [n for n in members if n.step == step], value, layer)
                    for step in steps
                ],
                looks[layer],
                {"label": label, "layer": layer},
            )
            for layer in layers
        ]
        lines = [line for line in lines if any(point.defined for point in line.points)]
        panels.append(Plane(title if len(labels) > 1 else "", lines, _marks(members, layers)))
    keys = list(looks.items())
    if any(panel.marks for panel in panels):
        keys.append((INITIAL_NAME, INITIAL))
    drawing = Lines(
        panels,
        keys,
        "training step",
        _ylabel(results),
        place="step",
        value=value,
        percent=False,
        band=True,
        wide=True,
        whole=False,
        shared=True,
        near=results[0].kind == "smoothness",
    )
    heading = f"{_ylabel(results).partition(':')[0].capitalize()} over training"
    return Picture(drawing, _notes(networks, drawing), heading)


def has_trajectory(results: Sequence[Result]) -> bool:
    """Whether there are checkpoints of several steps."""
    steps = {int(result.arrays("step")["step"]) for result in results}
    return len({step for step in steps if step >= 0}) > 1


def _networks(config: Plot, results: Sequence[Result], *names: str) -> list[Measured]:
    found = []
    for result in results:
        held = result.arrays("layer", "label", "step", *names)
        chosen = result.chosen(config.layers or ("all",))
        label = str(held["label"]).removesuffix(", untrained")  # which the phase says
        found.append(Measured(result, label, int(held["step"]), chosen, held))
    return found


def _transferred(network: Measured) -> Measured:
    """With `elsewhere` (layer,): its mean sensitivity to what is worst for the others of its file."""
    if "transfer" not in network.held or len(network.held["transfer"]) < 2:
        return network
    others = np.delete(network.held["transfer"], network.result.number or 0, axis=0)
    mean = [float(np.mean(v[np.isfinite(v)])) if np.isfinite(v).any() else np.nan for v in others.T]
    return replace(network, held={**network.held, "elsewhere": np.array(mean)})


def _lines(networks: Sequence[Measured]) -> list[tuple[str, list[Measured]]]:
    """Networks of one label and step, under what tells them from the others."""
    found: dict[tuple[str, int], list[Measured]] = {}
    for network in networks:
        found.setdefault((network.label, network.step), []).append(network)
    if len(found) == 1:
        return [(networks[0].result.name if len(networks) == 1 else "mean", [*networks])]
    return list(zip(trajectories.names(list(found)), found.values(), strict=True))


def _looks(names: Sequence[str]) -> dict[str, Look]:
    """Colors that are apart; where the names differ in one number, from light to dark as it grows.

    >>> [look.color for look in _looks(["strength=1", "strength=2"]).values()]
    ['#B5C32A', '#440154']
    """
    parts = [NUMBER.split(name) for name in names]
    long = [part for part in parts if len(part) == max(map(len, parts))]
    # One name may lack the number: the network that was not smoothed is at 0.
    differ = [at for at in range(len(long[0])) if len({part[at] for part in long}) > 1]
    if len(differ) != 1 or differ[0] % 2 == 0 or len(parts) > len(long) + 1:
        return many(names)
    numbers = [float(part[differ[0]]) if part in long else 0.0 for part in parts]
    last = len(names) - 1
    rising = sorted(zip(numbers, names, strict=True))
    return {
        name: Look(of_ordered((last - at) / last), "-", "o") for at, (_, name) in enumerate(rising)
    }


def _in_panels(networks: Sequence[Measured]) -> list[Measured]:
    """The networks with their panels: a file of several has its own; those of one network share one.

    What is said of all networks of a panel and not of all others moves from their labels to its title,
    so that what is alike otherwise has one color in all panels. An architecture stays a label.
    """
    paths = [network.result.path for network in networks]
    files = ["" if paths.count(path) == 1 else str(path) for path in paths]
    if len(set(files)) == 1:
        return [*networks]
    said = [network.label.split(", ") for network in networks]
    alike = {
        file: set.intersection(
            *(set(words[1:]) for own, words in zip(files, said, strict=True) if own == file)
        )
        for file in set(files)
    }
    everywhere = set.intersection(*alike.values())
    short = dict(zip(alike, short_names([*alike]), strict=True))
    found = []
    for network, file, words in zip(networks, files, said, strict=True):
        moved = alike[file] - everywhere
        title = titled(short[file], *(word for word in words if word in moved))
        label = titled(*(word for word in words if word not in moved))
        found.append(replace(network, label=label, panel=title))
    return found


def _by_panel(networks: Sequence[Measured]) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for network in networks:
        found.setdefault(network.panel, []).append(network)
    return found


def _facts(name: str, networks: Sequence[Measured]) -> dict[str, str]:
    return {"panel": networks[0].panel, "label": name, "phase": networks[0].phase}


def _by_layer(
    networks: Sequence[Measured],
    groups: Sequence[tuple[str, list[Measured]]],
    drawn: Callable[[list[str], str, list[Measured]], list[Line]],
    keys: Sequence[tuple[str, Look]],
    results: Sequence[Result],
) -> Lines:
    """A panel for each title and phase, with what `drawn` makes of each group in it."""
    panels = []
    for title, members in _by_panel(networks).items():
        for phase in sorted({network.phase for network in members}, reverse=True):
            within = [network for network in members if network.phase == phase]
            layers = _merged(within)
            lines = [
                line
                for name, group in groups
                if (own := [network for network in group if network in within])
                for line in drawn(layers, name, own)
            ]
            panels.append(Plane(titled(title, phase), lines))
    return Lines(
        panels,
        keys,
        "layer, input to output",
        _ylabel(results),
        place="layer",
        value="sensitivity",
        percent=False,
        band=True,
        whole=False,
        shared=True,
    )


def _merged(networks: Sequence[Measured]) -> list[str]:
    """All their layers in one order: one that only some have follows the one before it there."""
    order: list[str] = []
    for network in networks:
        at = 0
        for layer in network.layers:
            if layer in order:
                at = order.index(layer)
            else:
                order.insert(at, layer)
            at += 1
    return order


def _varies(networks: Sequence[Measured], layer: str) -> bool:
    """Whether the layer can vary: a 1x1 kernel has no neighbors."""
    return not all(
        "initial" in network.held and network.of("initial", layer) == 0 for network in networks
    )


def _points(layers: Sequence[str], group: Sequence[Measured], name: str) -> list[Point]:
    return [_point(layer, group, name, layer) for layer in layers]


def _point(place: float | str, group: Sequence[Measured], name: str, layer: str) -> Point:
    """The mean of the networks and 2 standard deviations, or one network with its interval."""
    values = [float(network.of(name, layer)) for network in group if name in network.held]
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return Point(place, math.nan)
    mean = float(np.mean(values))
    if len(values) > 1:
        reach = 2 * float(np.std(values, ddof=1))
        return Point(place, mean, mean - reach, mean + reach, values)
    interval = {"sensitivity": "interval", "worst": "worst_interval"}.get(name, "")
    ends = group[0].of(interval, layer).tolist() if interval in group[0].held else ()
    return Point(place, mean, *ends)


def _initial(layers: Sequence[str], networks: Sequence[Measured]) -> list[Line]:
    """What was expected before training, with 2 standard deviations: a line, or one for each law."""
    found: list[dict[float, float]] = []  # of each layer, the deviation of each value
    for layer in layers:
        pairs = (
            (float(network.of("initial", layer)), float(network.of("initial_deviation", layer)))
            for network in networks
        )
        known = {round(value, 3): sd for value, sd in pairs if math.isfinite(value)}
        found.append(dict(sorted(known.items())))
    lines = []
    for at in range(max(map(len, found), default=0)):
        values = [[*known.items()][at] if at < len(known) else (math.nan,) * 2 for known in found]
        points = [
            Point(layer, value, value - 2 * sd, value + 2 * sd)
            for layer, (value, sd) in zip(layers, values, strict=True)
        ]
        facts = {"panel": networks[0].panel, "label": ""}
        lines.append(Line(INITIAL_NAME, points, INITIAL, facts))
    return lines


def _marks(networks: Sequence[Measured], layers: Sequence[str]) -> list[Mark]:
    """The initial values, one for each size of kernel."""
    if "initial" not in networks[0].held:
        return []
    values = {round(float(n.of("initial", layer)), 3) for n in networks for layer in layers}
    return [Mark(v, INITIAL_NAME, INITIAL) for v in sorted(values) if math.isfinite(v)]


def _ylabel(results: Sequence[Result]) -> str:
    if results[0].kind == "smoothness":
        return "normalized total variation:\n0 is constant over space"
    distances = sorted({str(r.attributes["distance"] or "cosine") for r in results})
    return f"deformation sensitivity:\nnormalized {' or '.join(distances)} distance"


def _notes(networks: Sequence[Measured], drawing: Lines) -> list[str]:
    labels = list(dict.fromkeys(network.label for network in networks))
    shared = trajectories.common(labels) if len(labels) > 1 else labels[0]
    notes = [f"{'All' if len(networks) > 1 else 'Network'}: {shared}."] if shared else []
    lines = [line for panel in drawing.panels for line in panel.lines if line.look != INITIAL]
    counts = sorted({len(point.each) for line in lines for point in line.points if point.each})
    if counts:
        each = " to ".join(f"{count}" for count in dict.fromkeys([counts[0], counts[-1]]))
        notes.append(f"Band: 2 standard deviations over the networks of a line ({each} each).")
    if any(not point.each and point.low < point.high for line in lines for point in line.points):
        notes.append(f"Band{' of one network' if counts else ''}: 95 % bootstrap over images.")
    return notes
