"""Blur before you subsample: what a layer of some stride gives, smoothed by a low-pass filter first.

A layer of stride s is the same layer of stride 1, of which every s-th position is kept. Between the two comes the filter f:

    blur       y = (f * layer of stride 1)[::s]

after Zhang, *Making convolutional networks shift-invariant again* (2019), which mirrors the map about its outermost positions
(c b | a b c | b a) so that a constant stays what it is; with a delta for f, y is the layer's own output. A max-pool takes
the maximum at every position and then blurs. An average pool is treated alike, so that it keeps its place: 2x2 averages
blurred by blur3 are Zhang's blur4 around the middle of the window. A convolution is blurred as it comes out, before batch
norm and ReLU, where Zhang blurs after ReLU: a network that is opened does not say which ReLU belongs to which convolution.

    average    y = mean of the K x K positions around the middle of each window of the pool

after *Why do deep convolutional networks generalize so poorly to small image transformations?*, section 3, which puts 6x6
averages for VGG16's 2x2 max-pools. The mean is over the positions that exist: zeros around the map would darken its border,
and its sum would change as an object nears it.

Height and width of what comes out are those of the layer replaced, whatever its padding and rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from invtool.errors import UsageError
from invtool.models.filters import Filter

Pair: TypeAlias = tuple[int, int]  # along height and width


def pair(value: int | Sequence[int]) -> Pair:
    """An argument that torch takes as one number, or as one or two in a sequence."""
    if isinstance(value, int):
        return value, value
    return value[0], value[-1]


def blur(maps: Tensor, smoothing: Filter, stride: Pair = (1, 1), *, axes: Pair = (1, 1)) -> Tensor:
    """Smooth maps (image, channel, height, width) and keep every `stride`-th position from the first.

    Axes that are 0 in `axes` are left as they are. A filter of an even number of taps reaches one position more to the
    right and down. Along an axis too short to be mirrored, a map is continued by its outermost positions.

    Examples:
        >>> line = torch.tensor([0.0, 0, 0, 4, 0]).reshape(1, 1, 1, 5)
        >>> blur(line, Filter("blur", 3)).flatten()
        tensor([0., 0., 1., 2., 2.])
        >>> blur(line, Filter("blur", 3), (1, 2)).flatten()
        tensor([0., 1., 2.])
    """
    weights = [smoothing.weights if axis else (1.0,) for axis in axes]
    reach = [len(taps) - 1 for taps in weights]
    (top, left), (bottom, right) = [r // 2 for r in reach], [r - r // 2 for r in reach]
    if bottom < maps.shape[-2] and right < maps.shape[-1]:
        padded = F.pad(maps, (left, right, top, bottom), "reflect")
    else:
        padded = _continued(_continued(maps, (0, 0, top, bottom)), (left, right, 0, 0))
    kernel = _kernel(*weights, maps.dtype, maps.device)
    channels = maps.shape[1]
    return F.conv2d(padded, kernel.expand(channels, 1, -1, -1), stride=stride, groups=channels)


def _continued(maps: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Padded along one axis."""
    side = maps.shape[-1] if any(padding[:2]) else maps.shape[-2]
    return F.pad(maps, padding, "reflect" if max(padding) < side else "replicate")


