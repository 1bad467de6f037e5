"""What an Invariant Transformer Net learned: its losses, what it leaves of answers, pictures, and how far."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.errors import InvtoolError
from invtool.files import hdf5
from invtool.plots.colors import FAINT, INK, of_many
from invtool.plots.panels import Gallery, Line, Lines, Look, Plane, Point
from invtool.stages.plot_networks import Picture, many, titled
from invtool.stages.plot_sources import Result

Array = NDArray[Any]
SMOOTH = 25  # steps that a point of a curve is the mean of
CURVES = 200  # points of a curve, at most
HIGHEST = 3  # categories with a line of their own
OTHERS = Look(FAINT, "--")
PARTS = {"space": "k1", "color": "k2"}
SINGLE, LEARNED = Look(INK, "-", "o"), Look(of_many(1)[0], "-", "D")
FEW = 2  # examples a seed, where there are several seeds


def losses(config: Plot, results: Sequence[Result]) -> Picture:
    """Both losses against the step, a line a seed; a pair of panels a file."""
    panels, looks = [], dict[str, Look]()
    for result in results:
        held = result.arrays("seed", "classification_loss", "magnitude_loss")
        names = [f"seed {seed}" for seed in held["seed"]]
        for name in names:
            looks.setdefault(name, Look(of_many(len(looks))[0]))
        for field, said in (
            ("classification_loss", "classification loss"),
            ("magnitude_loss", "magnitude loss"),
        ):
            lines = [
                Line(
                    name,
                    _smoothed(row),
                    looks[name],
                    {"network": result.name, "loss": field, "seed": name},
                )
                for name, row in zip(names, held[field], strict=True)
            ]
            title = titled(result.name) if len(results) > 1 else ""
            panels.append(Plane(title, lines, ylabel=said))
    drawing = Lines(
        panels,
        list(looks.items()),
        "step",
        "loss",
        place="step",
        value="loss",
        percent=False,
        across=2,
        whole=False,
    )
    notes = [
        f"Means of {SMOOTH} steps. Magnitude loss: c_theta L(color) + L(space), the lower the farther.",
        "A batch takes it where its accuracy is kept, else the classification loss.",
    ]
    return Picture(drawing, notes, "Losses of an Invariant Transformer Net")


def _smoothed(values: Array) -> list[Point]:
    width = min(SMOOTH, len(values))
    means = np.convolve(values, np.ones(width) / width, "valid")
    kept = np.unique(np.linspace(0, len(means) - 1, min(CURVES, len(means))).astype(int))
    return [Point(float(at + width), float(means[at])) for at in kept]


def classification(config: Plot, results: Sequence[Result]) -> Picture:
    """Softmax of the highest categories for one image against each number of k, the others at 0."""
    panels, keys = [], list[tuple[str, Look]]()
    images = dict[str, None]()
    for result in results:
        names = [f"{part}_softmax" for part in PARTS]
        held = result.arrays("seed", "k", "example", "index", "label", *names)
        number = _example(config, result, held["example"])
        softmax = [held[name][:, :, :, number] for name in names]
        peak = np.max([s.max(axis=(0, 1, 2)) for s in softmax], axis=0)
        top = np.argsort(-peak, kind="stable")[:HIGHEST].tolist()
        categories = _categories(result)
        looks = many([categories(category) for category in top])
        image = held["example"][number]
        true = categories(int(held["label"][image]))
        images[f"image {held['index'][image]} ({true})"] = None
        for at, seed in enumerate(held["seed"]):
            for (_, letter), values in zip(PARTS.items(), softmax, strict=True):
                for second, line in enumerate((values[at, :, 0], values[at, 0])):
                    named = f"{letter}, {('first', 'second')[second]}"
                    title = titled(result.name, named) if len(results) > 1 else named
                    title = f"{title}\nseed {seed}" if len(held["seed"]) > 1 else title
                    facts = {"network": result.name, "seed": int(seed), "number": named}
                    panels.append(Plane(title, _lines(line, held["k"], top, looks, facts)))
        keys += [pair for pair in looks.items() if pair not in keys]
    drawing = Lines(
        panels,
        [*keys, ("others, the highest", OTHERS)],
        "k (the other numbers are 0)",
        "softmax (%)",
        place="k",
        value="softmax",
        across=4,
    )
    return Picture(drawing, [f"Of {', '.join(images)}."], "Softmax against k")


def _lines(
    softmax: Array, k: Array, top: list[int], looks: dict[str, Look], facts: dict[str, Any]
) -> list[Line]:
    """A line a category of `top`, and one of the highest of all others; softmax is (k, category)."""
    found = [
        Line(name, _points(k, softmax[:, category]), look, {**facts, "category": name})
        for category, (name, look) in zip(top, looks.items(), strict=True)
    ]
    rest = np.delete(softmax, top, axis=1)
    if rest.shape[1]:
        told = {**facts, "category": "others"}
        found.append(Line("others", _points(k, rest.max(axis=1)), OTHERS, told))
    return found


def _points(places: Array, values: Array) -> list[Point]:
    return [Point(float(p), float(v)) for p, v in zip(places, values, strict=True)]


def corners(config: Plot, results: Sequence[Result]) -> Picture:
    """The examples as they were and at the corners of k1 and k2, with the accuracy kept there."""
    rows, pictures, texts = list[str](), list[Array](), list[list[str]]()
    shape: tuple[int, ...] = ()
    for result in results:
        held = result.arrays(
            "seed",
            "corner",
            "example",
            "example_image",
            "label",
            *(f"{part}_{name}" for part in PARTS for name in ("picture", "accuracy")),
        )
        categories = _categories(result)
        several = len(results) > 1 or len(held["seed"]) > 1
        chosen = list(range(len(held["example"])))[: FEW if several else None]
        if config.example:
            chosen = [_example(config, result, held["example"])]
        for at, seed in enumerate(held["seed"]):
            for first, number in enumerate(chosen):
                shown = [held["example_image"][number]]
                told = [""]
                for part in PARTS:
                    shown += [held[f"{part}_picture"][at, c, number] for c in range(4)]
                    accuracy = held[f"{part}_accuracy"][at]
                    ends = (accuracy[0, 0], accuracy[-1, 0], accuracy[0, -1], accuracy[-1, -1])
                    told += [f"{100 * value:.0f} % right" for value in ends]
                stacked = np.stack([np.moveaxis(picture, 0, -1) for picture in shown])
                shape = shape or stacked.shape
                if stacked.shape != shape:
                    raise InvtoolError(
                        f"{result.label} holds images of another size than {results[0].label}; "
                        "draw them one at a time"
                    )
                name = categories(int(held["label"][held["example"][number]]))
                head = [result.name] * (len(results) > 1) + [f"seed {seed}"] * several
                rows.append("\n".join([*head, name]))
                pictures.append(stacked)
                texts.append(told if first == 0 else [""] * len(told))
    columns = ["as it was", *(f"{k} = {corner}" for k in PARTS.values() for corner in CORNERS)]
    drawing = Gallery(rows, columns, np.stack(pictures), texts)
    notes = [
        "Spatial (k1) and color (k2) maps at the corners, the other k at 0/0; held-out images."
    ]
    return Picture(drawing, notes, "Pictures at the corners of k")


CORNERS = ("0/0", "1/0", "0/1", "1/1")


def reach(config: Plot, results: Sequence[Result]) -> Picture:
    """How far each transformation goes with the accuracy kept, in the unit of its part."""
    panels = []
    for result in results:
        names = "path", "path_part", "path_seed", "boundary", "boundary_interval"
        held = result.arrays(*names)
        for part, unit in (
            ("space", "mean way of a pixel (px)"),
            ("color", "mean change (gray levels)"),
        ):
            lines = []
            inside = [
                n
                for n in np.argsort(-held["boundary"], kind="stable")
                if held["path_part"][n] == part
            ]
            for name, look, single in (("single", SINGLE, True), ("learned", LEARNED, False)):
                points = [
                    Point(_named(held, n), held["boundary"][n], low, high)
                    for n in inside
                    for low, high in [held["boundary_interval"][n].tolist()]
                    if (held["path_seed"][n] < 0) == single
                ]
                lines.append(
                    Line(name, points, look, {"network": result.name, "part": part, "kind": name})
                )
            ordered = [Line("", [Point(_named(held, n), float("nan")) for n in inside], SINGLE)]
            title = titled(result.name, part) if len(results) > 1 else part
            panels.append(Plane(title, [*ordered, *lines], ylabel=unit))
    drawing = Lines(
        panels,
        [("single transformation", SINGLE), ("learned, by seed", LEARNED)],
        "",
        "",
        place="transformation",
        value="boundary",
        percent=False,
        across=1,
        whole=False,
    )
    shares = ", ".join(sorted({f"{float(r.attributes['share']):.0%}" for r in results}))
    notes = [
        f"Largest magnitude with {shares} of the network's own accuracy kept; bars: 95 % bootstrap over images."
    ]
    return Picture(drawing, notes, "How far a network can be pushed")


def _named(held: dict[str, Array], number: int) -> str:
    seed = held["path_seed"][number]
    return f"{held['path'][number]}" + (f" s{seed}" if seed >= 0 else "")


def _example(config: Plot, result: Result, examples: Array) -> int:
    number = (config.example or 1) - 1
    if number >= len(examples):
        plural = "s" * (len(examples) != 1)
        raise InvtoolError(
            f"{result.label} keeps {len(examples)} example{plural}; --example {number + 1} is none of them"
        )
    return number


def _categories(result: Result) -> Any:
    """What a category is called, by its number."""
    with hdf5.open(result.path, kinds=(result.kind,), label=result.label) as file:
        names = file.attribute("categories") or []
    return lambda number: names[number] if number < len(names) else f"category {number}"
