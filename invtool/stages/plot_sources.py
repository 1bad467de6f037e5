"""The networks that `plot` draws: what each file says of them, without its large arrays."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.errors import InvtoolError
from invtool.files import hdf5, provenance
from invtool.files.layers import choose
from invtool.measures import GROUPS, group_accuracy

# Kinds that can be drawn, and the command that writes them.
WRITERS = {
    "invariance": "invariance",
    "activations": "activations",
    "evaluation": "evaluate",
    "ablation": "ablate",
    "calibration": "calibrate",
    "bias": "bias",
    "jaggedness": "jagged",
    "shiftability": "shiftable",
    "deformation": "deform",
    "smoothness": "smoothness",
    "sweep": "sweep",
    "itn": "itn",
}
# Of some kinds only.
ATTRIBUTES = (
    *("family", "parameter", "limit", "layers", "below", "image_height"),
    *("protocol", "share", "target", "distance", "keep", "top"),
)
NO_CONDITIONS = ("bias", "jaggedness", "shiftability", "deformation", "smoothness", "itn")
CATEGORIES_INTERVAL = "95 % bootstrap over categories"
IMAGES_INTERVAL = "95 % Wilson over images"
# Where files keep the interval of their accuracy, the first that is there.
INTERVALS = {
    "accuracy_interval": CATEGORIES_INTERVAL,
    "bootstrap": CATEGORIES_INTERVAL,
    "wilson": IMAGES_INTERVAL,
}
Interval = tuple[float, float]
UNKNOWN = (math.nan, math.nan)


@dataclass(frozen=True)
class Result:
    """One network in one file: what can be known without the large arrays."""

    path: Path
    label: str  # in messages
    name: str  # in the picture
    kind: str
    layers: list[str]
    penultimate: str
    transforms: list[str]
    groups: list[str]
    seen: int | None
    categories: int | None
    trained: str  # transform that it was trained with; empty: none, or not known
    seed: int | None
    tau: float | None
    data: str
    seen_images: NDArray[np.bool_] | None
    accuracy: dict[tuple[str, str], float]  # of a condition and a group, 0 to 1
    intervals: dict[tuple[str, str], Interval]  # of the accuracy
    interval: str  # what they are
    steps: provenance.Steps
    number: int | None = None  # along the network axis of a file of several
    protocol: str = ""  # how images moved, in words
    object_size: int | None = None  # px
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> str:
        """How many categories were seen, in words; empty where the file does not say."""
        total = f" of {self.categories}" if self.categories else ""
        return "" if self.seen is None else f"{self.seen}{total} categories seen transformed"

    @property
    def conditions(self) -> list[str]:
        return ["none", *self.transforms]

    def index(self, group: str) -> int:
        """Where the group is along the group axis."""
        if group not in self.groups:
            held = ", ".join(self.groups)
            raise InvtoolError(f"{self.label} has no group {group!r}; it has {held}")
        return self.groups.index(group)

    def right(self, condition: str, group: str) -> float:
        """Accuracy, 0 to 1; NaN where it is not known."""
        return self.accuracy.get((condition, group), math.nan)

    def measured(self, condition: str, group: str) -> tuple[float, Interval]:
        """Accuracy and its interval."""
        key = condition, group
        return self.right(*key), self.intervals.get(key, UNKNOWN)

    def images(self, group: str, number: int) -> NDArray[np.bool_]:
        """Which of all images are in the group (image,)."""
        if group == "all":
            return np.ones(number, dtype=bool)
        if self.seen_images is None:
            raise InvtoolError(
                f"{self.label} does not say which images are of seen categories; use --group all"
            )
        return self.seen_images if group == "seen" else ~self.seen_images

    def read(self, layers: Sequence[str], name: str) -> dict[str, NDArray[Any]]:
        """`/layers/<layer>/<name>` of each layer, its units in one axis."""
        lead = 1 if name == "active_units" else 2
        with hdf5.open(self.path, kinds=(self.kind,), label=self.label) as file:
            arrays = {layer: file.array(f"layers/{layer}/{name}") for layer in layers}
        return {layer: a.reshape(*a.shape[:lead], -1) for layer, a in arrays.items()}

    def arrays(self, *names: str) -> dict[str, NDArray[Any]]:
        """Those of the arrays that the file has; of several networks, this one's part."""
        with hdf5.open(self.path, kinds=(self.kind,), label=self.label) as file:
            return {name: _part(file, name, self.number) for name in names if name in file}

    def chosen(self, patterns: Sequence[str]) -> list[str]:
        """The layers that the patterns name, input to output; `all` and `penultimate` are words."""
        return choose(self.layers, patterns, penultimate=self.penultimate, label=self.label)


def describe(path: Path) -> list[Result]:
    """What the file says of each of its networks, its large arrays left where they are."""
    with hdf5.open(path, kinds=tuple(WRITERS)) as file:
        layers = file.layers()
        if not layers and "layer" in file:
            layers = file.array("layer").tolist()
        if not layers and file.kind in ("invariance", "activations"):
            raise InvtoolError(f"{file.label} holds no layer")
        if file.kind == "calibration":
            transforms = [file.attribute("transform") or ""]
        elif file.kind in ("invariance", "sweep"):
            transforms = file.array("transform").tolist()
        elif file.kind in NO_CONDITIONS:
            transforms = []
        else:
            transforms = file.array("condition").tolist()[1:]
        penultimate = file.attribute("penultimate")
        penultimate = penultimate if penultimate in layers else (layers or [""])[-1]
        shared: dict[str, Any] = {
            "path": path,
            "kind": file.kind,
            "layers": layers,
            "penultimate": penultimate,
            "transforms": transforms,
            "groups": file.array("group").tolist() if "group" in file else list(GROUPS),
            "categories": _number(file.attribute("categories_total")),
            "tau": file.attribute("tau"),
            "data": str(file.attribute("data") or ""),
            "steps": file.steps,
            "attributes": {name: file.attribute(name) for name in ATTRIBUTES},
        }
        several = range(len(file.array("network"))) if "network" in file else [None]
        return [Result(**shared, **_network(file, number, path)) for number in several]


