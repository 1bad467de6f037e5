"""Linear sampling between neighboring pixels along one axis, and what lies outside the image.

    y(t) = (1 - f) x(i) + f x(i + 1),    i = floor(p(t)),  f = p(t) - i

p(t) is where the value at t comes from, in pixels; the middle of the axis is (size - 1) / 2. What
is outside, 0..size-1 being inside, is one of the borders:

    zeros      0 0 | a b c d | 0 0     a place less than a pixel outside is part image, part 0
    edge       a a | a b c d | d d
    reflect    c b | a b c d | c b     mirrored about the outermost pixels, as often as it takes

Sampling is linear in the image, so along one axis it is a matrix of at most two weights a row, and
along both a product from either side.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from invtool.transforms._batch import pieces
from invtool.transforms.registry import BORDERS

BLOCK = 32
"""Outputs of one axis that are computed by one matrix product, from the inputs that they read."""

WHOLE = 6
"""Decimals of a pixel to which a move is rounded, so that a third of 30 pixels is 10 exactly."""


Band = tuple[slice, slice, Tensor]  # inputs that are read, outputs, weights (output, input)
Bands = tuple[Band, ...]


def brought_inside(position: Tensor, size: int, border: str) -> Tensor:
    """The places in 0..size-1 that positions outside stand for; with zeros, they stay outside.

    >>> brought_inside(torch.tensor([-1.5, 0.5, 4.0]), 4, "edge").tolist()
    [0.0, 0.5, 3.0]
    >>> brought_inside(torch.tensor([-1.5, 0.5, 4.0]), 4, "reflect").tolist()
    [1.5, 0.5, 2.0]
    """
    if border not in BORDERS:
        raise ValueError(f"border is one of {', '.join(BORDERS)}, not {border!r}")
    if border == "zeros":
        return position
    if border == "edge" or size == 1:
        return position.clamp(0, size - 1)
    period = 2 * (size - 1)
    position = position.remainder(period)
    return torch.minimum(position, period - position)


def sampling_matrix(position: Tensor, size: int, border: str) -> Tensor:
    """The weights of each input in each output, float64 (position, pixel).

    >>> sampling_matrix(torch.tensor([-0.25, 0.5, 2.0]), 3, "zeros").tolist()
    [[0.75, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    position = brought_inside(position.double(), size, border)
    before = position.floor()
    fraction = position - before
    matrix = position.new_zeros(len(position), size + 2)  # a column more for what is outside
    for pixel, weight in ((before, 1 - fraction), (before + 1, fraction)):
        column = pixel.clamp(-1, size).long() + 1
        matrix.scatter_add_(1, column[:, None], weight[:, None])
    return matrix[:, 1:-1]


def stretch(image: Tensor, axes: tuple[int, ...], factor: float, border: str) -> Tensor:
    """Sampled at p(t) = factor (t - middle) + middle along each of `axes`, 2 (height), 3 (width)."""
    stretched = torch.empty_like(image)
    for piece in pieces(image):
        source = image[piece]
        for axis in axes:
            target = stretched[piece] if axis == axes[-1] else torch.empty_like(source)
            bands = _stretch(source.shape[axis], factor, border, source.dtype, source.device)
            _multiply(source, bands, axis, target)
            source = target
    return stretched


def move(image: Tensor, axis: int, pixels: float, border: str) -> Tensor:
    """Sampled at p(t) = t - pixels along `axis`, 2 (height) or 3 (width)."""
    moved, size = torch.empty_like(image), image.shape[axis]
    pixels = round(pixels, WHOLE)
    first, stop = _inside(size, pixels)
    start, count = first - math.floor(pixels), stop - first  # of the neighbor after p
    after, target = image.narrow(axis, start, count), moved.narrow(axis, first, count)
    if pixels.is_integer():
        target.copy_(after)
    else:
        before = image.narrow(axis, start - 1, count)
        torch.lerp(after, before, pixels % 1, out=target)
    _multiply(image, _strips(size, pixels, border, image.dtype, image.device), axis, moved)
    return moved


def _inside(size: int, pixels: float) -> tuple[int, int]:
    """First and stop of the outputs of a move whose neighbors, one or two, are all in the image.

    >>> _inside(4, 1.5), _inside(4, -1.5), _inside(4, 9.0)
    ((2, 4), (0, 2), (4, 4))
    """
    first = min(max(math.ceil(pixels), 0), size)
    return first, max(min(size + math.floor(pixels), size), first)


def _multiply(source: Tensor, bands: Bands, axis: int, target: Tensor) -> None:
    """Write the product of the axis with each band into the outputs that it is for."""
    for reach, block, band in bands:
        if axis == 2:
            target[:, :, block] = band @ source[:, :, reach]
        else:
            target[..., block] = source[..., reach] @ band.mT


@lru_cache(maxsize=64)
def _stretch(
    size: int, factor: float, border: str, dtype: torch.dtype, device: torch.device
) -> Bands:
    middle = (size - 1) / 2
    position = factor * (torch.arange(size, dtype=torch.float64) - middle) + middle
    return tuple(
        _band(slice(start, min(start + BLOCK, size)), position, border, dtype, device)
        for start in range(0, size, BLOCK)
    )


@lru_cache(maxsize=64)
def _strips(
    size: int, pixels: float, border: str, dtype: torch.dtype, device: torch.device
) -> Bands:
    """What a move brings in from outside, on one side or both."""
    first, stop = _inside(size, pixels)
    position = torch.arange(size, dtype=torch.float64) - pixels
    return tuple(
        _band(block, position, border, dtype, device)
        for block in (slice(0, first), slice(stop, size))
        if block.start < block.stop
    )


def _band(
    block: slice, position: Tensor, border: str, dtype: torch.dtype, device: torch.device
) -> Band:
    """The rows `block` of the axis's matrix without the columns of zeros on both sides."""
    rows = sampling_matrix(position[block], len(position), border)
    used = rows.any(0).nonzero().flatten().tolist() or [0]
    reach = slice(used[0], used[-1] + 1)
    return reach, block, rows[:, reach].to(device=device, dtype=dtype).contiguous()
