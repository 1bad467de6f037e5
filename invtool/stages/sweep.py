"""Answers of networks to images that are transformed further and further.

An image is read once, and transformed once to each magnitude, for all networks; the untransformed
image, which every range holds, passes once for all ranges. Where images are few, several magnitudes
share a batch, so that the device stays full. Images pass category by category: what the mean
prediction of a category needs of each single image is forgotten as soon as its images have passed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool import ranks
from invtool.config import Sweep
from invtool.errors import InvtoolError
from invtool.files import hdf5, messages, provenance
from invtool.files.streams import short_names
from invtool.measures import SIDES, leaves, threshold, threshold_interval
from invtool.stages import _devices, _refusals
from invtool.stages._answers import settled
from invtool.stages._forward import check_finite, check_transforms, on_device, read_ahead
from invtool.stages._subject import Subject, facts, prepare_alike
from invtool.stages.sweep_result import Answers, Images, Moved, Plan, Sweeping, write
from invtool.stages.sweep_tables import tabulate
from invtool.transforms import Spec

KEPT = 64 << 20  # bytes of the answers of single images that one part of the images may take
EXAMPLE_SIDE = 64  # pixels, at most, of the images that are kept to be looked at
EXAMPLE_BYTES = 16 << 20  # of all of them, at most


def run(config: Sweep, paths: Sequence[Path], target: Path, form: str) -> None:
    """Sweep the networks that `config.models` names, whose files are at `paths`."""
    plans, specs = planned(config)
    configs = [replace(config, model=name) for name in config.models]
    subjects = list(prepare_alike(configs, paths, transforms=()))
    first = subjects[0]
    check_transforms(first.images, specs)
    answers = measure(config, subjects, plans, specs)
    results = [
        Sweeping(name, plans, found, facts(subject))
        for name, found, subject in zip(short_names(config.models), answers, subjects, strict=True)
    ]
    if ranks.rank:
        return
    images = _images(config, first, plans, specs)
    inputs = [*(subject.network.steps for subject in subjects), first.images.steps]
    steps = provenance.step(config=asdict(config), inputs=inputs, device=str(first.device))
    if form != "h5":
        tabulate(target, results, images, config, form, steps)
        return
    with hdf5.create(target, "sweep", steps) as out:
        write(out, results, images, config)


def planned(config: Sweep) -> tuple[list[Plan], list[Spec]]:
    """What is to be swept, and every different condition of it, the untransformed images first."""
    number: dict[Spec, int] = {Spec(): 0}
    plans = []
    for moved, beside in _refusals.ranges(config):
        seconds = beside.magnitudes if beside else (None,)
        at = [
            [
                number.setdefault(_spec(Moved(moved, v), Moved(beside, w)), len(number))
                for v in moved.magnitudes
            ]
            for w in seconds
        ]
        plans.append(Plan(moved, beside, np.array(at if beside else at[0])))
    return plans, list(number)


def _spec(first: Moved, second: Moved) -> Spec:
    """Both steps, so that a random one draws alike at all magnitudes; none where nothing changes."""
    if first.unchanged and second.unchanged:
        return Spec()
    return Spec((*first.steps, *second.steps))


def measure(
    config: Sweep, subjects: Sequence[Subject], plans: Sequence[Plan], specs: Sequence[Spec]
) -> list[Answers]:
    """What each network answers under every condition."""
    first = subjects[0]
    device, precision = first.device, first.precision
    networks = [subject.network for subject in subjects]
    size = min(_devices.batch_size(config.batch_size, each.layers, device) for each in networks)
    everything = np.argsort(first.label, kind="stable")
    order = everything[_share(first.label[everything])]
    with torch.inference_mode(), _devices.arithmetic(device, precision):
        widths = {network(torch.zeros(1, *network.input)).shape[1] for network in networks}
        width = widths.pop()
        if widths:
            raise InvtoolError(
                "the networks tell different numbers of categories apart; sweep them one by one"
            )
        highest = int(first.label.max())
        if highest >= width:
            raise InvtoolError(
                f"{first.images.spec} has category number {highest}, {first.network.name} "
                f"{width} categories"
            )
        tallies = [_Tally(config, plans, len(specs), width, first.label[order]) for _ in networks]
        images = min(size, max(1, KEPT // (4 * len(specs) * width)))
        total = len(order) * len(specs)
        batches = messages.progress(
            _batches(config, first, order, specs, images=images, size=size),
            total=total,
            label="sweeping",
            unit="frames",
            size=max(1, size // images) * images,
        )
        for start, conditions, frames in batches:
            for network, tally in zip(networks, tallies, strict=True):
                logits = settled(network, frames, (1,), precision)
                check_finite(logits, network)
                tally.add(start, conditions, logits)
    return [tally.answers(everything) for tally in tallies]


def _share(label: NDArray[np.int64]) -> slice:
    """Of ascending labels those that are this rank's: whole categories, as each is summed up at once."""
    ends = [0, *np.flatnonzero(np.diff(label)) + 1, len(label)]
    share = ranks.share_of(np.diff(ends).tolist())
    return slice(ends[share.start], ends[share.stop])


