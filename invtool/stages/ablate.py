"""Accuracy with the active or the inactive units of some layers set to zero, over a grid of tau.

A unit's activity is a share of its highest response to any image, so all images pass the network
before the first unit is ablated. Of each batch what follows the layers is kept, as far as the
memory set aside for it goes, and runs alone for every tau and mode. Images past that pass again.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool import ranks
from invtool.config import Ablate
from invtool.errors import InvtoolError
from invtool.files import hdf5, messages, provenance
from invtool.measures import (
    GROUPS,
    NotFiniteError,
    activity_floor,
    chosen_tau,
    group_accuracy,
    peak,
)
from invtool.models.capture import Layer, select
from invtool.models.splitting import Tail, Unsplittable, Whole, run_whole, split, splits
from invtool.stages import _devices
from invtool.stages._forward import check_finite, conditions, on_device
from invtool.stages._subject import Subject, describe, facts, prepare
from invtool.stages.ablation_result import KEEP, MODES, Ablation, qualifying, tabulate, write

KEPT_BYTES = 1 << 30  # of what follows the layers, from the first pass on to the ablations
Item = TypeVar("Item")


def run(config: Ablate, model: Path, target: Path, form: str) -> None:
    """Ablate the network in `model` (or that `config.model` names); `target` is table, json, csv or h5."""
    subject = prepare(config, model)
    layers = select(subject.network.layers, config.layers)
    steps = provenance.step(
        config=asdict(config), inputs=subject.inputs, device=str(subject.device)
    )
    result = measure(
        subject, layers, config.tau, config.cost, batch_size=config.batch_size, seed=config.seed
    )
    if ranks.rank:
        return
    if form != "h5":
        tabulate(target, result, facts(subject), form, steps)
        return
    with hdf5.create(target, "ablation", steps) as out:
        describe(out, subject)
        for layer in subject.network.layers:
            if layer.penultimate:
                out.attribute("penultimate", layer.name)
        write(out, result)


def tau_of_network(
    subject: Subject,
    layer_patterns: tuple[str, ...],
    *,
    batch_size: int | None,
    seed: int,
    cost: float = Ablate.cost,
) -> float:
    """The tau that `invtool ablate` chooses for these layers; InvtoolError where none qualifies."""
    layers = select(subject.network.layers, layer_patterns)
    result = measure(subject, layers, Ablate.tau, cost, batch_size=batch_size, seed=seed)
    return qualifying(result.chosen_tau, subject.network.name)


def measure(
    subject: Subject,
    layers: Sequence[Layer],
    tau: Sequence[float],
    cost: float,
    *,
    batch_size: int | None,
    seed: int,
) -> Ablation:
    """Accuracy for every tau and mode, and the tau that `cost` allows.

    Masks come from the responses of the intact network. Of several layers each has its own
    maxima, and all are ablated at once.
    """
    size = _devices.batch_size(batch_size, list(layers), subject.device)
    passes = _Passes(subject.share, [layer.name for layer in layers], size, seed)
    first = _first(passes)
    peaks = {
        layer.name: _everywhere(layer, first.peaks.get(layer.name), subject) for layer in layers
    }
    _warn_of_negatives(layers)
    again = (batch for batch, _ in passes.run(first.kept_images))
    answer, active = _ablated(passes, chain(first.kept, again), peaks, tau)
    answer, active = ranks.whole(answer, axis=3), ranks.total(active)
    label, seen = subject.label, subject.seen
    curves = group_accuracy(answer.reshape(-1, len(label)), label, seen)
    curves = curves.reshape(*answer.shape[:3], len(GROUPS))  # (mode, condition, tau, group)
    intact = group_accuracy(ranks.whole(first.answer, axis=1), label, seen)
    kept = curves[MODES.index(KEEP), :, :, GROUPS.index("all")]
    return Ablation(
        layers=list(passes.names),
        conditions=list(map(str, subject.specs)),
        tau=np.array(tau),
        accuracy=curves,
        intact=intact,
        active_share=active / (len(label) * sum(high.numel() for high in peaks.values())),
        chosen_tau=chosen_tau(np.array(tau), kept, intact[:, GROUPS.index("all")], cost),
        cost=cost,
        images=len(label),
    )


def _warn_of_negatives(layers: Sequence[Layer]) -> None:
    for layer in layers:
        if not layer.nonnegative:
            messages.warn(
                f"layer {layer.name} has responses below 0, which are never active: "
                "every tau sets them to zero"
            )


class Batch(NamedTuple):
    """Some images under one condition, and what the network makes of their layers."""

    condition: int
    first: int  # image
    tail: Tail | Whole


@dataclass(frozen=True)
class _Passes:
    """Images through the network, cut at the layers `names`."""

    subject: Subject
    names: Sequence[str]
    batch_size: int
    seed: int

    def run(self, start: int) -> Iterator[tuple[Batch, Tensor]]:
        """Each batch of the images from `start` on, and the intact network's logits."""
        subject = self.subject
        batches = conditions(
            subject.images,
            subject.index[start:],
            subject.specs,
            batch_size=self.batch_size,
            seed=self.seed,
            device=subject.device,
        )
        for condition, first, pixels in batches:
            with self.arithmetic():
                logits, tail = self._cut(subject.network.prepared(pixels))
            check_finite(logits, subject.network)
            yield Batch(condition, start + first, tail), logits

    def _cut(self, images: Tensor) -> tuple[Tensor, Tail | Whole]:
        module = self.subject.network.module
        if self._splittable:
            with suppress(Unsplittable):
                return split(module, self.names, images)
        return run_whole(module, self.names, images)

    @cached_property
    def _splittable(self) -> bool:
        network, images = self.subject.network, self.subject.images
        pixels, _ = on_device(images, self.subject.index[:2], self.subject.device)
        return splits(network.module, self.names, network.prepared(pixels))

    def arithmetic(self) -> torch.autocast:
        return _devices.arithmetic(self.subject.device, self.subject.precision)

    def watched(self, batches: Iterable[Item], label: str) -> Iterator[Item]:
        """The batches of all images, with progress."""
        count = -(-len(self.subject.index) // self.batch_size) * len(self.subject.specs)
        return messages.progress(batches, total=count, label=label, unit="batches")


@dataclass
class _First:
    """What the first pass of all images tells."""

    answer: NDArray[np.int64]  # category that the intact network answers, (condition, image)
    peaks: dict[str, Tensor]  # the highest response of each unit, (unit...)
    kept: list[Batch]
    kept_images: int  # that need not pass again


def _first(passes: _Passes) -> _First:
    subject = passes.subject
    images = len(subject.index)
    found = _First(np.empty((len(subject.specs), images), np.int64), {}, [], images)
    held = 0
    for batch, logits in passes.watched(passes.run(0), "forward"):
        here = slice(batch.first, batch.first + len(logits))
        found.answer[batch.condition, here] = logits.argmax(1).cpu().numpy()
        for name, value in batch.tail.responses.items():
            found.peaks[name] = _higher(name, value, found.peaks.get(name))
        held += batch.tail.bytes_kept
        if held > KEPT_BYTES and batch.first < found.kept_images:
            found.kept_images = batch.first
            found.kept = [part for part in found.kept if part.first < batch.first]
        if batch.first < found.kept_images:
            found.kept.append(batch)
    return found


def _everywhere(layer: Layer, highest: Tensor | None, subject: Subject) -> Tensor:
    """The highest responses over all ranks, of which some may have no image."""
    if highest is None:
        highest = torch.full(layer.shape, -torch.inf, device=subject.device)
    return ranks.highest(highest.float().contiguous()).to(highest.dtype)


def _higher(name: str, response: Tensor, before: Tensor | None) -> Tensor:
    try:
        highest: Tensor = peak(response)
    except NotFiniteError as error:
        raise InvtoolError(
            f"layer {name} gives {error.value:g} for an image; smaller numbers are wanted"
        ) from None
    return highest if before is None else torch.maximum(before, highest)


def _ablated(
    passes: _Passes, batches: Iterable[Batch], peaks: dict[str, Tensor], tau: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Categories answered, (mode, condition, tau, image), and active units of all images, (condition, tau)."""
    subject = passes.subject
    sizes = len(subject.specs), len(tau)
    answer = torch.empty((len(MODES), *sizes, len(subject.index)), dtype=torch.int64)
    answer = answer.to(subject.device)
    active = torch.zeros(sizes, dtype=torch.int64, device=subject.device)
    floors = [{name: activity_floor(high, t) for name, high in peaks.items()} for t in tau]
    for condition, first, tail in passes.watched(batches, "ablation"):
        for t, floor in enumerate(floors):
            on = {name: value > floor[name] for name, value in tail.responses.items()}
            off = {name: ~mask for name, mask in on.items()}
            active[condition, t] += sum(mask.count_nonzero() for mask in on.values())
            for m, stay in enumerate((on, off)):
                with passes.arithmetic():
                    category = tail(stay).argmax(1)
                answer[m, condition, t, first : first + len(category)] = category
    return answer.cpu().numpy(), active.cpu().numpy()
