"""Distributions of I_k: by layer, by number of seen categories, by transform; and of what is active."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.plots.density import finite
from invtool.plots.panels import Panel, Violins
from invtool.stages.plot_networks import Family, Picture, families, of_categories, titled
from invtool.stages.plot_sources import Result, common_categories, common_layers

SPLIT = ("seen", "unseen")
DEPTH = "layer, input to output"
DRAWN = "Dot: median; bar: quartiles; n: {}."


def layers(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 10: a panel a file and transform, a violin a layer."""
    read = _read(results, config.layers or ("all",))

    def panels(groups: Sequence[str]) -> list[Panel]:
        return [
            Panel(
                titled(transform, result.name if len(results) > 1 else ""),
                layers,
                {g: [of[name][t, result.index(g)] for name in layers] for g in groups},
                {"file": result.name, "transform": transform},
            )
            for result, layers, of in read
            for t, transform in enumerate(result.transforms)
        ]

    return _picture(Violins(_grouped(config, panels), DEPTH, column="layer"))


def transforms(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 3b: a panel a file and layer, a violin a transform."""
    read = _read(results, config.layers or ("penultimate",))

    def panels(groups: Sequence[str]) -> list[Panel]:
        return [
            Panel(
                titled(layer, result.name if len(results) > 1 else ""),
                result.transforms,
                {g: list(of[layer][:, result.index(g)]) for g in groups},
                {"file": result.name, "layer": layer},
            )
            for result, layers, of in read
            for layer in layers
        ]

    return _picture(Violins(_grouped(config, panels), "transform", column="transform"))


def seen(config: Plot, results: Sequence[Result]) -> Picture:
    """Figures 4, 8 and 9: a panel a transform, a violin a number of seen categories."""
    total = common_categories(results)
    layers = common_layers(results, config.layers or ("penultimate",))
    arrays = {id(result): result.read(layers, "invariance") for result in results}
    compared = families(results)

    def pooled(family: Family, layer: str, group: str) -> list[NDArray[Any]]:
        def units(result: Result) -> NDArray[Any]:
            at = result.transforms.index(family.transform)
            return np.asarray(arrays[id(result)][layer][at, result.index(group)])

        return [np.concatenate([units(r) for r in family.at(n)]) for n in family.counts]

    def panels(groups: Sequence[str]) -> list[Panel]:
        return [
            Panel(
                titled(family.title, layer),
                [str(number) for number in family.counts],
                {group: pooled(family, layer, group) for group in groups},
                {"transform": family.transform, "layer": layer},
            )
            for family in compared
            for layer in layers
        ]

    drawing = Violins(_grouped(config, panels), of_categories(total), column="seen_categories")
    notes = []
    if any(len(family.networks) > len(family.counts) for family in compared):
        notes.append(f"{len(results)} networks; the units of equal numbers are pooled.")
    return _picture(drawing, "{} seen categories", notes)


def active(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 3a: how many images activate a unit, and how many units are active for an image."""
    group = "all" if config.group == "auto" else config.group
    panels = []
    for result in results:
        layers = result.chosen(config.layers or ("all",))
        images = result.read(layers, "active_images")
        units = result.read(layers, "active_units")
        inside = result.images(group, next(iter(units.values())).shape[-1])
        for t, transform in enumerate(result.transforms):
            where = titled(transform, result.name if len(results) > 1 else "")
            facts = {"file": result.name, "transform": transform}
            counts = [images[name][t, result.index(group)] for name in layers]
            shares = [100 * each / max(int(inside.sum()), 1) for each in counts]
            title, told = f"{where}\nimages that activate a unit", {"share": "images of a unit"}
            panels.append(Panel(title, layers, {group: shares}, facts | told))
            active = [100 * units[name][t][inside] / images[name].shape[-1] for name in layers]
            title, told = f"{where}\nunits active for an image", {"share": "units of an image"}
            panels.append(Panel(title, layers, {group: active}, facts | told))
    drawing = Violins(
        panels,
        DEPTH,
        "share (% of images, of units)",
        column="layer",
        empty="no image",
        limit=100.0,
        whole=False,
        across=2,
    )
    return Picture(drawing, [DRAWN.format("units on the left, images on the right")])


def _read(
    results: Sequence[Result], patterns: Sequence[str]
) -> list[tuple[Result, list[str], dict[str, NDArray[Any]]]]:
    """Each result with its chosen layers and their I_k, (transform, group, unit)."""
    chosen = [result.chosen(patterns) for result in results]
    return [(r, c, r.read(c, "invariance")) for r, c in zip(results, chosen, strict=True)]


def _picture(drawing: Violins, place: str = "{}", notes: Sequence[str] = ()) -> Picture:
    return Picture(drawing, [DRAWN.format("units"), *notes, _silent(drawing, place)])


def _grouped(config: Plot, panels: Callable[[Sequence[str]], list[Panel]]) -> list[Panel]:
    """Panels of the group asked for; `auto` is seen beside unseen, or all where neither has a value."""
    if config.group != "auto":
        return panels((config.group,))
    split = panels(SPLIT)
    held = any(finite(v).size for p in split for column in p.samples.values() for v in column)
    return split if held else panels(("all",))


def _silent(drawing: Violins, place: str) -> str:
    """How many values are undefined in every group, and where most of them are."""
    found = []
    for panel in drawing.panels:
        for at, label in enumerate(panel.labels):
            columns = [np.isnan(samples[at]) for samples in panel.samples.values()]
            found.append((int(np.logical_and.reduce(columns).sum()), columns[0].size, label))
    silent, units = sum(f[0] for f in found), sum(f[1] for f in found)
    if not silent:
        return "No unit is silent."
    most, among, label = max(found, key=lambda f: f[0])
    where = f" (most in {place.format(label)}: {most:,} of {among:,})" if len(found) > 1 else ""
    return f"Silent units (no active image) are left out: {silent:,} of {units:,}{where}."
