"""Results of one or several files as one picture: what varies among them decides which."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.errors import InvtoolError
from invtool.files import provenance
from invtool.plots import terminal
from invtool.plots.density import finite
from invtool.plots.panels import Curves, Panel
from invtool.stages.plot_sources import (
    Result,
    common_categories,
    common_layers,
    common_transforms,
    describe,
    distinct,
    refuse_activations,
)

SPLIT = ("seen", "unseen")
COEFFICIENT = "invariance coefficient $I_k$ (0 to 1)"


@dataclass(frozen=True)
class Picture:
    """Panels or curves, and the words around them."""

    xlabel: str
    panels: Sequence[Panel] = ()
    curves: Sequence[Curves] = ()
    ylabel: str = COEFFICIENT
    place: str = "{}"  # a column's label in a sentence
    counted: str = "units"
    notes: Sequence[str] = ()
    categories: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def run(config: Plot, sources: Sequence[Path], output: Path) -> None:
    """Draw the files `sources` as one picture into `output`."""
    results = distinct([describe(source) for source in sources])
    kind = _kind(results) if config.kind == "auto" else config.kind
    if kind != "accuracy":
        refuse_activations(results, kind)
    picture = PICTURES[kind](config, results)
    if config.format == "text":
        text = _text(config, picture, _facts(results))
        output.write_text(text + "\n", encoding="utf-8" if _screen().unicode else "ascii")
    else:
        steps = provenance.step(config=asdict(config), inputs=[r.steps for r in results])
        _figure(config, picture, _facts(results), output, steps)


def _kind(results: Sequence[Result]) -> str:
    if all(result.kind == "activations" for result in results):
        return "accuracy"
    if len({result.seen for result in results if result.seen is not None}) > 1:
        return "seen"
    one = results[0]
    return "transforms" if len(one.layers) == 1 and len(one.transforms) > 1 else "layers"


def _layers(config: Plot, results: Sequence[Result]) -> Picture:
    chosen = [result.chosen(config.layers or ("all",)) for result in results]
    arrays = [r.read(layers, "invariance") for r, layers in zip(results, chosen, strict=True)]

    def panels(groups: Sequence[str]) -> list[Panel]:
        return [
            Panel(
                _title(transform, result.name if len(results) > 1 else ""),
                layers,
                {g: [of[name][t, result.index(g)] for name in layers] for g in groups},
            )
            for result, layers, of in zip(results, chosen, arrays, strict=True)
            for t, transform in enumerate(result.transforms)
        ]

    return Picture("layer, input to output", _grouped(config, panels))


def _transforms(config: Plot, results: Sequence[Result]) -> Picture:
    chosen = [result.chosen(config.layers or ("penultimate",)) for result in results]
    arrays = [r.read(layers, "invariance") for r, layers in zip(results, chosen, strict=True)]

    def panels(groups: Sequence[str]) -> list[Panel]:
        return [
            Panel(
                _title(layer, result.name if len(results) > 1 else ""),
                result.transforms,
                {g: list(of[layer][:, result.index(g)]) for g in groups},
            )
            for result, layers, of in zip(results, chosen, arrays, strict=True)
            for layer in layers
        ]

    return Picture("transform", _grouped(config, panels))


def _seen(config: Plot, results: Sequence[Result]) -> Picture:
    total = common_categories(results)
    layers = common_layers(results, config.layers or ("penultimate",))
    transforms = common_transforms(results)
    ordered = sorted(results, key=lambda result: result.seen or 0)
    arrays = [result.read(layers, "invariance") for result in ordered]
    counts = sorted({result.seen for result in ordered if result.seen is not None})

    def pooled(layer: str, transform: str, group: str) -> list[NDArray[Any]]:
        parts: dict[int | None, list[NDArray[Any]]] = {number: [] for number in counts}
        for result, of in zip(ordered, arrays, strict=True):
            at = result.transforms.index(transform)
            parts[result.seen].append(of[layer][at, result.index(group)])
        return [np.concatenate(parts[number]) for number in counts]

    def panels(groups: Sequence[str]) -> list[Panel]:
        return [
            Panel(
                _title(transform, layer),
                [str(number) for number in counts],
                {group: pooled(layer, transform, group) for group in groups},
            )
            for transform in transforms
            for layer in layers
        ]

    notes = []
    if len(results) > len(counts):
        notes.append(f"{len(results)} networks; the units of equal numbers are pooled.")
    return Picture(
        _of_categories(total), _grouped(config, panels), place="{} seen categories", notes=notes
    )


def _active(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 3a: how many images activate a unit, and how many units are active for an image."""
    group = "all" if config.group == "auto" else config.group
    panels = []
    for result in results:
        layers = result.chosen(config.layers or ("all",))
        images = result.read(layers, "active_images")
        units = result.read(layers, "active_units")
        inside = result.images(group, next(iter(units.values())).shape[-1])
        for t, transform in enumerate(result.transforms):
            where = _title(transform, result.name if len(results) > 1 else "")
            counts = [images[name][t, result.index(group)] for name in layers]
            shares = [100 * each / max(int(inside.sum()), 1) for each in counts]
            panels.append(Panel(f"{where}\nimages that activate a unit", layers, {group: shares}))
            active = [100 * units[name][t][inside] / images[name].shape[-1] for name in layers]
            panels.append(Panel(f"{where}\nunits active for an image", layers, {group: active}))
    return Picture(
        "layer, input to output",
        panels,
        ylabel="share (% of images, of units)",
        counted="units on the left, images on the right",
        options={"limit": 100.0, "whole": False, "across": 2, "empty": "no image"},
    )


