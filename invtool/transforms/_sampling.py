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

from functools import lru_cache

import torch
from torch import Tensor

from invtool.transforms._batch import pieces
from invtool.transforms.registry import BORDERS

BLOCK = 32
"""Outputs of one axis that are computed by one matrix product, from the inputs that they read."""

WHOLE = 6
"""Decimals of a pixel to which a move is rounded, so that a third of 30 pixels is 10 exactly."""


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


def stretch(image: Tensor, axis: int, factor: float, border: str) -> Tensor:
    """Sampled at p(t) = factor (t - middle) + middle along `axis`, 2 (height) or 3 (width)."""
    stretched = torch.empty_like(image)
    bands = _bands(image.shape[axis], factor, border, image.dtype, image.device)
    for piece in pieces(image):
        source, target = image[piece], stretched[piece]
        for reach, block, band in bands:
            if axis == 2:
                target[:, :, block] = band @ source[:, :, reach]
            else:
                target[..., block] = source[..., reach] @ band.mT
    return stretched


@lru_cache(maxsize=64)
def _bands(
    size: int, factor: float, border: str, dtype: torch.dtype, device: torch.device
) -> tuple[tuple[slice, slice, Tensor], ...]:
    """The matrix of one axis as blocks: (inputs that are read, outputs, weights)."""
    middle = (size - 1) / 2
    position = factor * (torch.arange(size, dtype=torch.float64) - middle) + middle
    matrix = sampling_matrix(position, size, border)
    bands = []
    for start in range(0, size, BLOCK):
        rows = matrix[start : start + BLOCK]
        used = rows.any(0).nonzero().flatten().tolist() or [0]
        reach = slice(used[0], used[-1] + 1)
        band = rows[:, reach].to(device=device, dtype=dtype).contiguous()
        bands.append((reach, slice(start, start + len(rows)), band))
    return tuple(bands)


def move(image: Tensor, axis: int, pixels: float, border: str) -> Tensor:
    """Sampled at p(t) = t - pixels along `axis`, 2 (height) or 3 (width)."""
    size = image.shape[axis]
    place = torch.arange(-1, size, dtype=torch.float64)
    pixels = round(pixels, WHOLE)
    whole = int(pixels // 1)
    fraction = pixels - whole
    # t - pixels lies between t - whole - 1 and t - whole
    position = brought_inside(place - whole, size, border)
    outside = (position < 0) | (position > size - 1)
    index = position.clamp(0, size - 1).long().to(image.device)
    extended = image.index_select(axis, index)
    if outside.any():
        shape = [1, 1, 1, 1]
        shape[axis] = size + 1
        extended *= (~outside).to(extended).view(shape)
    after, before = extended.narrow(axis, 1, size), extended.narrow(axis, 0, size)
    if fraction == 0:
        return after.contiguous()
    return torch.lerp(after, before, fraction)
