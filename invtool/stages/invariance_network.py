"""I_k of every unit while the network runs: nothing is stored, whatever the number of images.

The images pass the network twice. The first pass finds each unit's highest response, the second adds
h up over A_k. Both sums are exact, and no single pass could be: h itself does not depend on the
highest response, but whether an image is in A_k does, and the very last image may raise it. Only at
tau = 0, where every response above 0 is active whatever the highest is, one pass is enough. The older
top-1 % score ranks all images at once, in memory that grows with them, and is not given here.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool.config import Invariance
from invtool.errors import InvtoolError, UsageError
from invtool.files import messages, provenance
from invtool.measures import NotFiniteError, spread_units
from invtool.models.capture import Layer, capturing, select
from invtool.stages import _devices
from invtool.stages._subject import Subject, facts, prepare
from invtool.stages.ablate import tau_of_network
from invtool.stages.invariance import images_of, warn_of_negatives
from invtool.stages.invariance_result import Images, tabulate, write
from invtool.stages.invariance_score import SPREAD_UNITS, Array, Score, UnitScores, score

LAST = (0, 2, 3, 1)  # (image, channel, height, width) as channels-last memory holds it


def run(config: Invariance, model: Path, target: Path, form: str) -> None:
    """Measure the network in `model` (or that `config.model` names); `target` is table, json, csv or h5."""
    subject = prepare(config, model)
    if len(subject.specs) == 1:
        raise UsageError("only untransformed images; give --transform")
    layers = select(subject.network.layers, config.layers)
    told = replace(config, tau=_tau(config, subject))
    steps = provenance.step(config=asdict(told), inputs=subject.inputs, device=str(subject.device))
    images, scores = measure(told, subject, layers)
    if form == "h5":
        write(target, scores, images, steps)
    else:
        tabulate(target, scores, images, form, steps)


def measure(
    config: Invariance, subject: Subject, layers: Sequence[Layer]
) -> tuple[Images, Iterator[tuple[str, Score]]]:
    """What is known of the images, and each layer's name and score."""
    size = _devices.batch_size(config.batch_size, list(layers), subject.device)
    passes = _Passes(subject, layers, size, config.seed)
    maxima = _Maxima() if config.tau else None
    prediction = passes.run("highest responses, pass 1 of 2", maxima) if maxima else None
    images = _images(config, subject, layers, prediction)
    totals = _Totals(passes, images, maxima, config.tau_grid)
    answered = passes.run("invariance, pass 2 of 2" if maxima else "invariance", totals)
    if prediction is None:
        images = _images(config, subject, layers, answered)
    return images, totals.scores(layers)


def _images(
    config: Invariance,
    subject: Subject,
    layers: Sequence[Layer],
    prediction: NDArray[np.int64] | None,
) -> Images:
    known = {name: value for name, value in facts(subject).items() if name != "categories"}
    for layer in layers:
        if layer.penultimate:
            known["penultimate"] = layer.name
    conditions = list(map(str, subject.specs))
    name = subject.network.name
    return images_of(config, name, conditions, subject.label, subject.seen, prediction, known)


def _tau(config: Invariance, subject: Subject) -> float:
    if not config.auto_tau:
        return config.tau
    tau = tau_of_network(subject, ("penultimate",), batch_size=config.batch_size, seed=config.seed)
    messages.note(f"tau {tau:g}, the highest that ablation of the penultimate layer allows")
    return tau


@dataclass
class _Passes:
    """Images through the network; `take(layer, condition, first image, value)` sees each layer."""

    subject: Subject
    layers: Sequence[Layer]
    batch_size: int
    seed: int

    def run(self, label: str, take: "_Maxima | _Totals") -> NDArray[np.int64]:
        """One pass over all images; what the network answers, (condition, image)."""
        at = [0, 0]

        def each(condition: int, first: int) -> None:
            at[:] = condition, first

        def see(name: str, value: Tensor) -> None:
            take(name, at[0], at[1], _flat(value))

        with capturing(self.subject.network.module, self.layers, see):
            return self.subject.predict(
                batch_size=self.batch_size, seed=self.seed, each=each, label=label
            )


def _flat(value: Tensor) -> Tensor:
    """(image, unit), units in the order in which channels-last memory holds them: no copy there."""
    return (value.permute(LAST) if value.ndim == 4 else value).flatten(1)


class _Maxima:
    """The highest response of each unit under each condition."""

    def __init__(self) -> None:
        self.highest: dict[tuple[str, int], Tensor] = {}

    def __call__(self, name: str, condition: int, first: int, value: Tensor) -> None:
        here, key = value.amax(0), (name, condition)
        self.highest[key] = torch.maximum(self.highest[key], here) if key in self.highest else here

    def of(self, name: str, condition: int) -> Tensor:
        """The highest over untransformed images and those of one transform, (unit)."""
        return torch.maximum(self.highest[name, 0], self.highest[name, condition])


