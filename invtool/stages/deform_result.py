"""What `invtool deform` has measured, as an HDF5 file of kind `deformation` or as rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool import ranks
from invtool.config import Deform
from invtool.files import hdf5, tables
from invtool.files.provenance import Steps
from invtool.measures import image_interval, relative_sensitivity, sensitivity
from invtool.stages._subject import Subject

Array = NDArray[Any]
Row = dict[str, Any]


@dataclass
class Measured:
    """What is found of one network.

    deformed, noised: distances (draw, image, layer)
    median: of all pairs of images, (layer,)
    worst, worst_displacement: (image, layer) and (image, layer, point, axis), NaN where not looked for
    """

    name: str
    label: str
    step: int
    trained: bool
    layers: list[str]
    deformed: Array
    median: Array
    noised: Array | None = None
    worst: Array | None = None
    worst_displacement: Array | None = None

    def gather(self) -> None:
        """Bring the images of all ranks to rank 0."""
        for name, axis in (("deformed", 1), ("noised", 1), ("worst", 0), ("worst_displacement", 0)):
            values = getattr(self, name)
            if values is not None:
                setattr(self, name, ranks.gathered(values, axis))

    def displaced(self, layer: str) -> Array:
        """Control points of the deformations that are worst for a layer, (image, point, axis)."""
        assert self.worst_displacement is not None
        return np.asarray(self.worst_displacement[:, self.layers.index(layer)])

    def on(self, layers: Sequence[str], values: Array, axis: int) -> Array:
        """Values along its own layers, spread over `layers` with NaN for those that it lacks."""
        whole = np.full((len(layers), *np.delete(values.shape, axis)), np.nan)
        whole[[layers.index(name) for name in self.layers]] = np.moveaxis(values, axis, 0)
        return np.moveaxis(whole, 0, axis)


@dataclass(frozen=True, eq=False)
class Result:
    """What is found of all networks, over the union of their layers.

    transfer: distances (image,) by network, network whose worst deformations it is shown, and layer
    """

    config: Deform
    networks: list[Measured]
    subject: Subject
    facts: dict[str, Any]
    transfers: Mapping[tuple[int, int, str], Array] | None

    @cached_property
    def layers(self) -> list[str]:
        """In the order of the network that has most, then what others have besides."""
        longest = max(self.networks, key=lambda network: len(network.layers))
        others = (name for network in self.networks for name in network.layers)
        return list(dict.fromkeys([*longest.layers, *others]))

    def _stack(self, name: str, axis: int) -> Array:
        parts = ((each, getattr(each, name)) for each in self.networks)
        return np.stack([each.on(self.layers, values, axis) for each, values in parts])

    @cached_property
    def median(self) -> Array:
        """(seed, layer)"""
        return self._stack("median", 0)

    @cached_property
    def deformed(self) -> Array:
        """(seed, draw, image, layer)"""
        return self._stack("deformed", 2)

    @cached_property
    def noised(self) -> Array | None:
        """(seed, draw, image, layer)"""
        return self._stack("noised", 2) if self.config.noise else None

    @cached_property
    def worst(self) -> Array | None:
        """(seed, image, layer)"""
        return self._stack("worst", 1) if self.config.worst else None

    @property
    def worst_displacement(self) -> Array:
        """(seed, image, layer, point, axis)"""
        return self._stack("worst_displacement", 1)

    @cached_property
    def sensitivity(self) -> Array:
        """(seed, layer)"""
        return sensitivity(_by_layer(self.deformed), self.median)

    @cached_property
    def relative(self) -> Array | None:
        """(seed, layer)"""
        if self.noised is None:
            return None
        return relative_sensitivity(_by_layer(self.deformed), _by_layer(self.noised))

    @cached_property
    def worst_sensitivity(self) -> Array | None:
        """(seed, layer)"""
        return None if self.worst is None else sensitivity(_by_layer(self.worst), self.median)

    @cached_property
    def transfer(self) -> Array | None:
        """(seed, seed_of, layer); NaN where nothing was looked for."""
        if self.transfers is None:
            return None
        count = len(self.networks)
        found = np.full((count, count, len(self.layers)), np.nan)
        for (seed, source, name), distances in self.transfers.items():
            place = self.layers.index(name)
            found[seed, source, place] = sensitivity(distances, self.median[seed, place])
        return found

    def intervals(self, values: Array, over: Array | None = None) -> Array:
        """95 % bootstrap over images of their mean over the median, or over that of `over`.

        (seed, layer, bound), from (seed, draw, image, layer) or (seed, image, layer).
        """
        top = _by_image(values)
        if over is None:
            bottom = np.where(np.isnan(top), 0, np.nan_to_num(self.median)[..., None])
        else:
            bottom = np.nan_to_num(_by_image(over))
        resamples, seed = self.config.resamples, self.config.seed
        found = [
            image_interval(np.nan_to_num(one), two, resamples=resamples, seed=seed)
            for one, two in zip(top, bottom, strict=True)
        ]
        return np.stack(found)

    @cached_property
    def interval(self) -> Array:
        """(seed, layer, bound)"""
        return self.intervals(self.deformed)


def _by_layer(values: Array) -> Array:
    """Images and draws last: (seed, layer, draw x image)."""
    last = np.moveaxis(values, -1, 1)
    return last.reshape(*last.shape[:2], -1)


def _by_image(values: Array) -> Array:
    """(seed, layer, image), a mean of the draws."""
    draws = values if values.ndim == 4 else values[:, None]
    return np.moveaxis(draws.mean(axis=1), -1, 1)


def write(out: hdf5.Writer, result: Result, displacement: Array) -> None:
    """Fill a file of kind `deformation`."""
    for name, value in {**result.facts, **result.subject.network.smoothing}.items():
        out.attribute(name, value)
    networks, one = result.networks, ("seed",)
    out.array("network", [each.name for each in networks], one, long_name="networks")
    out.array("label", [each.label for each in networks], one, long_name="what they are")
    out.array("step", [each.step for each in networks], one, long_name="training step; -1: whole")
    trained = np.array([each.trained for each in networks], np.uint8)
    out.array("trained", trained, one, long_name="0: as initialized")
    out.array("layer", result.layers, ("layer",), long_name="layers, from the input")
    out.array("bound", ["lower", "upper"], ("bound",), long_name="ends of an interval")
    out.array("axis", ["vertical", "horizontal"], ("axis",), long_name="axes of a displacement")
    index = result.subject.index
    out.array("index", index, ("image",), long_name="number of the image in its data set")
    of, mean = "mean distance over the median of pairs", "95 % bootstrap interval over images"
    _values(out, "sensitivity", result.sensitivity, ("seed", "layer"), f"{of}, of deformation")
    _values(out, "interval", result.interval, ("seed", "layer", "bound"), mean)
    _values(out, "median", result.median, ("seed", "layer"), "median distance of two images")
    dims = ("seed", "draw", "image", "layer")
    _values(out, "distance", result.deformed, dims, "distance of a deformed image from itself")
    dims = ("draw", "image", "point", "axis")
    text = "displacement of a control point"
    out.array("displacement", displacement, dims, units="px", long_name=text)
    if result.noised is not None:
        _write_noise(out, result, result.noised)
    if result.worst is not None:
        _write_worst(out, result, result.worst)


def _values(out: hdf5.Writer, name: str, values: Any, dims: Sequence[str], text: str) -> None:
    out.array(name, np.asarray(values), dims, long_name=text)


def _write_noise(out: hdf5.Writer, result: Result, noised: Array) -> None:
    text = "mean distance by deformation over that by noise of its norm"
    _values(out, "relative", result.relative, ("seed", "layer"), text)
    interval, dims = result.intervals(result.deformed, noised), ("seed", "layer", "bound")
    _values(out, "relative_interval", interval, dims, "95 % bootstrap interval over images")
    dims4 = ("seed", "draw", "image", "layer")
    _values(out, "noise_distance", noised, dims4, "distance of an image with noise from itself")


def _write_worst(out: hdf5.Writer, result: Result, worst: Array) -> None:
    text = "sensitivity to the worst deformations found"
    _values(out, "worst", result.worst_sensitivity, ("seed", "layer"), text)
    dims: tuple[str, ...] = ("seed", "layer", "bound")
    interval = result.intervals(worst)
    _values(out, "worst_interval", interval, dims, "95 % bootstrap interval over images")
    dims = ("seed", "image", "layer")
    _values(out, "worst_distance", worst, dims, "distance under the worst deformation")
    dims = ("seed", "image", "layer", "point", "axis")
    moved = result.worst_displacement.astype(np.float32)
    text = "displacement of a control point in it"
    out.array("worst_displacement", moved, dims, units="px", long_name=text)
    if result.transfer is not None:
        text = "sensitivity to the deformations that are worst for another network"
        _values(out, "transfer", result.transfer, ("seed", "seed_of", "layer"), text)


def tabulate(target: Path, result: Result, form: str, steps: Steps) -> None:
    """Write a row a layer for people, or a row a network and layer for other programs."""
    if form != "table":
        facts = {**result.facts, **result.subject.network.smoothing}
        if form == "json":
            facts["transfer"] = list(_transfer_rows(result))
        tables.write(target, list(_rows(result)), form, steps, title="deformation", facts=facts)
        return
    rows = list(_alone(result) if len(result.networks) == 1 else _banded(result))
    tables.write(target, rows, form, steps, title=_title(result), footer="\n".join(_notes(result)))


def _rows(result: Result) -> Iterator[Row]:
    noise = None if result.noised is None else result.intervals(result.deformed, result.noised)
    worst = None if result.worst is None else result.intervals(result.worst)
    for n, network in enumerate(result.networks):
        for place, name in enumerate(result.layers):
            if name not in network.layers:
                continue
            row: Row = {
                "network": network.name,
                "label": network.label,
                "step": network.step,
                "layer": name,
                "sensitivity": float(result.sensitivity[n, place]),
                "low": float(result.interval[n, place, 0]),
                "high": float(result.interval[n, place, 1]),
                "median": float(result.median[n, place]),
            }
            for key, values, ends in (
                ("relative", result.relative, noise),
                ("worst", result.worst_sensitivity, worst),
            ):
                if values is not None and ends is not None:
                    row[key] = float(values[n, place])
                    row[f"{key}_low"], row[f"{key}_high"] = map(float, ends[n, place])
            yield row


def _transfer_rows(result: Result) -> Iterator[Row]:
    for seed, source, name in result.transfers or ():
        assert result.transfer is not None
        place = result.layers.index(name)
        yield {
            "network": result.networks[seed].name,
            "worst_of": result.networks[source].name,
            "layer": name,
            "sensitivity": float(result.transfer[seed, source, place]),
            "average": float(result.sensitivity[seed, place]),
        }


def _alone(result: Result) -> Iterator[Row]:
    """A row a layer, of one network."""
    for row in _rows(result):
        shown: Row = {
            "layer": row["layer"],
            "sensitivity": row["sensitivity"],
            "95 %": f"{row['low']:.3f}-{row['high']:.3f}",
            "median distance": f"{row['median']:.3g}",
        }
        if "relative" in row:
            shown["over noise"] = row["relative"]
        if "worst" in row:
            shown["worst"] = row["worst"]
            shown["worst / average"] = _quotient(row["worst"], row["sensitivity"])
        yield shown


def _banded(result: Result) -> Iterator[Row]:
    """A row a layer, and a column for the networks of each label and step."""
    for place, name in enumerate(result.layers):
        row: Row = {"layer": name}
        for title, members in _groups(result).items():
            row[title] = _band(result.sensitivity[members, place])
            if result.relative is not None:
                row[f"{title}, over noise"] = _band(result.relative[members, place])
            if result.worst_sensitivity is not None:
                row[f"{title}, worst"] = _band(result.worst_sensitivity[members, place])
        yield row


def _groups(result: Result) -> dict[str, list[int]]:
    """Networks of one label and step, by that, or by the network's name where it is alone."""
    groups: dict[tuple[str, int], list[int]] = {}
    for n, network in enumerate(result.networks):
        groups.setdefault((network.label, network.step), []).append(n)
    found: dict[str, list[int]] = {}
    for (label, step), members in groups.items():
        at = f", step {step}" if step >= 0 else ""
        found[f"{label}{at}" if len(members) > 1 else result.networks[members[0]].name] = members
    return found


