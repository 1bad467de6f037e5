"""What `invtool smoothness` has measured, as an HDF5 file of kind `smoothness` or as rows."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from invtool.files import hdf5, tables, trajectories
from invtool.files.provenance import Steps

MOST_COLUMNS = 8  # of a table that compares networks; where there are more, they are its rows


@dataclass(frozen=True)
class Layer:
    """What is measured of a convolution; `initial` is expected before training, NaN if not known."""

    kernel: tuple[int, int]  # height, width
    filters: int  # outputs times inputs
    total_variation: float
    initial: float
    deviation: float  # of `initial`, over initializations

    @property
    def z(self) -> float:
        """Deviations from the initial value; NaN where it has none."""
        return (self.total_variation - self.initial) / self.deviation if self.deviation else np.nan


@dataclass(frozen=True)
class Network:
    """A model file: what it is, and its convolutions."""

    name: str
    label: str  # of its recipe
    step: int
    layers: Mapping[str, Layer]
    steps: Steps


def write(target: Path, networks: Sequence[Network], form: str, steps: Steps) -> None:
    """`target` becomes table, json, csv or h5."""
    names = sorted({name for network in networks for name in network.layers}, key=by_number)
    if form == "h5":
        _fill(target, networks, names, steps)
    elif form == "table":
        rows, footer = _single(networks[0]) if len(networks) == 1 else _compared(networks, names)
        title = "Normalized total variation by layer"
        if len(networks) == 1:
            title += f": {networks[0].name}"
        tables.write(target, rows, form, steps, title=title, footer=footer)
    else:
        rows = [row for network in networks for row in _rows(network)]
        tables.write(target, rows, form, steps, title="smoothness")


def _fill(target: Path, networks: Sequence[Network], names: Sequence[str], steps: Steps) -> None:
    held = [[network.layers.get(name) for name in names] for network in networks]
    one, two = ("network",), ("network", "layer")

    def values(field: str) -> list[list[float]]:
        return [[getattr(layer, field) if layer else np.nan for layer in row] for row in held]

    with hdf5.create(target, "smoothness", steps) as out:
        out.array("network", [network.name for network in networks], one, long_name="networks")
        out.array("label", [network.label for network in networks], one, long_name="recipes")
        out.array("step", [network.step for network in networks], one, long_name="training step")
        out.array("layer", list(names), ("layer",), long_name="layers")
        out.array("axis", ["height", "width"], ("axis",), long_name="axes of a kernel")
        kernels = [[layer.kernel if layer else (0, 0) for layer in row] for row in held]
        out.array("kernel", kernels, (*two, "axis"), units="px", long_name="size of kernels")
        filters = [[layer.filters if layer else 0 for layer in row] for row in held]
        out.array("filters", filters, two, long_name="number of filters")
        for name, field, told in (
            ("total_variation", "total_variation", "normalized total variation"),
            ("initial", "initial", "the same, expected at initialization"),
            ("initial_deviation", "deviation", "its standard deviation"),
        ):
            out.array(name, values(field), two, long_name=told)


def _rows(network: Network) -> Iterator[dict[str, Any]]:
    for name, layer in network.layers.items():
        yield {
            "network": network.name,
            "label": network.label,
            "step": network.step,
            "layer": name,
            "kernel": _kernel(layer),
            "filters": layer.filters,
            "total_variation": layer.total_variation,
            "initial": layer.initial,
            "initial_deviation": layer.deviation,
            "z": layer.z,
        }


def _kernel(layer: Layer) -> str:
    return "x".join(map(str, layer.kernel))


def _single(network: Network) -> tuple[list[dict[str, Any]], str]:
    rows = [
        {
            "layer": name,
            "kernel": _kernel(layer),
            "filters": layer.filters,
            "variation": layer.total_variation,
            "initial": layer.initial,
            "sd": layer.deviation,
            "z": "-" if np.isnan(layer.z) else f"{layer.z:.1f}",
        }
        for name, layer in network.layers.items()
    ]
    footer = (
        "0: constant over space. initial: expected before training, with its sd; z: sds between."
    )
    if all(np.isnan(layer.initial) for layer in network.layers.values()):
        footer = "0: constant over space. The law of its initial weights is not known; see --law."
    return rows, footer


def _compared(
    networks: Sequence[Network], names: Sequence[str]
) -> tuple[list[dict[str, Any]], str]:
    """A column for each group of networks; or, of many, a row."""
    groups = _groups(networks)
    columns = {head: {n: _band(group, n) for n in names} for head, group in groups.items()}
    initial = {n: _initial(networks, n) for n in names}
    if len(groups) > MOST_COLUMNS:
        rows = [{"network": head, **cells} for head, cells in columns.items()]
        rows = [{"network": "initial", **initial}, *rows]
    else:
        rows = [
            {"layer": n, "initial": initial[n], **{head: columns[head][n] for head in columns}}
            for n in names
        ]
    footer = "0: constant over space. initial: expected before training."
    if len(groups) < len(networks):
        footer += " Mean +- 2 standard deviations over networks of one recipe."
    return rows, footer


def _groups(networks: Sequence[Network]) -> dict[str, list[Network]]:
    """Networks of one recipe and step, by what tells them apart."""
    found: dict[tuple[str, int], list[Network]] = {}
    for network in networks:
        found.setdefault((network.label, network.step), []).append(network)
    steps = {step for _, step in found}
    if len(found) == len(networks) and len(steps) == 1:
        return {network.name: [network] for network in networks}
    return dict(zip(trajectories.names(list(found)), found.values(), strict=True))


def _band(group: Sequence[Network], layer: str) -> str:
    values = [n.layers[layer].total_variation for n in group if layer in n.layers]
    if not values or np.isnan(values).all():
        return "-"
    spread = f" +- {2 * np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def _initial(networks: Sequence[Network], layer: str) -> str:
    """The expected values that the networks have, which differ with law and kernel."""
    values = [n.layers[layer].initial for n in networks if layer in n.layers]
    found = sorted({f"{value:.3f}" for value in values if not np.isnan(value)})
    return " to ".join(dict.fromkeys([found[0], found[-1]])) if found else "-"


def by_number(name: str) -> list[tuple[int, str]]:
    """A key that sorts names with their numbers as numbers: layer2 before layer10.

    >>> sorted(["conv10", "conv2", "conv1.a"], key=by_number)
    ['conv1.a', 'conv2', 'conv10']
    """
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