def _batches(
    config: Sweep,
    subject: Subject,
    order: NDArray[np.int64],
    specs: Sequence[Spec],
    *,
    images: int,
    size: int,
) -> Iterator[tuple[int, range, Tensor]]:
    """First image, conditions and frames of a batch: all images of a part under each condition."""
    index = subject.index[order]
    for start, pixels, number in read_ahead(subject.images, index, images, subject.device):
        clean = pixels.float()
        together = max(1, size // len(number))
        for first in range(0, len(specs), together):
            conditions = range(first, min(first + together, len(specs)))
            frames = [specs[n](clean, seed=config.seed, index=number) for n in conditions]
            yield start, conditions, frames[0] if len(frames) == 1 else torch.cat(frames)


@dataclass(eq=False)
class _Waiting:
    """Softmax (image, condition, answer) of a part of the images, from `start` on."""

    start: int
    softmax: NDArray[np.float32]


class _Tally:
    """The answers of a network, gathered category by category; `label` is ascending."""

    def __init__(
        self,
        config: Sweep,
        plans: Sequence[Plan],
        conditions: int,
        width: int,
        label: NDArray[np.int64],
    ):
        self.config, self.plans, self.conditions, self.label = config, plans, conditions, label
        self.category, self.first = np.unique(label, return_index=True)
        self.prediction = np.empty((len(label), conditions), np.int64)
        self.softmax = np.empty((len(self.category), conditions, width), np.float32)
        self.threshold = [np.empty((3, len(self.category), *plan.at.shape[:-1])) for plan in plans]
        self.interval = [np.empty((*found.shape, 2)) for found in self.threshold]
        self.waiting: list[_Waiting] = []
        self.done = 0  # categories

    def add(self, start: int, conditions: range, logits: Tensor) -> None:
        """Take the logits (condition x image, answer) of the images from `start` on."""
        images = len(logits) // len(conditions)
        shape = len(conditions), images
        part = slice(conditions.start, conditions.stop)
        answer = logits.argmax(1).cpu().numpy().reshape(shape)
        self.prediction[start : start + images, part] = answer.T
        if not self.waiting or self.waiting[-1].start != start:
            rows = (images, self.conditions, logits.shape[1])
            self.waiting.append(_Waiting(start, np.empty(rows, np.float32)))
        share = logits.softmax(1).cpu().numpy().reshape(*shape, -1)
        self.waiting[-1].softmax[:, part] = share.swapaxes(0, 1)
        if conditions.stop == self.conditions:
            self._finish(start + images)

    def _finish(self, passed: int) -> None:
        """Sum up the categories whose images have all passed, and forget these."""
        ends = [*self.first[1:], len(self.label)]
        while self.done < len(ends) and ends[self.done] <= passed:
            softmax = self._taken(int(self.first[self.done]), int(ends[self.done]))
            self.softmax[self.done] = softmax.mean(axis=0, dtype=np.float64)
            for number, plan in enumerate(self.plans):
                self._measure(number, plan, softmax[:, plan.at].astype(np.float64))
            self.done += 1
        kept = self.first[self.done] if self.done < len(ends) else passed
        self.waiting = [w for w in self.waiting if w.start + len(w.softmax) > kept]

    def _taken(self, start: int, stop: int) -> NDArray[np.float32]:
        parts = [w.softmax[max(start - w.start, 0) : max(stop - w.start, 0)] for w in self.waiting]
        return np.concatenate(parts)

    def _measure(self, number: int, plan: Plan, softmax: NDArray[np.float64]) -> None:
        category, config = int(self.category[self.done]), self.config
        left = leaves(softmax, category)
        moved = plan.magnitude, plan.first.identity
        for row, side in zip(self.threshold[number], ("", *SIDES), strict=True):
            row[self.done] = threshold(left, *moved, side)
        self.interval[number][:, self.done] = threshold_interval(
            softmax, category, *moved, resamples=config.resamples, seed=config.seed
        )

    def answers(self, order: NDArray[np.int64]) -> Answers:
        """What all ranks have gathered, on rank 0, the images in the order that `order` sorted."""
        prediction = ranks.gathered(self.prediction)
        back = np.argsort(order, kind="stable")
        return Answers(
            ranks.gathered(self.category),
            ranks.gathered(self.softmax),
            prediction[back] if not ranks.rank else prediction,
            [ranks.gathered(found, axis=1) for found in self.threshold],
            [ranks.gathered(found, axis=1) for found in self.interval],
        )


def _images(
    config: Sweep, subject: Subject, plans: Sequence[Plan], specs: Sequence[Spec]
) -> Images:
    """What is told of the images, and the first ones of some categories as they are changed."""
    category, first = np.unique(subject.label, return_index=True)
    names = subject.network.categories or subject.images.categories
    shown = [plan.samples for plan in plans if plan.second is None]
    _, channels, height, width = subject.images.image.shape
    sides = [min(side, EXAMPLE_SIDE) for side in (height, width)]
    most = EXAMPLE_BYTES // max(1, sum(map(len, shown)) * channels * sides[0] * sides[1])
    count = min(config.examples, most, len(category)) if shown else 0
    picked = first[np.arange(count) * len(category) // count] if count else first[:0]
    frames = []
    pixels, number = on_device(subject.images, subject.index[picked], subject.device)
    for plan in plans:
        chosen = [specs[plan.at[n]] for n in plan.samples] if plan.second is None else []
        kept = [_small(spec(pixels.float(), config.seed, number), sides) for spec in chosen]
        frames.append(np.stack(kept, 1) if kept and count else None)
    return Images(subject.label, subject.index, list(names), subject.label[picked], frames)


def _small(images: Tensor, sides: Sequence[int]) -> NDArray[np.uint8]:
    if list(images.shape[2:]) != list(sides):
        images = torch.nn.functional.interpolate(
            images, list(sides), mode="bilinear", antialias=True
        )
    return images.clamp(0, 255).round().byte().cpu().numpy()
