"""Geometric transforms: where a pixel lies, not what it holds.

    rot90, rot180  the pixel grid turned anticlockwise, exact
    rotate         y(p) = x(R p), R the clockwise turn about the center by the angle, bilinear
    thinning       y(h, w) = mean of x(h, .) over the w-th of width / 2 equal stretches, centered,
                   zeros on both sides

Outside the image is 0.

Source: categories, appendix B ("rotated the input images anti-clockwise"; "the image width was
reduced to its half and padded with zeros on both sides"); sensitivity, Rotation.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from invtool.transforms._batch import check


def rot90(image: Tensor) -> Tensor:
    """The image turned by 90 degrees anticlockwise.

    Takes (image, channel, height, width), returns (image, channel, width, height).

    >>> rot90(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0, 0].tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    check(image)
    return torch.rot90(image, 1, (2, 3))


def rot180(image: Tensor) -> Tensor:
    """The image turned by 180 degrees.

    Takes and returns (image, channel, height, width).

    >>> rot180(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0, 0].tolist()
    [[4.0, 3.0], [2.0, 1.0]]
    """
    check(image)
    return image.flip(2, 3)


def rotate(image: Tensor, *, degrees: float) -> Tensor:
    """The image turned anticlockwise about its center by `degrees`, zeros outside.

    Multiples of 90 degrees turn the pixel grid itself, exactly (those of 90 and 270 swap height and
    width); any other angle keeps the frame and interpolates between the four nearest pixels.
    Takes and returns (image, channel, height, width). ValueError for an angle that is not finite.

    >>> image = torch.arange(9.0).view(1, 1, 3, 3)
    >>> torch.equal(rotate(image, degrees=-270), rot90(image))
    True
    >>> [round(value, 2) for value in rotate(image, degrees=45)[0, 0, 1].tolist()]
    [1.17, 4.0, 6.83]
    """
    check(image)
    if not math.isfinite(degrees):
        raise ValueError(f"degrees is a finite number, not {degrees}")
    if degrees % 90 == 0:
        return torch.rot90(image, int(degrees // 90) % 4, (2, 3))
    grid = _rotation_grid(*image.shape[2:], float(degrees), image.dtype, image.device)
    grid = grid.expand(len(image), -1, -1, -1)
    return torch.nn.functional.grid_sample(image, grid, align_corners=False)


@lru_cache(maxsize=64)
def _rotation_grid(
    height: int, width: int, degrees: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Where each pixel of the turned image comes from, (1, height, width, xy), edges at -1 and 1."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    y = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    from_x = cosine * x - sine * y[:, None]
    from_y = sine * x + cosine * y[:, None]
    grid = torch.stack((2 * from_x / width, 2 * from_y / height), dim=-1)
    return grid[None].to(dtype).to(device)


def thinning(image: Tensor) -> Tensor:
    """Width halved by averaging over the area, centered between zeros; the frame stays.

    An odd width is reduced to its half rounded down. Takes and returns
    (image, channel, height, width), at least 2 pixels wide; ValueError for less.

    >>> thinning(torch.tensor([[[[1.0, 3.0, 5.0, 7.0]] * 2]]))[0, 0, 0].tolist()
    [0.0, 2.0, 6.0, 0.0]
    """
    check(image, smallest=2)
    width = image.shape[3]
    thin = width // 2
    left = (width - thin) // 2
    thinned = torch.zeros_like(image)
    target = thinned.narrow(3, left, thin)
    if width % 2 == 0:
        torch.add(image[..., 0::2], image[..., 1::2], out=target).mul_(0.5)
    else:
        torch.matmul(image, _area_average(width, thin).to(image), out=target)
    return thinned


def _area_average(width: int, thin: int) -> Tensor:
    """Overlap of each stretch with each pixel as weights, (pixel, stretch); columns sum to 1."""
    pixel = torch.arange(width, dtype=torch.float64)[:, None]
    edge = torch.arange(thin + 1, dtype=torch.float64) * width / thin
    start = torch.maximum(edge[:-1], pixel)
    stop = torch.minimum(edge[1:], pixel + 1)
    return (stop - start).clamp_(min=0) * thin / width