def _accuracy(config: Plot, results: Sequence[Result]) -> Picture:
    for result in results:
        if not result.accuracy:
            raise InvtoolError(f"{result.label} holds no accuracy; its network gave no predictions")
    transforms = common_transforms(results)
    if len({result.seen for result in results}) < 2:
        pairs = [(result, transform) for transform in transforms for result in results]
        places: list[Any] = [transform for _, transform in pairs]
        curves = [Curves("", places, _series(pairs))]
        return Picture("transform", curves=curves, categories=_total(results))
    total = common_categories(results)
    seen = [result.seen or 0 for result in results]
    curves = [Curves(t, seen, _series([(r, t) for r in results])) for t in transforms]
    notes = []
    if len(results) > len(set(seen)):
        notes.append(f"{len(results)} networks; equal numbers are averaged, their extent beside.")
    return Picture(_of_categories(total), curves=curves, categories=total, notes=notes)


def _series(pairs: Sequence[tuple[Result, str]]) -> dict[str, list[float]]:
    series = {
        "within": [result.right(transform, "seen") for result, transform in pairs],
        "across": [result.right(transform, "unseen") for result, transform in pairs],
        "clean": [result.right("none", "all") for result, _ in pairs],
    }
    if np.isnan([*series["within"], *series["across"]]).all():  # no image says which it is
        series["all"] = [result.right(transform, "all") for result, transform in pairs]
    return {name: numbers for name, numbers in series.items() if not np.isnan(numbers).all()}


PICTURES: dict[str, Callable[[Plot, Sequence[Result]], Picture]] = {
    "layers": _layers,
    "seen": _seen,
    "transforms": _transforms,
    "active": _active,
    "accuracy": _accuracy,
}


def _total(results: Sequence[Result]) -> int | None:
    totals = {result.categories for result in results}
    return totals.pop() if len(totals) == 1 else None


def _grouped(config: Plot, panels: Callable[[Sequence[str]], list[Panel]]) -> list[Panel]:
    """Panels of the group asked for; `auto` is seen beside unseen, or all where neither has a value."""
    if config.group != "auto":
        return panels((config.group,))
    split = panels(SPLIT)
    held = any(finite(v).size for p in split for column in p.samples.values() for v in column)
    return split if held else panels(("all",))


