"""Images that move by one step after another: their map (figure 2), a film of one, and the measures."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.data.photographs import UNKNOWN
from invtool.errors import InvtoolError, UsageError
from invtool.plots.colors import COLORS
from invtool.plots.panels import Film, Line, Lines, Look, Map, Maps, Plane, Point, Track
from invtool.stages.plot_networks import Picture, many
from invtool.stages.plot_sources import Result

MOST = 6  # maps; more is a slip of the pen
CURVES = 3  # beside a map
PLACES = {"scale": "size of the object (px)", "frames": "frame"}
# Measures that are drawn, what a panel says of each, and the unit of its axis.
MEASURES = {
    "jagged_images": ("jagged images", "share of the images (%)"),
    "top1_changes": ("changes of the top-1 class", "share of the steps (%)"),
    "absolute_change": ("mean change of a probability", "percentage points a step"),
}
Arrays = dict[str, NDArray[Any]]


def maps(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 2: a row an image, sorted by the sum of its probabilities, beside curves of single images."""
    if len(results) > MOST:
        raise UsageError(
            f"{len(results)} maps are too many for a picture; give {MOST} networks or fewer, "
            "or --kind jaggedness"
        )
    panels = []
    for result in results:
        held = _held(result)
        values = held["probability"]
        order = _sorted(values)
        title = f"{result.name}, {len(values):,} image" + "s" * (len(values) != 1)
        examples = [_track(held, at) for at in range(min(CURVES, len(held.get("example", ()))))]
        first = next(other for other in results if other.path == result.path)
        if result.protocol != first.protocol:  # by which the frames that are kept were made
            examples = [replace(track, frames=None) for track in examples]
        names = held["name"][order].tolist()
        facts = {"network": result.name}
        panels.append(Map(title, held["position"], values[order], names, examples, facts))
    drawing = Maps(panels, place_of(results), _probability(results), column_of(results))
    notes = protocols(results)
    if any(panel.examples for panel in panels):
        whom = " for the first network" if results[0].number is not None else ""
        notes.append(f"Curves: the most jagged images{whom}, and frames where each jumps most.")
    return Picture(drawing, notes, "Probability by image and position")


def film(config: Plot, results: Sequence[Result]) -> Picture:
    """One of the images whose frames are kept, beside its curve."""
    if len(results) > 1:
        raise UsageError(
            f"--kind moving draws one network, not {len(results)}; name one file of one"
        )
    (result,) = results
    held = _held(result)
    kept = len(held.get("example", ()))
    number = config.example or 1
    if number > kept:
        found = (
            f"the frames of {kept} image" + "s" * (kept != 1) if kept else "the frames of no image"
        )
        raise InvtoolError(
            f"{result.label} holds {found}, not of {number}; make it again with invtool jagged "
            "--examples N"
        )
    track = _track(held, number - 1, {"network": result.name})
    drawing = Film(track, place_of(results), _probability(results), column_of(results))
    return Picture(drawing, protocols(results), track.title)


def jaggedness(config: Plot, results: Sequence[Result]) -> Picture:
    """Three measures with their intervals, a panel each, by network, or by size of the object."""
    told = [(result, result.arrays("measure", "value", "interval")) for result in results]
    sizes = {result.object_size for result in results}
    by_size = None not in sizes and len(sizes) > 1
    names = {
        id(r): r.name.removesuffix(f", {r.object_size} px") if by_size else r.name for r in results
    }
    looks = (
        many(list(dict.fromkeys(names.values())))
        if by_size
        else {"": Look(COLORS["seen"], "", "o")}
    )
    panels = []
    for measure, (title, unit) in MEASURES.items():
        lines = {name: list[Point]() for name in looks}
        for result, held in told:
            name = names[id(result)]
            place = float(result.object_size or 0) if by_size else name
            lines[name if by_size else ""].append(_measured(measure, place, held))
        drawn = [
            Line(
                name,
                points,
                looks[name],
                {"measure": measure, **({"network": name} if name else {})},
            )
            for name, points in lines.items()
        ]
        if any(point.defined for line in drawn for point in line.points):
            panels.append(Plane(title, drawn, ylabel=unit))
    drawing = Lines(
        panels,
        list(looks.items()) if len(looks) > 1 else [],
        PLACES["scale"] if by_size else "file" if results[0].number is None else "network",
        "",
        place="object_size" if by_size else "network",
        value="value",
        wide=by_size,
        whole=False,
    )
    notes = ["Intervals: 95 % bootstrap over images.", *protocols(results)]
    return Picture(drawing, notes, "How often answers change as images move")


def _held(result: Result) -> Arrays:
    return result.arrays("position", "probability", "name", "example", "example_frame")


def _sorted(values: NDArray[Any]) -> NDArray[Any]:
    """Rows from the highest mean to the lowest, those without a value last."""
    held = np.isfinite(values).sum(axis=1)
    mean = np.where(held > 0, np.nansum(values, axis=1) / np.maximum(held, 1), -1)
    return np.argsort(-mean, kind="stable")


def _track(held: Arrays, at: int, facts: dict[str, Any] | None = None) -> Track:
    image = int(held["example"][at])
    name = str(held["name"][image])
    frames = held["example_frame"][at].transpose(0, 2, 3, 1)
    values = held["probability"][image]
    return Track(name, held["position"], values, frames, {**(facts or {}), "image": name})


def _measured(measure: str, place: float | str, held: Arrays) -> Point:
    names = held["measure"].tolist()
    if measure not in names:
        return Point(place, np.nan)
    at = names.index(measure)
    low, high = held["interval"][at].tolist()
    return Point(place, float(held["value"][at]), low, high)


def place_of(results: Sequence[Result]) -> str:
    """What the positions are."""
    found = {PLACES.get(str(r.attributes["protocol"]), "shift (px)") for r in results}
    return found.pop() if len(found) == 1 else "position"


def column_of(results: Sequence[Result]) -> str:
    return {PLACES["scale"]: "size_px", PLACES["frames"]: "frame"}.get(
        place_of(results), "shift_px"
    )


def _probability(results: Sequence[Result]) -> str:
    """Whose probability is followed."""
    first = all(
        result.attributes["target"] == "first" or (label == UNKNOWN).all()
        for result in results
        for label in result.arrays("label").values()
    )
    return f"probability of the {'class answered first' if first else 'true class'}"


def protocols(results: Sequence[Result]) -> list[str]:
    """What was done, once where it is the same; the words tell the sizes of objects."""
    texts: dict[str, dict[str, None]] = {}
    for result in results:
        if result.protocol:
            texts.setdefault(result.protocol, {})[result.name] = None
    if len(texts) == 1:
        return [f"Protocol: {next(iter(texts))}."]
    if len({result.object_size for result in results}) > 1:
        return [f"Protocols: {'; '.join(texts)}."]
    return [f"Protocol of {', '.join(names)}: {text}." for text, names in texts.items()]