def _band(values: Array) -> str:
    """Mean and two standard deviations over networks, as the paper's bands."""
    if np.isnan(values).any():
        return "-"
    spread = f" +/- {2 * values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def _quotient(top: float, bottom: float) -> float:
    return top / bottom if bottom > 0 else float("nan")


def _title(result: Result) -> str:
    networks = result.networks
    name = networks[0].name if len(networks) == 1 else f"{len(networks)} networks"
    untrained = "" if networks[0].trained else ", untrained"
    count = len(result.subject.index)
    return f"Deformation sensitivity of {name}{untrained}, {count:,} images, {result.facts['data']}"


def _notes(result: Result) -> Iterator[str]:
    facts, config = result.facts, result.config
    pairs = f"{facts['paired']:,} of them" if "paired" in facts else "images"
    grid, draws = facts["grid"], f", {config.draws} draws an image" if config.draws > 1 else ""
    yield (
        f"Mean {facts['distance']} distance of an image, deformed, from itself, over the median"
        f" distance of all pairs of {pairs}: 0 does not change, 1 as far as another image."
    )
    yield (
        f"Deformation: {grid}x{grid} control points, at most {facts['pixels']:g} px each way,"
        f" border {facts['border']}{draws}."
    )
    if config.noise:
        yield "over noise: mean distance by deformation over that by white noise of the same norm."
    if len(result.networks) > 1 and any(len(m) > 1 for m in _groups(result).values()):
        yield "+/-: 2 standard deviations over networks."
    if config.worst:
        yield (
            f"worst: found by {config.restarts} ascents of {config.steps} steps within the bound;"
            " a lower bound of what there may be."
        )
    yield from _transferred(result)


def _transferred(result: Result) -> Iterator[str]:
    """How much worse than average are deformations that are worst for another network."""
    if result.transfer is None or result.worst_sensitivity is None:
        return
    other = ~np.eye(len(result.networks), dtype=bool)
    for place, name in enumerate(result.layers):
        average = result.sensitivity[:, place]
        shown = (result.transfer[:, :, place] / average[:, None])[other]
        if not np.isnan(shown).all():
            own = np.nanmean(result.worst_sensitivity[:, place] / average)
            yield (
                f"{name}: the worst of a network are {own:.2f} x average for it, and"
                f" {np.nanmean(shown):.2f} x for another ({np.nanmin(shown):.2f} to"
                f" {np.nanmax(shown):.2f})."
            )