class _Totals:
    """The scores of all layers, from pairs of batches: one untransformed, then its transforms."""

    def __init__(self, passes: _Passes, images: Images, maxima: _Maxima | None, grid: bool):
        self.images, self.rectify = images, images.rectify
        self.on_cpu = on_host(passes.subject.device)
        self.threads = torch.get_num_threads() if self.on_cpu else 1
        self.pool = ThreadPoolExecutor(self.threads)
        self.clean: dict[str, Any] = {}
        self.blocks: dict[str, list[slice]] = {}
        self.units: dict[tuple[str, int], list[UnitScores]] = {}
        self.active: dict[tuple[str, int], Array] = {}
        for layer in passes.layers:
            size = prod(layer.shape)
            width = max(-(-size // self.threads), 1)
            self.blocks[layer.name] = [
                slice(s, min(s + width, size)) for s in range(0, size, width)
            ]
            for condition in range(1, len(images.conditions)):
                zero = torch.zeros(size, device=passes.subject.device)
                peak = zero if maxima is None else maxima.of(layer.name, condition)
                if self.rectify:
                    peak = peak.clamp_min(0)
                wanted = maxima is not None and (grid or layer.penultimate)
                self.units[layer.name, condition] = self._units(layer, peak, wanted)
                self.active[layer.name, condition] = np.zeros(len(images.label), np.int64)

    def _units(self, layer: Layer, peak: Tensor, grid: bool) -> list[UnitScores]:
        sample = _sample(layer.shape)
        made = []
        for block in self.blocks[layer.name]:
            inside = sample[(sample >= block.start) & (sample < block.stop)] - block.start
            try:
                made.append(
                    UnitScores(
                        self._array(peak[block]),
                        inside,
                        tau=self.images.tau,
                        categories=self.images.categories,
                        grid=grid,
                    )
                )
            except NotFiniteError as error:
                raise self._not_finite(layer.name, error) from None
        return made

    def _array(self, value: Tensor) -> Any:
        """As the measures take it: numpy's memory is the tensor's own on the CPU."""
        return value.numpy() if self.on_cpu else value

    def __call__(self, name: str, condition: int, first: int, value: Tensor) -> None:
        if self.rectify:
            value = value.clamp_min(0)
        if not condition:
            self.clean[name] = self._array(value.float().clone())
            return
        clean, moved = self.clean[name], self._array(value.float())
        rows = slice(first, first + len(moved))
        seen = None if self.images.seen is None else self.images.seen[rows]
        category = self.images.category[rows]

        def add(task: tuple[slice, UnitScores]) -> Array:
            block, units = task
            return units.update(clean[:, block], moved[:, block], seen, category)

        tasks = zip(self.blocks[name], self.units[name, condition], strict=True)
        try:
            self.active[name, condition][rows] += sum(self.pool.map(add, tasks))
        except NotFiniteError as error:
            raise self._not_finite(name, error) from None

    def _not_finite(self, name: str, error: NotFiniteError) -> InvtoolError:
        return InvtoolError(
            f"layer {name!r} of {self.images.source} gives {error.value}; finite numbers are wanted"
        )

    def scores(self, layers: Sequence[Layer]) -> Iterator[tuple[str, Score]]:
        """Each layer's name and score."""
        several = range(1, len(self.images.conditions))
        for layer in layers:
            units = [self.units[layer.name, condition] for condition in several]
            active = np.stack([self.active[layer.name, condition] for condition in several])
            parts = []
            for number, block in enumerate(self.blocks[layer.name]):
                nothing = np.full((len(several), block.stop - block.start), np.nan)
                counted = active if not number else np.zeros_like(active)
                parts.append(score([each[number] for each in units], counted, nothing))
            order = (2, 0, 1) if len(layer.shape) == 3 else ()
            whole = Score.joined(parts).shaped(layer.shape, order)
            warn_of_negatives(layer.name, whole, self.images)
            yield layer.name, whole


def on_host(device: torch.device) -> bool:
    """Whether numpy may use the tensors' own memory."""
    return device.type == "cpu"


def _sample(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The units that a file's route would sample, by their numbers in channels-last order."""
    units = spread_units(prod(shape), SPREAD_UNITS)
    if len(shape) != 3:
        return units
    channel, height, width = np.unravel_index(units, shape)
    return np.ravel_multi_index((height, width, channel), (*shape[1:], shape[0]))
