"""Networks of one architecture that train at once, each as if it were alone.

They share images, recipe and step; each has its own draws, labels, seen categories and transform. There are two ways:

    Stacked   one network made of all of them (`models.stacking`) takes a step on the sum of their losses. As none reads
              another's channels, the gradient of each is that of its own loss. A GPU has as many calls as for one network.
    Threads   each takes its own step on a thread of its own. On a CPU, whose cores gain little from sharing one small
              convolution, and which has no fast grouped ones.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from invtool.models.stacking import side_by_side, split, stack
from invtool.models.watching import logits_of
from invtool.training.loop import Diverged, Epoch, Trainer, TrainingImages, mix
from invtool.transforms import Spec


def run(
    trainers: Sequence[Trainer], after_step: Callable[[int], Any], *, of_several: bool = False
) -> Iterator[list[Epoch | Diverged]]:
    """Train those that stand at the same step to the end, yielding after each epoch what it came to for each.

    Modules, momentum, totals and steps of all move with every step, so that each can be saved as if it were alone.

    of_several: whether there were others, or will be; then one that is left alone has one thread on a CPU as they have,
        so that its bits do not depend on how many they are
    """
    first = trainers[0]
    alone = len(trainers) == 1 and not (of_several and first.device.type == "cpu")
    way = first if alone else _way(first.device)(trainers)
    while first.step < first.steps:
        epoch = first.step // first.steps_per_epoch
        for step in way.advance(epoch):
            after_step(step)
        yield [_came_to(trainer, epoch) for trainer in trainers]


def _way(device: torch.device) -> type["Stacked"] | type["Threads"]:
    return Threads if device.type == "cpu" else Stacked


def _came_to(trainer: Trainer, epoch: int) -> Epoch | Diverged:
    try:
        return trainer.came_to(epoch)
    except Diverged as error:
        return error


class Threads:
    """Trainers that each take a step on one thread, as many at a time as torch has threads."""

    def __init__(self, trainers: Sequence[Trainer]):
        self.trainers, self.first = trainers, trainers[0]

    def advance(self, epoch: int) -> Iterator[int]:
        with ExitStack() as stack:
            ways = [stack.enter_context(closing(t.advance(epoch))) for t in self.trainers]
            pool = stack.enter_context(_single_threads())
            while self.first.step < (epoch + 1) * self.first.steps_per_epoch:
                list(pool.map(next, ways))
                yield self.first.step


@contextmanager
def _single_threads() -> Iterator[ThreadPoolExecutor]:
    """As many workers as torch has threads, in each of which it has one."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)  # here, and in threads that compute for the first time
    try:
        with ThreadPoolExecutor(count) as pool:
            yield pool
    finally:
        torch.set_num_threads(count)


class Stacked:
    """Trainers whose networks are one; their state stays theirs."""

    def __init__(self, trainers: Sequence[Trainer]):
        self.trainers, self.first = trainers, trainers[0]
        self.device, self.recipe = self.first.device, self.first.recipe
        self.module = stack([trainer.module for trainer in trainers])
        self.optimizer = torch.optim.SGD(self.module.parameters(), **self.first.optimizer.defaults)
        self._share_momentum()
        assert isinstance(self.first.images, TrainingImages)
        self.images = self.first.images
        self.label = torch.stack([trainer.images.label for trainer in trainers])
        self.total = torch.stack([trainer.total for trainer in trainers])  # (network, 2)
        for trainer, total in zip(trainers, self.total, strict=True):
            trainer.total = total

    def _share_momentum(self) -> None:
        """The momentum of all networks is one tensor a layer, and each optimizer's a part of it."""
        own = [dict(trainer.module.named_parameters()) for trainer in self.trainers]
        for name, whole in self.module.named_parameters():
            states = [
                t.optimizer.state[parameters[name]]
                for t, parameters in zip(self.trainers, own, strict=True)
            ]
            joined = torch.zeros_like(whole)  # before the first step, as good as none
            for state, part in zip(states, joined.chunk(len(states)), strict=True):
                if "momentum_buffer" in state:
                    part.copy_(state["momentum_buffer"])
                state["momentum_buffer"] = part
            self.optimizer.state[whole]["momentum_buffer"] = joined

    def advance(self, epoch: int) -> Iterator[int]:
        begun = [trainer.begin(epoch) for trainer in self.trainers]
        image, transformed = (np.stack(each, axis=1) for each in zip(*begun, strict=True))
        self.module.train()
        for rows, which in zip(image, transformed, strict=True):  # (network, image)
            self.total += self._step(torch.from_numpy(rows).to(self.device), which, epoch)
            for trainer in self.trainers:
                trainer.step += 1
            yield self.first.step

    def _step(self, rows: Tensor, transformed: NDArray[np.bool_], epoch: int) -> Tensor:
        """Loss and number of right answers of each network, (network, 2)."""
        label = self.label.gather(1, rows)
        x = self._shown(rows.flatten(), transformed, epoch)
        x = side_by_side(self.first.normalize(x).unflatten(0, rows.shape))
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.first.step, self.first.steps)
        reduced = self.first.precision != torch.float32
        with torch.autocast(self.device.type, self.first.precision, enabled=reduced):
            logits = split(logits_of(self.module(x)).float(), len(rows))
        smoothing = self.recipe.label_smoothing
        losses = cross_entropy(
            logits.flatten(0, 1), label.flatten(), reduction="none", label_smoothing=smoothing
        )
        loss = losses.unflatten(0, rows.shape).mean(1)
        self.optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        self.optimizer.step()
        right = (logits.detach().argmax(2) == label).sum(1)
        return torch.stack([loss.detach(), right], dim=1)

    def _shown(self, rows: Tensor, transformed: NDArray[np.bool_], epoch: int) -> Tensor:
        """The images `rows`, some transformed, network after network: float in 0..255."""
        x = self.images.image[rows].float()
        for (transform, seed), networks in self._alike().items():
            chosen = np.zeros_like(transformed)
            chosen[networks] = transformed[networks]
            if chosen.any():
                where = torch.from_numpy(np.flatnonzero(chosen)).to(self.device)
                index = self.images.index[rows[where]]
                x[where] = transform(x[where], seed=mix(seed, epoch), index=index)
        return x

    def _alike(self) -> dict[tuple[Spec, int], list[int]]:
        """Networks whose images are transformed in one call: by transform, and by seed where it is random."""
        found: dict[tuple[Spec, int], list[int]] = {}
        for number, trainer in enumerate(self.trainers):
            seed = trainer.draws.seed if trainer.transform.random else 0
            found.setdefault((trainer.transform, seed), []).append(number)
        return found
