"""Accuracy against the size that images are shrunk to before they are placed at random."""

from collections.abc import Iterator, Sequence

from invtool.config import Plot
from invtool.errors import InvtoolError
from invtool.plots.panels import Line, Lines, Plane, Point
from invtool.stages.plot_networks import CHANCE, Picture, chance, many, titled, total
from invtool.stages.plot_sources import IMAGES_INTERVAL, Result
from invtool.transforms import SpecError, Step, parse

Series = dict[str, list[tuple[float, int]]]  # of a fill: sizes, and numbers of their conditions


def embeddings(result: Result) -> list[tuple[int, Step]]:
    """The conditions that shrink and place the image and do nothing else, by number."""
    found = []
    for number, text in enumerate(result.conditions):
        try:
            steps = parse(text).steps
        except SpecError:  # of another version
            continue
        if [step.name for step in steps] == ["embed"]:
            found.append((number, steps[0]))
    return found


def embedded(config: Plot, results: Sequence[Result]) -> Picture:
    """A line a network and fill; the last point is that of the images as they are."""
    group = "all" if config.group == "auto" else config.group
    series = {result.name: _series(result) for result in results}
    fills = {fill for found in series.values() for fill in found}
    lines = [
        line
        for result in results
        for line in _lines(result, series[result.name], group, len(results), len(fills))
    ]
    looks = many([line.name for line in lines])
    lines = [Line(line.name, line.points, looks[line.name], line.facts) for line in lines]
    categories = total(results)
    keys = [(name, look) for name, look in looks.items() if name]
    drawing = Lines(
        [Plane("", lines, chance(categories))],
        [*keys, *([("chance", CHANCE)] if categories else [])],
        "height of the embedded image (px)",
        place="size",
        band=True,
        wide=True,
    )
    who = "all" if group == "all" else f"the {group}"
    notes = [
        f"Images of {who} categories at random places; around them: {', '.join(sorted(fills))}.",
        "Last: whole images.",
        f"Band: {IMAGES_INTERVAL}.",
    ]
    return Picture(drawing, notes)


def _series(result: Result) -> Series:
    conditions = embeddings(result)
    if not conditions:
        raise InvtoolError(
            f"{result.label} has no condition that embeds its images; run invtool evaluate --embed PX"
        )
    found = Series()
    for number, step in conditions:
        found.setdefault(str(step.values[1]), []).append((pixels(result, step), number))
    whole = (_height(result), 0)
    return {fill: [*sorted(places), whole] for fill, places in found.items()}


def pixels(result: Result, step: Step) -> float:
    """Height of the images that a step embeds."""
    size = float(str(step.values[0]))
    return max(1, round(size * _height(result))) if size <= 1 else size


def _height(result: Result) -> float:
    told = result.attributes.get("image_height")
    if told is None:
        raise InvtoolError(f"{result.label} does not tell the height of its images; make it anew")
    return float(told)


def _lines(result: Result, series: Series, group: str, networks: int, fills: int) -> Iterator[Line]:
    """Lines without looks, named by what tells them apart."""
    held = result.arrays("accuracy", "wilson")
    g = result.index(group)
    for fill, places in series.items():
        points = []
        for size, c in places:
            low, high = held["wilson"][c, g].tolist()
            points.append(Point(size, float(held["accuracy"][c, g]), low, high))
        name = titled(result.name if networks > 1 else "", fill if fills > 1 else "")
        facts = {"network": result.name, "fill": fill, "group": group}
        yield Line(name, points, facts=facts)