@lru_cache(maxsize=32)
def _kernel(
    rows: tuple[float, ...], columns: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    with torch.inference_mode(False):  # a training may come after a test and use it again
        return torch.outer(torch.tensor(rows), torch.tensor(columns)).to(device, dtype)


@dataclass(frozen=True)
class Pool:
    """A pooling of windows: which positions it reads, in pixels along height and width."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    ceil_mode: bool

    @property
    def window(self) -> Pair:
        """From the first to the last pixel that it reads."""
        (height, width), (d, e) = self.kernel, self.dilation
        return d * (height - 1) + 1, e * (width - 1) + 1

    def subsamples(self, maps: Tensor) -> bool:
        """Whether it drops positions; a window over the whole map does not, whatever its stride."""
        moved = zip(self.stride, self._everywhere(maps), strict=True)
        return any(stride > 1 and places > 1 for stride, places in moved)

    def smoothed(self, maps: Tensor, smoothing: Filter) -> Tensor:
        """The maps pooled by averages instead, or pooled at every position and blurred."""
        if smoothing.name == "avg":
            return self._averages(maps, smoothing.taps)
        axes = pair([int(stride > 1) for stride in self.stride])
        return blur(self.everywhere(maps), smoothing, self.stride, axes=axes)

    def everywhere(self, maps: Tensor) -> Tensor:
        """The pool of stride 1."""
        raise NotImplementedError

    def _everywhere(self, maps: Tensor) -> Pair:
        """How many windows lie within the padded map."""
        sides = zip(maps.shape[-2:], self.padding, self.window, strict=True)
        return pair([side + 2 * padding - window + 1 for side, padding, window in sides])

    def places(self, maps: Tensor) -> Pair:
        """Height and width of what the pool gives."""
        found = []
        for n, side in enumerate(maps.shape[-2:]):
            stride, spare = self.stride[n], self.stride[n] - 1 if self.ceil_mode else 0
            count = (self._everywhere(maps)[n] - 1 + spare) // stride + 1
            outside = self.ceil_mode and (count - 1) * stride >= side + self.padding[n]
            found.append(count - outside)
        return pair(found)

    def overhang(self, maps: Tensor) -> tuple[int, int, int, int]:
        """Padding of the right and lower side that `ceil_mode` implies, as `F.pad` takes it."""
        down, right = (
            max(0, (count - 1) * stride + 1 - there)
            for count, stride, there in zip(
                self.places(maps), self.stride, self._everywhere(maps), strict=True
            )
        )
        return 0, right, 0, down

    def _averages(self, maps: Tensor, taps: int) -> Tensor:
        if taps < max(self.window):
            raise UsageError(
                f"--pool avg{taps} is smaller than a pooling window of {max(self.window)} pixels; "
                f"avg{max(self.window)} is the least"
            )
        padding = []
        places = self.places(maps)
        for n in (1, 0):  # F.pad wants the width first
            before = self.padding[n] + (taps - self.window[n]) // 2
            reach = (places[n] - 1) * self.stride[n] + taps
            padding += [before, max(0, reach - before - maps.shape[-2:][n])]
        return _mean(maps, (taps, taps), self.stride, padding, F.pad(_ones(maps), padding))


class MaxPool(Pool):
    def everywhere(self, maps: Tensor) -> Tensor:
        reached = F.pad(maps, self.overhang(maps), value=-inf)
        return F.max_pool2d(reached, self.kernel, 1, self.padding, self.dilation)


@dataclass(frozen=True)
class AveragePool(Pool):
    count_include_pad: bool
    divisor_override: int | None

    def everywhere(self, maps: Tensor) -> Tensor:
        (down, right), hangs = self.padding, self.overhang(maps)
        frame = (right, right, down, down)
        counted = F.pad(_ones(maps), frame, value=float(self.count_include_pad))
        counted = F.pad(counted, hangs)
        if self.divisor_override:
            counted = torch.full_like(
                counted, self.divisor_override / (self.kernel[0] * self.kernel[1])
            )
        padding = [side + more for side, more in zip(frame, hangs, strict=True)]
        return _mean(maps, self.kernel, (1, 1), padding, counted)


def _ones(maps: Tensor) -> Tensor:
    return maps.new_ones(1, 1, *maps.shape[-2:])


def _mean(
    maps: Tensor, kernel: Pair, stride: Pair, padding: Sequence[int], counted: Tensor
) -> Tensor:
    """Sums over windows of the padded maps, divided by the sums of `counted`."""
    padded = F.pad(maps, list(padding))
    sums = F.avg_pool2d(padded, kernel, stride, divisor_override=1)
    return sums / F.avg_pool2d(counted, kernel, stride, divisor_override=1)


def max_pool(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> MaxPool:
    """What a call of `max_pool2d` with these arguments does."""
    steps = pair(stride or kernel_size)
    return MaxPool(pair(kernel_size), steps, pair(padding), pair(dilation), ceil_mode)


def average_pool(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> AveragePool:
    """What a call of `avg_pool2d` with these arguments does."""
    steps = pair(stride or kernel_size)
    return AveragePool(
        pair(kernel_size),
        steps,
        pair(padding),
        (1, 1),
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


@dataclass(frozen=True)
class Convolution:
    """A convolution: the arguments of a call of `conv2d`."""

    weight: Tensor
    bias: Tensor | None
    stride: Pair
    padding: str | int | Sequence[int]
    dilation: int | Sequence[int]
    groups: int

    @property
    def subsamples(self) -> bool:
        return max(self.stride) > 1

    def smoothed(self, maps: Tensor, smoothing: Filter) -> Tensor:
        axes = pair([int(stride > 1) for stride in self.stride])
        if self.weight.shape[2:].numel() == 1 and self.padding in (0, (0, 0), "valid"):
            # Mixing channels and blurring may change places, and fewer positions are cheaper.
            return self._of(blur(maps, smoothing, self.stride, axes=axes), 0)
        return blur(self._of(maps, self.padding), smoothing, self.stride, axes=axes)

    def _of(self, maps: Tensor, padding: str | int | Sequence[int]) -> Tensor:
        """The convolution of stride 1."""
        dilation, groups = self.dilation, self.groups
        return F.conv2d(maps, self.weight, self.bias, 1, padding, dilation, groups)


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Convolution:
    """What a call of `conv2d` with these arguments does."""
    return Convolution(weight, bias, pair(stride), padding, dilation, groups)