def _title(first: str, second: str) -> str:
    return f"{first}, {second}" if second else first


def _of_categories(total: int | None) -> str:
    return "number of seen categories" + (f" of {total}" if total else "")


def _facts(results: Sequence[Result]) -> str:
    """Threshold, data and networks, as far as the files tell."""
    taus = sorted({float(result.tau) for result in results if result.tau is not None})
    data = sorted({result.data for result in results if result.data})
    texts = []
    if taus:
        ends = dict.fromkeys([taus[0], taus[-1]])
        texts.append(f"tau = {' to '.join(f'{tau:.3g}' for tau in ends)}.")
    if data:
        texts.append(f"Data: {', '.join(data)}.")
    if len(results) == 1 and results[0].counts:
        texts.append(f"{results[0].counts}.")
    return " ".join(texts)


def _silent(picture: Picture) -> str:
    """How many values are undefined in every group, and where most of them are."""
    found = []
    for panel in picture.panels:
        for at, label in enumerate(panel.labels):
            columns = [np.isnan(samples[at]) for samples in panel.samples.values()]
            found.append((int(np.logical_and.reduce(columns).sum()), columns[0].size, label))
    silent, units = sum(f[0] for f in found), sum(f[1] for f in found)
    if not silent:
        return "No unit is silent."
    most, among, label = max(found, key=lambda f: f[0])
    place = picture.place.format(label)
    where = f" (most in {place}: {most:,} of {among:,})" if len(found) > 1 else ""
    return f"Silent units (no active image) are left out: {silent:,} of {units:,}{where}."


def _caption(picture: Picture, facts: str, how: str) -> str:
    silent = _silent(picture) if picture.ylabel == COEFFICIENT and picture.panels else ""
    return " ".join(text for text in (how, *picture.notes, silent, facts) if text)


def _figure(
    config: Plot, picture: Picture, facts: str, output: Path, steps: provenance.Steps
) -> None:
    from invtool.plots import curves, style, violins  # matplotlib, which a terminal does not need

    size: dict[str, Any] = {"width": config.width, "height": config.height}
    if picture.curves:
        figure = curves.accuracy(
            picture.curves,
            categories=picture.categories,
            xlabel=picture.xlabel,
            title=config.title,
            caption=_caption(picture, facts, ""),
            **size,
        )
    else:
        figure = violins.violins(
            picture.panels,
            xlabel=picture.xlabel,
            ylabel=picture.ylabel,
            title=config.title,
            caption=_caption(picture, facts, f"Dot: median; bar: quartiles; n: {picture.counted}."),
            **picture.options,
            **size,
        )
    about = "\n".join(step["command"] for step in steps)
    try:
        style.save(figure, output, config.format, dpi=config.dpi, about=about)
    except ValueError as error:
        raise InvtoolError(f"{error}; raise --width or --height, or choose with --layer") from None


def _text(config: Plot, picture: Picture, facts: str) -> str:
    if picture.curves:
        title = config.title or f"top-1 accuracy (%) by {picture.xlabel}"
        caption = _caption(picture, facts, "")
        return terminal.curves(picture.curves, _screen(), title=title, caption=caption)
    ylabel = picture.ylabel.replace("$", "")
    return terminal.violins(
        picture.panels,
        _screen(),
        title=config.title or f"{ylabel} by {picture.xlabel}",
        caption=_caption(picture, facts, f"n: {picture.counted}."),
        **{key: value for key, value in picture.options.items() if key != "across"},
    )


def _screen() -> terminal.Screen:
    watched = sys.stdout.isatty()
    return terminal.Screen(
        columns=max(shutil.get_terminal_size().columns, 24),
        unicode="utf" in (sys.stdout.encoding or "").lower(),
        color=watched and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
    )