def _network(file: hdf5.Reader, number: int | None, path: Path) -> dict[str, Any]:
    """What differs among the networks of a file."""
    seen = _part(file, "seen", number) != 0 if "seen" in file else None
    accuracy, intervals, kind = _accuracies(file, number)
    name = path.name if file.label == str(path) else file.label
    told = {
        "protocol": file.attribute("protocol_text"),
        "size": None,
        "name": name,
        "seen": file.attribute("seen_categories"),
        "trained": file.attribute("trained_with"),
        "seed": file.attribute("model_seed"),
    }
    if number is not None:
        told["name"] = str(file.array("network")[number])
        for field_name, array in (
            ("seen", "network_seen_categories"),
            ("trained", "network_trained_with"),
            ("seed", "network_seed"),
            ("protocol", "protocol_text"),
            ("size", "object_size"),
        ):
            told[field_name] = file.array(array)[number] if array in file else None
    return {
        "label": file.label,
        "name": told["name"],
        "number": number,
        "seen": _number(told["seen"]),
        "trained": str(told["trained"] or ""),
        "seed": _number(told["seed"]),
        "protocol": str(told["protocol"] or ""),
        "object_size": _number(told["size"]),
        "seen_images": seen,
        "accuracy": accuracy,
        "intervals": intervals,
        "interval": kind,
    }


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int | np.integer) and value >= 0 else None


def _part(file: hdf5.Reader, name: str, number: int | None) -> NDArray[Any]:
    """An array, or the part of one network of it."""
    own = number is not None and file.dims(name)[:1] in (("network",), ("seed",))
    return np.asarray(file.array(name)[number]) if own else file.array(name)


def _accuracies(
    file: hdf5.Reader, number: int | None
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], Interval], str]:
    """Top-1 accuracy by condition and group, as stored or counted from the predictions, and its interval."""
    if "condition" not in file or file.kind == "ablation":
        return {}, {}, ""
    conditions = file.array("condition").tolist()
    if "accuracy" in file:
        groups, found = file.array("group").tolist(), _part(file, "accuracy", number)
    elif "prediction" in file:
        seen = _part(file, "seen", number) if "seen" in file else None
        prediction = _part(file, "prediction", number)
        groups, found = list(GROUPS), group_accuracy(prediction, file.array("label"), seen)
    else:
        return {}, {}, ""
    keys = [
        (c, g, (cond, group)) for c, cond in enumerate(conditions) for g, group in enumerate(groups)
    ]
    accuracy = {key: float(found[c, g]) for c, g, key in keys}
    for name, kind in INTERVALS.items():
        if name in file:
            ends = _part(file, name, number)
            return (
                accuracy,
                {key: (float(ends[c, g, 0]), float(ends[c, g, 1])) for c, g, key in keys},
                kind,
            )
    return accuracy, {}, ""


def distinct(results: Sequence[Result]) -> list[Result]:
    """Name files by their last part where that tells them apart, else by their whole path."""
    names = [result.name for result in results]
    if len(set(names)) == len(names):
        return list(results)
    whole = [r.label if r.number is None else f"{r.name} ({r.label})" for r in results]
    return [replace(result, name=name) for result, name in zip(results, whole, strict=True)]


def refuse_others(results: Sequence[Result], kind: str, wanted: Sequence[str]) -> None:
    """Raise for a file of a kind that this picture cannot be drawn from."""
    for result in results:
        if result.kind not in wanted:
            raise InvtoolError(
                f"{result.label} holds {result.kind}; --kind {kind} draws {' or '.join(wanted)}, "
                f"so run invtool {WRITERS[wanted[0]]} first"
            )


def refuse_silent(results: Sequence[Result]) -> None:
    """Raise for a network whose accuracy its file does not tell."""
    for result in results:
        if not result.accuracy:
            raise InvtoolError(f"{result.label} holds no accuracy; its network gave no predictions")


def common_layers(results: Sequence[Result], patterns: Sequence[str]) -> list[str]:
    """The layers that the patterns name, if they are the same in every file."""
    chosen = [result.chosen(patterns) for result in results]
    for result, layers in zip(results, chosen, strict=True):
        if layers != chosen[0]:
            raise InvtoolError(
                f"{results[0].label} has {', '.join(chosen[0])} where {result.label} has "
                f"{', '.join(layers)}; choose a layer of both with --layer"
            )
    return chosen[0]


def common_categories(results: Sequence[Result]) -> int | None:
    """How many categories there are, for networks that are compared by how many were seen."""
    for result in results:
        if result.seen is None:
            raise InvtoolError(
                f"{result.label} does not say how many categories its network saw transformed; "
                "--kind layers draws it"
            )
        if result.categories != results[0].categories:
            raise InvtoolError(
                f"{results[0].label} has {results[0].categories} categories and {result.label} "
                f"has {result.categories}; numbers of seen categories need the same data"
            )
    return results[0].categories
