"""Filters: Gaussian blur, horizontal and vertical difference, high pass.

    blur               y = g(sigma) along the height, then along the width
                       g_k ~ exp(-k^2 / (2 sigma^2)), k = -r..r, r = round(4 sigma), sum 1
    horizontal filter  3x3, each row [-1, 0, 1]
    vertical filter    3x3, each column [-1, 0, 1]
    high pass          5x5, middle row and middle column [-1, 2, 4, 2, -1], sum 0:

                       -1 -1 -1 -1 -1
                       -1  1  2  1 -1
                       -1  2  4  2 -1
                       -1  1  2  1 -1
                       -1 -1 -1 -1 -1

A filter is laid on the image as it is written (cross-correlation, as convolutional layers do), so
the horizontal filter answers brightness that rises to the right with a positive value. Results are
signed and not clipped.

Source: categories, appendix B. Its high pass is "of form [-1, 2, 4, 2, -1] in both directions"; the
kernel above is our reading: that form through the middle both ways, and no answer to a constant.

Border: the image is mirrored about its outermost pixels (d c b | a b c d | c b a, the default of
OpenCV and "mirror" in scipy). The paper does not say. Padding with zeros would put a frame of up to
three times the gray level around every filtered image, the brightest thing in it, and would darken
a blurred image's edge; a network could tell transformed images by it without looking at the object.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from invtool.transforms._batch import check, pieces

TRUNCATE = 4
"""Standard deviations after which the Gaussian ends: the tail beyond holds 0.006 % of its weight."""

BLOCK = 32
"""Outputs of one axis that are computed by one matrix product: wide enough for full speed, narrow
enough that little of the band matrix's zeros is multiplied."""


def blur(image: Tensor, *, sigma: float) -> Tensor:
    """Gaussian blur of standard deviation `sigma` pixels; 0 changes nothing.

    Takes and returns (image, channel, height, width). ValueError for a negative sigma.

    >>> point = torch.zeros(1, 1, 11, 11)
    >>> point[0, 0, 5, 5] = 100
    >>> blurred = blur(point, sigma=1)
    >>> round(blurred[0, 0, 5, 5].item(), 2), round(blurred.sum().item(), 2)
    (15.92, 100.0)
    """
    check(image)
    if not sigma >= 0:
        raise ValueError(f"sigma is a number of pixels of at least 0, not {sigma}")
    if sigma == 0:
        return image.clone()
    blurred = torch.empty_like(image)
    for piece in pieces(image):
        plane = image[piece].flatten(0, 1)  # (image x channel, height, width)
        plane = _blur_and_turn(_blur_and_turn(plane, sigma), sigma)
        blurred[piece] = plane.view(image[piece].shape)
    return blurred


def _blur_and_turn(plane: Tensor, sigma: float) -> Tensor:
    """Blur along the last axis and swap the last two: both axes then take the same fast product."""
    planes, height, width = plane.shape
    turned = plane.new_empty(planes, width, height)
    for reach, block, band in _bands(width, float(sigma), plane.dtype, plane.device):
        turned[:, block] = torch.bmm(band.expand(planes, -1, -1), plane.mT[:, reach])
    return turned


@lru_cache(maxsize=64)
def _bands(
    size: int, sigma: float, dtype: torch.dtype, device: torch.device
) -> tuple[tuple[slice, slice, Tensor], ...]:
    """The blur of one axis as band-matrix blocks: (inputs that are read, outputs, weights)."""
    matrix = blur_matrix(size, sigma)
    radius = _radius(sigma)
    bands = []
    for start in range(0, size, BLOCK):
        stop = min(size, start + BLOCK)
        reach = slice(max(0, start - radius), min(size, stop + radius))
        band = matrix[start:stop, reach].to(device=device, dtype=dtype)
        bands.append((reach, slice(start, stop), band.contiguous()))
    return tuple(bands)


def blur_matrix(size: int, sigma: float) -> Tensor:
    """The blur of one axis as a matrix (position after, position before), its rows sum to 1.

    >>> blur_matrix(3, 0.5).round(decimals=2).tolist()
    [[0.79, 0.21, 0.0], [0.11, 0.79, 0.11], [0.0, 0.21, 0.79]]
    """
    radius = _radius(sigma)
    offset = torch.arange(-radius, radius + 1)
    weight = torch.exp(-0.5 * (offset.double() / sigma) ** 2)
    weight /= weight.sum()
    before = _mirrored(torch.arange(size)[:, None] + offset, size)  # (position, offset)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, before, weight.expand(size, -1))


