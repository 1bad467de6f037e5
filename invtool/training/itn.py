"""Controllers of the Invariant Transformer Net, trained on a network that stays as it is.

Each step draws k1 and k2 uniformly and a batch of images, and transforms it. A batch of which fewer are
answered right than the network answers without a transformation takes the classification loss, any
other c_theta L_k2(A_phi) + L_k1(A_theta), see `measures.projection_loss`.

At the identity, where all starts, L is at its maximum and its gradient is 0. So after the first batch
the second layers are nudged at random: a seed is a direction to leave in.

Source: sensitivity, section III.D. It names no optimizer; this is Adam, whose moments both losses
share: had each its own, c_theta would change nothing. Nor does it hold the corners of k to anything, where
maps are largest and draws of k rare, nor say which step is taken in the end. Here the corners are checked
now and then: where accuracy is kept in all, the maps are kept if they are larger than before; where it is
not, training goes back to those, with half the learning rate. They are what is taken.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from invtool.transforms.affine import from_identity
from invtool.transforms.controllers import (
    Controllers,
    color_matrix,
    spatial_matrix,
    transformed,
)

NUDGE = 1e-3  # standard deviation
CHECKS = 20  # of the corners, over the training
SHRINK = 0.5  # of the learning rate, where a check fails
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Batches = Callable[[NDArray[np.int64]], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Recipe:
    """How controllers are trained.

    With `gate` batch, a batch is held to what the network answers of those same images, with set to
    what it answers of all.
    """

    steps: int
    batch: int
    learning_rate: float
    color_weight: float
    slack: float
    gate: str
    vectors: int
    keep_scale: bool


@dataclass(frozen=True)
class Step:
    """What a batch gave: both losses, the share answered right, and whether that was enough."""

    classification: float
    magnitude: float
    accuracy: float
    kept: bool


def train(
    held: dict[str, Tensor],
    network: Callable[[Tensor], Tensor],
    read: Batches,
    right: NDArray[np.bool_],
    loss: Loss,
    check: Callable[[Controllers], bool],
    recipe: Recipe,
    *,
    seed: int,
) -> Iterator[Step]:
    """Train the controllers `held` in place, from the identity on; what each step gave.

    `read(rows)` gives images and labels on the device; `right` (row,) says which of them the network
    answers right untransformed; `loss` is L_k(A) of k, A and unit vectors; `check` says whether
    accuracy is kept at all corners.
    """
    random = torch.Generator().manual_seed(seed)
    order = np.random.default_rng(seed)
    parameters = [tensor.requires_grad_() for tensor in held.values()]
    device = parameters[0].device
    optimizer = torch.optim.Adam(parameters, recipe.learning_rate)
    largest, best = 0.0, _copy(held)
    rate, every = recipe.learning_rate, max(recipe.steps // CHECKS, 1)
    waiting: NDArray[np.int64] = np.empty(0, np.int64)
    images = min(recipe.batch, len(right))
    for number in range(recipe.steps):
        if len(waiting) < images:
            waiting = order.permutation(len(right))
        rows, waiting = np.sort(waiting[:images]), waiting[images:]
        image, label = read(rows)
        channels = image.shape[1]
        k1, k2 = torch.rand(2, 2, generator=random).to(device)
        logits = network(transformed(image, held, k1, k2, keep_scale=recipe.keep_scale)).float()
        classification = F.cross_entropy(logits, label)
        space = spatial_matrix(held, k1, keep_scale=recipe.keep_scale)
        color = color_matrix(held, k2, channels)
        magnitude = recipe.color_weight * loss(k2, color, _vectors(color, recipe, random))
        magnitude = magnitude + loss(k1, space, _vectors(space, recipe, random))
        accuracy = float((logits.argmax(1) == label).double().mean())
        wanted = (
            float(right[rows].mean() if recipe.gate == "batch" else right.mean()) - recipe.slack
        )
        kept = accuracy >= wanted
        optimizer.zero_grad(set_to_none=True)
        (magnitude if kept else classification).backward()
        optimizer.step()
        if number == 0:
            _nudge(held, random)
        if (number + 1) % every == 0:
            size = _size(held, recipe, channels)
            if not check(held):
                _restore(held, best)
                if not largest:
                    _nudge(held, random)
                rate *= SHRINK
                optimizer = torch.optim.Adam(parameters, rate)
            elif size > largest:
                largest, best = size, _copy(held)
        yield Step(float(classification.detach()), float(magnitude.detach()), accuracy, kept)
    _restore(held, best)


def _size(held: Controllers, recipe: Recipe, channels: int) -> float:
    """What both maps at k1 = k2 = (1, 1) amount to, colors weighted as in the loss."""
    space = spatial_matrix(held, (1, 1), keep_scale=recipe.keep_scale)
    color = color_matrix(held, (1, 1), channels)
    moved = [float((from_identity(m) ** 2).mean()) for m in (space.detach(), color.detach())]
    return moved[0] + recipe.color_weight * moved[1]


def _copy(held: Controllers) -> Controllers:
    return {name: tensor.detach().clone() for name, tensor in held.items()}


@torch.no_grad()
def _restore(held: Controllers, best: Controllers) -> None:
    for name, tensor in best.items():
        held[name].copy_(tensor)


def _vectors(matrix: Tensor, recipe: Recipe, random: torch.Generator) -> Tensor:
    """Random unit vectors (vector, column)."""
    drawn = torch.randn(recipe.vectors, matrix.shape[1], generator=random)
    return F.normalize(drawn, dim=1).to(matrix.device)


@torch.no_grad()
def _nudge(held: dict[str, Tensor], random: torch.Generator) -> None:
    for name, tensor in held.items():
        if name.endswith("output.weight"):
            tensor += NUDGE * torch.randn(tensor.shape, generator=random).to(tensor.device)
