"""What a network answers to images whose colors and places went through given matrices."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool.config import Itn
from invtool.files import messages
from invtool.measures import (
    boundary,
    boundary_interval,
    color_change,
    displacement,
    wilson_interval,
)
from invtool.stages import _devices
from invtool.stages._forward import check_finite, read_ahead
from invtool.stages._subject import Subject
from invtool.stages.itn_paths import (
    FARTHEST,
    UNITS,
    Path,
    learned,
    magnitudes,
    single_color,
    single_space,
)
from invtool.training.itn import Step
from invtool.transforms.affine import affine_color, affine_space
from invtool.transforms.controllers import (
    COLOR,
    SPACE,
    Controllers,
    color_matrix,
    spatial_matrix,
)

Array = NDArray[Any]
CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))
MOST_COLORS = 65536  # pixels, on which changes of color are measured


@dataclass(frozen=True)
class Answers:
    """prediction, right and probability of the true category (image,); softmax of the examples."""

    prediction: Array
    right: Array
    probability: Array
    softmax: Array  # (example, category)


def _changed(image: Tensor, space: Array | None, color: Array | None) -> Tensor:
    """The images after the matrices, color first; one that is None changes nothing."""
    if color is not None:
        image = affine_color(image, torch.from_numpy(color).to(image))
    if space is not None:
        image = affine_space(image, torch.from_numpy(space).to(image))
    return image


@dataclass(frozen=True)
class Stage:
    """The images that measure: rows of the data set, and how many of them are examples."""

    subject: Subject
    rows: NDArray[np.int64]
    examples: NDArray[np.int64]  # places among the rows
    batch_size: int

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.subject.images.image.shape[1:]
        return channels, height, width

    def colors(self) -> Array:
        """Pixels (pixel, channel) of the images, spread evenly."""
        image = self.subject.images.image
        step = max(1, len(self.rows) * image.shape[2] * image.shape[3] // MOST_COLORS)
        parts = [np.moveaxis(image[row], 0, -1).reshape(-1, self.shape[0]) for row in self.rows]
        return np.concatenate(parts).astype(np.float64)[::step]

    def answers(
        self, *, space: Array | None = None, color: Array | None = None, strict: bool = True
    ) -> Answers:
        """What is answered after the matrices; one that is left out changes nothing.

        Answers that are no finite numbers are refused, or, if not `strict`, are not right.
        """
        network, device = self.subject.network, self.subject.device
        label = self.subject.images.label[self.rows]
        logits = []
        with (
            torch.inference_mode(),
            _devices.arithmetic(device, self.subject.precision),
        ):
            for _, pixels, _ in read_ahead(self.subject.images, self.rows, self.batch_size, device):
                found = network(_changed(pixels.float(), space, color)).float()
                if strict:
                    check_finite(found, network)
                logits.append(found.cpu())
        whole = torch.cat(logits)
        softmax = whole.softmax(1).numpy()
        prediction = whole.argmax(1).numpy()
        right = (prediction == label) & whole.isfinite().all(1).numpy()
        own = softmax[np.arange(len(label)), label]
        return Answers(prediction, right, own, softmax[self.examples])

    def pictures(self, *, space: Array | None = None, color: Array | None = None) -> Array:
        """The examples after the matrices, (example, channel, height, width) uint8."""
        image = torch.from_numpy(np.array(self.subject.images.image[self.rows[self.examples]]))
        image = _changed(image.float(), space, color)
        return image.clamp(0, 255).round().to(torch.uint8).numpy()


@dataclass(frozen=True)
class Part:
    """One controller on the grid of k, the other one at k = 0.

    matrix: (grid, grid, row, column); accuracy and probability: (grid, grid)
    prediction: (grid, grid, image); softmax: (grid, grid, example, category)
    pictures: (corner, example, channel, height, width)
    """

    matrix: Array
    accuracy: Array
    probability: Array
    prediction: Array
    softmax: Array
    pictures: Array
    size: Array  # (grid, grid), in the part's unit

    def corner(self, number: int) -> tuple[int, int]:
        last = len(self.matrix) - 1
        first, second = CORNERS[number]
        return first * last, second * last


@dataclass(frozen=True)
class Start:
    """What one seed came to."""

    seed: int
    steps: Sequence[Step]
    controllers: Controllers
    space: Part
    color: Part
    both_accuracy: Array  # (corner,)

    def part(self, name: str) -> Part:
        return self.space if name == SPACE else self.color


@dataclass(frozen=True)
class Reached:
    """How far one path goes before the accuracy is not kept."""

    path: Path
    magnitude: Array  # (step,)
    accuracy: Array  # (step,), NaN where it was not asked for
    boundary: float
    fell: bool
    interval: Array  # (bound,)
    matrix: Array = field(repr=False)  # there


def measure(
    stage: Stage, config: Itn, seed: int, steps: Sequence[Step], controllers: Controllers
) -> Start:
    """Matrices, answers and pictures of trained controllers over the grid of k."""
    held = {name: tensor.detach().cpu() for name, tensor in controllers.items()}
    grid = np.linspace(0, 1, config.grid)
    pairs = [(first, second) for first in grid for second in grid]
    space = np.stack([_spatial(held, k, config) for k in pairs])
    color = np.stack([_color(held, k, stage.shape[0]) for k in pairs])
    parts = {}
    for name, matrices in ((SPACE, space), (COLOR, color)):
        given = [
            {"space": m, "color": color[0]} if name == SPACE else {"space": space[0], "color": m}
            for m in matrices
        ]
        watched = messages.progress(given, total=len(given), label=f"measuring {name}", unit="maps")
        parts[name] = _part(stage, matrices, [stage.answers(**m) for m in watched], given, config)
    last = len(pairs) - 1
    numbers = [
        first * (last - config.grid + 1) + second * (config.grid - 1) for first, second in CORNERS
    ]
    both = [float(stage.answers(space=space[n], color=color[n]).right.mean()) for n in numbers]
    return Start(seed, steps, held, parts[SPACE], parts[COLOR], np.array(both))


def _part(
    stage: Stage,
    matrices: Array,
    answers: Sequence[Answers],
    given: Sequence[dict[str, Array]],
    config: Itn,
) -> Part:
    side = config.grid

    def gridded(values: Sequence[Any]) -> Array:
        whole = np.stack([np.asarray(value) for value in values])
        return whole.reshape(side, side, *whole.shape[1:])

    corners = [first * (side - 1) * side + second * (side - 1) for first, second in CORNERS]
    spatial = matrices.shape[-2:] == (2, 3)
    colors = stage.colors() if not spatial else None
    if colors is None:
        size = list(displacement(matrices, *stage.shape[1:]))
    else:
        size = [float(color_change(matrix, colors)) for matrix in matrices]
    return Part(
        gridded(list(matrices)),
        gridded([answer.right.mean() for answer in answers]),
        gridded([answer.probability.mean() for answer in answers]),
        gridded([answer.prediction for answer in answers]),
        gridded([answer.softmax for answer in answers]),
        np.stack([stage.pictures(**given[number]) for number in corners]),
        gridded(size),
    )


def at_corners(held: Controllers, config: Itn, channels: int) -> list[dict[str, Array]]:
    """Both matrices at each corner of k1, and of k2, the other at 0, as `Stage.answers` takes them."""
    space = [_spatial(held, k, config) for k in CORNERS]
    color = [_color(held, k, channels) for k in CORNERS]
    first = [{"space": matrix, "color": color[0]} for matrix in space]
    return first + [{"space": space[0], "color": matrix} for matrix in color[1:]]


def _spatial(held: Controllers, k: Any, config: Itn) -> Array:
    found = spatial_matrix(held, k, keep_scale=config.keep_scale)
    return np.asarray(found.detach().double().numpy())


def _color(held: Controllers, k: Any, channels: int) -> Array:
    return np.asarray(color_matrix(held, k, channels).double().numpy())


def paths(stage: Stage, starts: Sequence[Start]) -> list[Path]:
    """Single transformations, and the way to each learned corner but the first."""
    _, height, width = stage.shape
    found = single_space(height, width) + single_color(stage.colors())
    for start in starts:
        for name, letter in ((SPACE, "k1"), (COLOR, "k2")):
            part = start.part(name)
            for number, (first, second) in enumerate(CORNERS[1:], start=1):
                at = part.corner(number)
                farthest = FARTHEST if name == COLOR else min(height, width) / 2
                found.append(
                    learned(
                        f"learned {letter}={first},{second}",
                        name,
                        part.matrix[at],
                        start.seed,
                        float(part.size[at]),
                        farthest,
                    )
                )
    return found


def reach(stage: Stage, config: Itn, way: Path, own: Array) -> Reached:
    """Walk the path from none outwards until the accuracy is surely not kept; `own` is (image,)."""
    magnitude = magnitudes(way, config.reach)
    right = np.full((len(magnitude), len(own)), np.nan)
    right[0] = own
    limit = config.share * own.mean()
    for step, value in enumerate(magnitude):
        if step and way.most:
            matrix = way.at(float(value))
            space, color = (matrix, None) if way.part == SPACE else (None, matrix)
            right[step] = stage.answers(space=space, color=color).right
        count = np.array([right[step].sum()])
        if not way.most or wilson_interval(count, np.array([len(own)]))[0, 1] < limit:
            break
    accuracy = right.mean(axis=1)
    where, fell = boundary(accuracy[None], magnitude, limit)
    interval = boundary_interval(
        right, magnitude, config.share, resamples=config.resamples, seed=config.seed
    )
    return Reached(
        way,
        magnitude,
        accuracy,
        float(where[0]),
        bool(fell[0]),
        interval,
        way.at(float(where[0])),
    )


def unit_of(name: str) -> str:
    """The unit in which what a part does is measured."""
    return UNITS[name]
