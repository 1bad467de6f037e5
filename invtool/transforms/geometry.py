"""Geometric transforms: where a pixel lies, not what it holds.

    rot90, rot180  the pixel grid turned anticlockwise, exact
    rotate         y(p) = x(R p), R the clockwise turn about the center by the angle, bilinear
    translate-x    y(h, w) = x(h, w - v W), v the share of the width W; linear between two pixels
    translate-y    y(h, w) = x(h - v H, w), v the share of the height H
    scale-x        y(h, w) = x(h, v w - (v - 1) W / 2), v the factor, w from 0 to W across the frame
    scale-y        y(h, w) = x(v h - (v - 1) H / 2, w)
    zoom           scale-y of scale-x, both by v
    thinning       y(h, w) = mean of x(h, .) over the w-th of width / 2 equal stretches, centered,
                   zeros on both sides

Outside the image is 0, or what `border` says (the borders of `_sampling`). The scale factors are
the paper's: they multiply coordinates, so that above 1 the object gets smaller and more around it
is seen, and below 1 it gets larger. Scaling does not average over areas as thinning does: it takes
the formula's word that a pixel is read where it falls, so detail aliases above 2.

Source: categories, appendix B ("rotated the input images anti-clockwise"; "the image width was
reduced to its half and padded with zeros on both sides"); sensitivity, III C: Translation,
Rotation, Scale, Zoom.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from invtool.transforms._batch import check
from invtool.transforms._sampling import brought_inside, move, stretch


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


def rotate(image: Tensor, *, degrees: float, border: str = "zeros") -> Tensor:
    """The image turned anticlockwise about its center by `degrees`; 0 changes nothing.

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
    grid = _rotation_grid(*image.shape[2:], float(degrees), border, image.dtype, image.device)
    grid = grid.expand(len(image), -1, -1, -1)
    return torch.nn.functional.grid_sample(image, grid, align_corners=False)


@lru_cache(maxsize=64)
def _rotation_grid(
    height: int,
    width: int,
    degrees: float,
    border: str,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Where each pixel of the turned image comes from, (1, height, width, xy), edges at -1 and 1."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    y = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    from_x = cosine * x - sine * y[:, None] + (width - 1) / 2
    from_y = sine * x + cosine * y[:, None] + (height - 1) / 2
    from_x, from_y = brought_inside(from_x, width, border), brought_inside(from_y, height, border)
    grid = torch.stack(((2 * from_x + 1) / width - 1, (2 * from_y + 1) / height - 1), dim=-1)
    return grid[None].to(dtype).to(device)


def translate_x(image: Tensor, *, share: float, border: str = "zeros") -> Tensor:
    """The image moved right by `share` of its width, left for a negative one; 0 changes nothing.

    A whole number of pixels (to a millionth) moves the pixels themselves, exactly; a part of one
    interpolates between two neighbors, which also blurs a little. Takes and returns
    (image, channel, height, width). ValueError for a share that is not finite.

    >>> image = torch.tensor([[[[10.0, 20.0, 30.0, 40.0]]]])
    >>> translate_x(image, share=0.25).flatten().tolist()
    [0.0, 10.0, 20.0, 30.0]
    >>> translate_x(image, share=-0.125, border="edge").flatten().tolist()
    [15.0, 25.0, 35.0, 40.0]
    """
    return _translate(image, 3, share, border)


def translate_y(image: Tensor, *, share: float, border: str = "zeros") -> Tensor:
    """The image moved down by `share` of its height, up for a negative one; as `translate_x`.

    >>> image = torch.tensor([10.0, 20.0, 30.0, 40.0]).view(1, 1, 4, 1)
    >>> translate_y(image, share=0.25, border="reflect").flatten().tolist()
    [20.0, 10.0, 20.0, 30.0]
    """
    return _translate(image, 2, share, border)


def _translate(image: Tensor, axis: int, share: float, border: str) -> Tensor:
    check(image)
    if not math.isfinite(share):
        raise ValueError(f"share is a finite number, not {share}")
    return move(image, axis, share * image.shape[axis], border)


def scale_x(image: Tensor, *, factor: float, border: str = "zeros") -> Tensor:
    """The width's coordinates times `factor` about the center; 1 changes nothing.

    Above 1 the image gets narrower and more around it is seen; below 1 it gets wider; a negative
    factor mirrors it. Takes and returns (image, channel, height, width). ValueError for a factor of
    0, which is singular, or one that is not finite.

    >>> image = torch.tensor([[[[10.0, 20.0, 30.0, 40.0]]]])
    >>> scale_x(image, factor=2).flatten().tolist()
    [0.0, 15.0, 35.0, 0.0]
    >>> scale_x(image, factor=0.5).flatten().tolist()
    [17.5, 22.5, 27.5, 32.5]
    """
    return _scale(image, (3,), factor, border)


def scale_y(image: Tensor, *, factor: float, border: str = "zeros") -> Tensor:
    """The height's coordinates times `factor` about the center; as `scale_x`.

    >>> image = torch.tensor([10.0, 20.0, 30.0, 40.0]).view(1, 1, 4, 1)
    >>> scale_y(image, factor=2, border="edge").flatten().tolist()
    [10.0, 15.0, 35.0, 40.0]
    """
    return _scale(image, (2,), factor, border)


def zoom(image: Tensor, *, factor: float, border: str = "zeros") -> Tensor:
    """Both coordinates times `factor` about the center: `scale_y` of `scale_x`.

    >>> image = torch.arange(16.0).view(1, 1, 4, 4)
    >>> zoom(image, factor=2)[0, 0].tolist()[1]
    [0.0, 2.5, 4.5, 0.0]
    """
    return _scale(image, (3, 2), factor, border)


def _scale(image: Tensor, axes: tuple[int, ...], factor: float, border: str) -> Tensor:
    check(image)
    if not math.isfinite(factor) or factor == 0:
        raise ValueError(f"factor is a finite number other than 0 (singular), not {factor}")
    if factor == 1:
        return image.clone()
    for axis in axes:
        image = stretch(image, axis, float(factor), border)
    return image


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
