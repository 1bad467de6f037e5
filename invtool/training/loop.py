"""Stochastic gradient descent on images that lie on the device, or are read ahead, transformed in the batch."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from invtool import ranks
from invtool.data.sets import ImageSet
from invtool.errors import InvtoolError
from invtool.models.watching import logits_of
from invtool.training.draws import Draws
from invtool.training.parallel import parallel, weight
from invtool.training.recipes import Recipe
from invtool.transforms import Spec

MIX = 0x9E3779B97F4A7C15  # spreads (seed, step) over 64 bits


Batch = tuple[Tensor, Tensor]  # rows (image,) int64, pixels (image, ...); on the device


@dataclass(frozen=True)
class TrainingImages:
    """Training images on the device.

    image: (image, channel, height, width) uint8 or float32 in 0..255
    label: (image,) int64
    index: (image,) int64, number of each image in its data set, which keys its noise
    """

    image: Tensor
    label: Tensor
    index: Tensor

    def batches(self, parts: Sequence[NDArray[np.int64]]) -> Generator[Batch, None, None]:
        """Each part, rows of `image`, and its pixels."""
        for part in parts:
            rows = torch.from_numpy(part).to(self.image.device)
            yield rows, self.image[rows]


@dataclass(frozen=True)
class StreamedImages:
    """Training images that take more than the device has: read as they are shown, ahead of the network.

    label, index: as of TrainingImages
    """

    images: ImageSet
    label: Tensor
    index: Tensor

    def batches(self, parts: Sequence[NDArray[np.int64]]) -> Generator[Batch, None, None]:
        """Each part, rows of `index`, and its pixels."""
        number, device = self.index.cpu().numpy(), self.label.device
        read = self.images.batches(number[rows] for rows in parts)
        for rows, pixels in zip(parts, read, strict=True):
            yield torch.from_numpy(rows).to(device), torch.from_numpy(pixels).to(device)


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to."""

    epoch: int  # from 1
    loss: float  # mean over the images shown, before each step
    accuracy: float  # share of them answered right
    learning_rate: float  # of its last step
    images_per_second: float  # since the run began or went on


class Diverged(InvtoolError):
    """The loss, a weight or an answer is no longer a number."""


class Trainer:
    """One network's training; `run` goes on from where it stands."""

    def __init__(
        self,
        module: nn.Module,
        normalize: Callable[[Tensor], Tensor],
        images: TrainingImages | StreamedImages,
        draws: Draws,
        transform: Spec,
        recipe: Recipe,
        precision: torch.dtype,
    ):
        self.module, self.normalize, self.images = module, normalize, images
        self.draws, self.transform, self.recipe = draws, transform, recipe
        self.precision = precision
        self.parallel = parallel(module, recipe.batch_size)
        self.device = images.label.device
        self.batch = recipe.batch_size
        self.steps_per_epoch = recipe.steps_per_epoch(len(images.label))
        self.steps = recipe.epochs * self.steps_per_epoch
        self.step = 0
        self.began = (0.0, 0)  # the epoch, or what was left of it: second and step
        self.total = torch.zeros(2, device=self.device)  # of the epoch so far: loss, right
        self.optimizer = torch.optim.SGD(
            module.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
            fused=self.device.type in ("cpu", "cuda"),
        )

    def run(self, after_step: Callable[[int], Any], until: int | None = None) -> Iterator[Epoch]:
        """Train to the end, yielding after each epoch and calling `after_step(step)` after a step.

        With `until`, to the end of that epoch, as the first part of the whole training. Raises
        Diverged when the loss, or a weight, is no longer a number.
        """
        steps = self.steps if until is None else until * self.steps_per_epoch
        while self.step < steps:
            epoch = self.step // self.steps_per_epoch
            for step in self.advance(epoch):
                after_step(step)
            yield self.came_to(epoch)

    def told(self) -> dict[str, Any]:
        """What `go_on` needs besides weights and momentum, as JSON takes it."""
        return {"step": self.step, "epoch_total": self.total.tolist()}

    def go_on(self, told: Mapping[str, Any]) -> None:
        self.step = told["step"]
        self.total.copy_(torch.tensor(told["epoch_total"]))

    def advance(self, epoch: int) -> Generator[int, None, None]:
        """Go through what is left of an epoch, from 0, yielding the number of steps done after each."""
        image, transformed = self.begin(epoch)
        own = ranks.share(self.batch)
        with closing(self.images.batches([*image[:, own]])) as shown:
            for which, (rows, pixels) in zip(transformed[:, own], shown, strict=True):
                self.total += self._step(rows, pixels, which, epoch)
                self.step += 1
                yield self.step

    def begin(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The steps that an epoch has left, (step, image): rows, and which are shown transformed."""
        done = self.step - epoch * self.steps_per_epoch
        if not done:
            self.total.zero_()
        self.began = (time.perf_counter(), self.step)
        self.module.train()
        image, transformed = self.draws.epoch(epoch, self.steps_per_epoch * self.batch)
        shape = (self.steps_per_epoch, self.batch)
        return image.reshape(shape)[done:], transformed.reshape(shape)[done:]

    def came_to(self, epoch: int) -> Epoch:
        """What an epoch that is done came to; raises Diverged."""
        loss, right = self.total.tolist()
        began, step = self.began
        seconds = time.perf_counter() - began
        if not (np.isfinite(loss) and self._weights_are_finite()):
            raise Diverged(
                f"training diverged in epoch {epoch + 1}; "
                f"lower --learning-rate (now {self.recipe.learning_rate:g})"
            )
        return Epoch(
            epoch + 1,
            loss / self.steps_per_epoch,
            right / (self.steps_per_epoch * self.batch),
            self.recipe.rate(self.step - 1, self.steps),
            (self.step - step) * self.batch / seconds,
        )

    def _weights_are_finite(self) -> bool:
        """The loss does not tell what the last step did."""
        return all(bool(tensor.isfinite().all()) for tensor in self.module.state_dict().values())

    def _step(
        self, rows: Tensor, pixels: Tensor, transformed: NDArray[np.bool_], epoch: int
    ) -> Tensor:
        x = pixels.float()
        label = self.images.label[rows]
        chosen = torch.from_numpy(np.flatnonzero(transformed)).to(self.device)
        if len(chosen):
            index = self.images.index[rows[chosen]]
            x[chosen] = self.transform(x[chosen], seed=mix(self.draws.seed, epoch), index=index)
        torch.manual_seed(mix(self.draws.seed, self.step))  # dropout's masks
        x = self.normalize(x).contiguous(memory_format=torch.channels_last)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step, self.steps)
        reduced = self.precision != torch.float32
        with torch.autocast(self.device.type, self.precision, enabled=reduced):
            logits = logits_of(self.parallel(x)).float()
        loss = cross_entropy(logits, label, label_smoothing=self.recipe.label_smoothing)
        if ranks.size > 1:
            loss = loss * weight(len(rows), self.batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        right = (logits.detach().argmax(1) == label).sum()
        return ranks.total(torch.stack([loss.detach() / ranks.size, right]))


def mix(seed: int, number: int) -> int:
    """A seed for the step or epoch `number` of a training, far from those of others."""
    return (seed + (number + 1) * MIX) % 2**63
