"""I_k of every unit while the network runs: nothing is stored, whatever the number of images.

The images pass the network twice. The first pass finds each unit's highest response, the second adds
h up over A_k. Both sums are exact, and no single pass could be: h itself does not depend on the
highest response, but whether an image is in A_k does, and the very last image may raise it. Only at
tau = 0, where every response above 0 is active whatever the highest is, one pass is enough, unless I_k
is wanted at every tau besides. The older top-1 % score ranks all images at once, in memory that grows with them, and is not given here.
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

from invtool import ranks
from invtool.config import Invariance
from invtool.errors import InvtoolError, UsageError
from invtool.files import messages, provenance
from invtool.measures import NotFiniteError, peak, spread_units
from invtool.measures.arrays import host, namespace
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
    if ranks.rank:
        return
    if form == "h5":
        write(target, scores, images, steps)
    else:
        tabulate(target, scores, images, form, steps)


def measure(
    config: Invariance, subject: Subject, layers: Sequence[Layer]
) -> tuple[Images, Iterator[tuple[str, Score]]]:
    """What is known of the images, and each layer's name and score."""
    size = _devices.batch_size(config.batch_size, list(layers), subject.device)
    passes = _Passes(subject, layers, size, config.seed, config.rectify)
    maxima = _Maxima() if config.tau or config.tau_grid else None
    prediction = passes.run("highest responses, pass 1 of 2", maxima) if maxima else None
    if maxima:
        maxima.merge(subject, layers)
    images = _images(config, subject, layers, prediction)
    totals = _Totals(passes, images, maxima, config.tau_grid)
    answered = passes.run("invariance, pass 2 of 2" if maxima else "invariance", totals)
    totals.merge()
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
    rectify: bool

    def run(self, label: str, take: "_Maxima | _Totals") -> NDArray[np.int64]:
        """One pass over all images; what the network answers, (condition, image)."""
        at = [0, 0]

        def each(condition: int, first: int) -> None:
            at[:] = condition, first

        def see(name: str, value: Tensor) -> None:
            flat = _flat(value, rectify=self.rectify)
            try:
                with torch.autocast(self.subject.device.type, enabled=False):
                    take(name, at[0], at[1], flat)
            except NotFiniteError as error:
                raise InvtoolError(
                    f"layer {name!r} of {self.subject.network.name} gives {error.value}; finite"
                    " numbers are wanted"
                ) from None

        with capturing(self.subject.network.module, self.layers, see):
            return self.subject.predict(
                batch_size=self.batch_size, seed=self.seed, each=each, label=label
            )


def _flat(value: Tensor, *, rectify: bool = False) -> Any:
    """(image, unit), units in the order in which channels-last memory holds them: no copy there.

    As the measures take it: numpy, whose memory is the tensor's own on the CPU, but a tensor on CUDA.
    """
    flat = (value.permute(LAST) if value.ndim == 4 else value).flatten(1)
    whole = (flat.clamp_min(0) if rectify else flat).float()
    return host(whole) if on_host(value.device) else whole


class _Maxima:
    """The highest response of each unit under each condition."""

    def __init__(self) -> None:
        self.highest: dict[tuple[str, int], Any] = {}

    def __call__(self, name: str, condition: int, first: int, value: Any) -> None:
        here, key = peak(value), (name, condition)
        if key in self.highest:
            here = namespace(here).maximum(here, self.highest[key])
        self.highest[key] = here

    def merge(self, subject: Subject, layers: Sequence[Layer]) -> None:
        """Take in what the other ranks have found; some may have no image."""
        for layer in layers:
            for condition in range(len(subject.specs)):
                key = layer.name, condition
                if key not in self.highest and ranks.size > 1:
                    none = torch.full((1, prod(layer.shape)), -torch.inf, device=subject.device)
                    self.highest[key] = _flat(none)[0]
                self.highest[key] = ranks.highest(self.highest[key])

    def of(self, name: str, condition: int) -> Any:
        """The highest over untransformed images and those of one transform, (unit)."""
        one, other = self.highest[name, 0], self.highest[name, condition]
        return namespace(one).maximum(one, other)


class _Totals:
    """The scores of all layers, from pairs of batches: one untransformed, then its transforms."""

    def __init__(self, passes: _Passes, images: Images, maxima: _Maxima | None, grid: bool):
        self.images, self.maxima = images, maxima
        device = passes.subject.device
        self.threads = ranks.agreed(torch.get_num_threads()) if on_host(device) else 1
        self.pool = ThreadPoolExecutor(self.threads)
        self.clean: dict[str, Any] = {}
        self.memory: dict[str, Any] = {}
        self.blocks: dict[str, list[slice]] = {}
        self.units: dict[tuple[str, int], list[UnitScores]] = {}
        self.active: dict[tuple[str, int], Array] = {}
        for layer in passes.layers:
            size = prod(layer.shape)
            width = max(-(-size // self.threads), 1)
            self.blocks[layer.name] = [
                slice(s, min(s + width, size)) for s in range(0, size, width)
            ]
            zero = _flat(torch.zeros(1, size, device=device))[0]
            for condition in range(1, len(images.conditions)):
                highest = maxima.of(layer.name, condition) if maxima else zero
                wanted = maxima is not None and (grid or layer.penultimate)
                self.units[layer.name, condition] = self._units(layer, highest, wanted)
                self.active[layer.name, condition] = np.zeros(len(images.label), np.int64)

    def _units(self, layer: Layer, highest: Any, grid: bool) -> list[UnitScores]:
        sample = _sample(layer.shape)
        return [
            UnitScores(
                highest[block],
                sample[(sample >= block.start) & (sample < block.stop)] - block.start,
                tau=self.images.tau,
                categories=self.images.categories,
                grid=grid,
            )
            for block in self.blocks[layer.name]
        ]

    def __call__(self, name: str, condition: int, first: int, value: Any) -> None:
        if self.maxima is None:
            peak(value)  # refuses what is not finite, as the first of two passes does
        if not condition:
            self.clean[name] = self._copy(name, value)
            return
        clean, rows = self.clean[name], slice(first, first + len(value))
        seen = None if self.images.seen is None else self.images.seen[rows]
        category = self.images.category[rows]

        def add(task: tuple[slice, UnitScores]) -> Array:
            block, units = task
            return units.update(clean[:, block], value[:, block], seen, category)

        tasks = zip(self.blocks[name], self.units[name, condition], strict=True)
        self.active[name, condition][rows] += sum(self.pool.map(add, tasks))

    def merge(self) -> None:
        """Take in what the other ranks have added up."""
        for key, blocks in self.units.items():
            ranks.total(self.active[key])
            for accumulator in (each for units in blocks for each in units.accumulators):
                sums, flags = accumulator.parts()
                for part in sums:
                    ranks.total(part)
                for part in flags:
                    ranks.highest(part)

    def _copy(self, name: str, value: Any) -> Any:
        """The network may overwrite `value`; the copy lies where the last batch's lay."""
        memory = self.memory.get(name)
        if memory is None or len(memory) < len(value):
            self.memory[name] = memory = namespace(value).empty_like(value)
        memory[: len(value)] = value
        return memory[: len(value)]

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
    """Whether numpy is to compute: everywhere but on CUDA, as MPS has no float64."""
    return device.type != "cuda"


def _sample(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The units that a file's route would sample, by their numbers in channels-last order."""
    units = spread_units(prod(shape), SPREAD_UNITS)
    if len(shape) != 3:
        return units
    channel, height, width = np.unravel_index(units, shape)
    return np.ravel_multi_index((height, width, channel), (*shape[1:], shape[0]))