def _radius(sigma: float) -> int:
    return math.floor(TRUNCATE * sigma + 0.5)


def _mirrored(position: Tensor, size: int) -> Tensor:
    """Positions folded back into 0..size-1 about the outermost pixels, as often as it takes."""
    if size == 1:
        return torch.zeros_like(position)
    period = 2 * (size - 1)
    position = position.remainder(period)
    return torch.minimum(position, period - position)


def horizontal_filter(image: Tensor) -> Tensor:
    """3x3 filter whose rows are [-1, 0, 1]: positive where brightness rises to the right.

    Takes and returns (image, channel, height, width), at least 2 x 2 pixels; values -765..765.

    >>> ramp = torch.arange(4.0).expand(1, 1, 3, 4)
    >>> horizontal_filter(ramp)[0, 0, 1].tolist()
    [0.0, 6.0, 6.0, 0.0]
    """
    check(image, smallest=2)
    filtered = torch.empty_like(image)
    for piece in pieces(image):
        total = _sum_of_three(image[piece], 2)
        _difference(total, 3, filtered[piece])
    return filtered


def vertical_filter(image: Tensor) -> Tensor:
    """3x3 filter whose columns are [-1, 0, 1]: positive where brightness rises downwards.

    Takes and returns (image, channel, height, width), at least 2 x 2 pixels; values -765..765.

    >>> ramp = torch.arange(4.0).expand(1, 1, 3, 4).transpose(2, 3)
    >>> vertical_filter(ramp)[0, 0, :, 1].tolist()
    [0.0, 6.0, 6.0, 0.0]
    """
    check(image, smallest=2)
    filtered = torch.empty_like(image)
    for piece in pieces(image):
        total = _sum_of_three(image[piece], 3)
        _difference(total, 2, filtered[piece])
    return filtered


def _sum_of_three(image: Tensor, axis: int) -> Tensor:
    """[1, 1, 1] along one axis, mirrored border: an outermost pixel counts its neighbor twice."""
    size = image.shape[axis]
    total = torch.empty_like(image)
    before, after = image.narrow(axis, 0, size - 2), image.narrow(axis, 2, size - 2)
    torch.add(before, after, out=total.narrow(axis, 1, size - 2))
    torch.mul(image.select(axis, 1), 2, out=total.select(axis, 0))
    torch.mul(image.select(axis, -2), 2, out=total.select(axis, -1))
    return total.add_(image)


def _difference(image: Tensor, axis: int, out: Tensor) -> None:
    """[-1, 0, 1] along one axis; at the mirrored border both neighbors are one pixel, so 0."""
    size = image.shape[axis]
    after, before = image.narrow(axis, 2, size - 2), image.narrow(axis, 0, size - 2)
    torch.sub(after, before, out=out.narrow(axis, 1, size - 2))
    out.select(axis, 0).zero_()
    out.select(axis, -1).zero_()


def high_pass(image: Tensor) -> Tensor:
    """5x5 high-pass filter, middle row and column [-1, 2, 4, 2, -1], sum 0.

    Takes and returns (image, channel, height, width), at least 3 x 3 pixels; values -4080..4080.

    >>> point = torch.zeros(1, 1, 7, 7)
    >>> point[0, 0, 3, 3] = 1
    >>> high_pass(point)[0, 0, 3].tolist()
    [0.0, -1.0, 2.0, 4.0, 2.0, -1.0, 0.0]
    """
    check(image, smallest=3)
    filtered = torch.empty_like(image)
    for piece in pieces(image):
        _high_pass(image[piece], filtered[piece])
    return filtered


def _high_pass(image: Tensor, out: Tensor) -> None:
    """The kernel by columns: c at offset 0, c1 at +-1, c2 at +-2, from sums of shifted rows."""
    height, width = image.shape[2:]
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2), mode="reflect")
    middle = padded.narrow(2, 2, height)
    near = padded.narrow(2, 1, height) + padded.narrow(2, 3, height)
    far = padded.narrow(2, 0, height) + padded.narrow(2, 4, height)
    twice = torch.add(near, middle, alpha=2)  # [1, 2, 1] down a column
    c1 = twice - far
    c2 = far.add_(near).add_(middle)  # [1, 1, 1, 1, 1] down a column, subtracted below
    torch.add(c1.narrow(3, 2, width), twice.narrow(3, 2, width), out=out)
    out += c1.narrow(3, 1, width)
    out += c1.narrow(3, 3, width)
    out -= c2.narrow(3, 0, width)
    out -= c2.narrow(3, 4, width)
