"""The files that `plot` draws: what each says of itself, and what several must share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.errors import InvtoolError
from invtool.files import hdf5, messages, provenance
from invtool.files.layers import choose
from invtool.measures import GROUPS, group_accuracy


@dataclass(frozen=True)
class Result:
    """One file: what can be known without its large arrays."""

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
    tau: float | None
    data: str
    seen_images: NDArray[np.bool_] | None
    accuracy: dict[tuple[str, str], float]  # of a condition and a group, 0 to 1
    steps: provenance.Steps

    @property
    def counts(self) -> str:
        """How many categories were seen, in words; empty where the file does not say."""
        total = f" of {self.categories}" if self.categories else ""
        return "" if self.seen is None else f"{self.seen}{total} categories seen transformed"

    def index(self, group: str) -> int:
        """Where the group is along the group axis."""
        if group not in self.groups:
            held = ", ".join(self.groups)
            raise InvtoolError(f"{self.label} has no group {group!r}; it has {held}")
        return self.groups.index(group)

    def right(self, condition: str, group: str) -> float:
        """Accuracy, 0 to 1; NaN where it is not known."""
        return self.accuracy.get((condition, group), math.nan)

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

    def chosen(self, patterns: Sequence[str]) -> list[str]:
        """The layers that the patterns name, input to output; `all` and `penultimate` are words."""
        return choose(self.layers, patterns, penultimate=self.penultimate, label=self.label)


def describe(path: Path) -> Result:
    """What the file says, its large arrays left where they are."""
    with hdf5.open(path, kinds=("invariance", "activations")) as file:
        layers = file.layers()
        if not layers:
            raise InvtoolError(f"{file.label} holds no layer")
        conditions = file.array("condition").tolist() if "condition" in file else []
        invariance = file.kind == "invariance"
        penultimate = file.attribute("penultimate")
        return Result(
            path=path,
            label=file.label,
            name=path.name if file.label == str(path) else file.label,
            kind=file.kind,
            layers=layers,
            penultimate=penultimate if penultimate in layers else layers[-1],
            transforms=file.array("transform").tolist() if invariance else conditions[1:],
            groups=file.array("group").tolist() if invariance else list(GROUPS),
            seen=_number(file, "seen_categories"),
            categories=_number(file, "categories_total"),
            tau=file.attribute("tau"),
            data=str(file.attribute("data") or ""),
            seen_images=file.array("seen") != 0 if "seen" in file else None,
            accuracy=_accuracies(file, conditions),
            steps=file.steps,
        )


def _number(file: hdf5.Reader, name: str) -> int | None:
    value = file.attribute(name)
    return value if isinstance(value, int) and value >= 0 else None


def _accuracies(file: hdf5.Reader, conditions: Sequence[str]) -> dict[tuple[str, str], float]:
    """Top-1 accuracy by condition and group: as stored, or counted from the predictions."""
    if "accuracy" in file:
        groups, found = file.array("group").tolist(), file.array("accuracy")
    elif "prediction" in file:
        seen = file.array("seen") if "seen" in file else None
        groups, found = GROUPS, group_accuracy(file.array("prediction"), file.array("label"), seen)
    else:
        return {}
    return {
        (condition, group): float(found[c, g])
        for c, condition in enumerate(conditions)
        for g, group in enumerate(groups)
    }


def distinct(results: Sequence[Result]) -> list[Result]:
    """Name files by their last part where that tells them apart, else by their whole path."""
    names = [result.name for result in results]
    if len(set(names)) == len(names):
        return list(results)
    return [replace(result, name=result.label) for result in results]


def refuse_activations(results: Sequence[Result], kind: str) -> None:
    """Only accuracy can be drawn from activations files."""
    for result in results:
        if result.kind == "activations":
            raise InvtoolError(
                f"{result.label} holds activations, which --kind accuracy draws; "
                f"--kind {kind} draws invariance, so run invtool invariance first"
            )


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


def common_transforms(results: Sequence[Result]) -> list[str]:
    """The transforms of every file; says which others are left out."""
    held = [result.transforms for result in results]
    common = [name for name in held[0] if all(name in names for names in held)]
    if not common:
        texts = [
            f"{result.label} has {', '.join(result.transforms) or 'none'}" for result in results
        ]
        raise InvtoolError(f"no transform is in every file: {'; '.join(texts)}")
    others = sorted({name for names in held for name in names} - set(common))
    if others:
        messages.note(f"left out, not in every file: {', '.join(others)}")
    return common


def common_categories(results: Sequence[Result]) -> int | None:
    """How many categories there are, for files that are compared by how many were seen."""
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
