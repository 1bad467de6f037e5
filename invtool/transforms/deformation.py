"""Smooth random deformations: a thin-plate spline through displaced control points.

    y(p) = x(p + f(p))
    f(p) = sum_c w_c U(|p - c|) + a + A p,  U(r) = r^2 log r,  f(c) = d_c at every control point c
    sum_c w_c = 0,  sum_c w_c c = 0

p = (y, x) are pixels, x(.) is bilinear between them, the control points c are an evenly spaced grid
from corner pixel to corner pixel, and each coordinate of d_c is uniform in [-pixels, pixels]. So
d_c is where the source of c lies, seen from c. Of all functions through the points, f bends least.

f is linear in d: f(p) = sum_c B(p, c) d_c. B depends on the grid and the frame alone. It is solved
once, in 64 bits, and kept, so that a batch of fields is one batched matrix product.

Outside the image is 0 (`zeros`), the nearest pixel (`edge`), or the image mirrored about the centers
of its outermost pixels (`reflect`).

Source: deformation, section 2.1 and figure 2; Duchon, 1977. The border is not in the paper.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from invtool.transforms._batch import check
from invtool.transforms._hashing import keys, places, words
from invtool.transforms.registry import BORDERS

LARGE = (
    128  # pixels of the shorter side, from which on the paper's setting for photographs is usual
)
USUAL = {False: (3, 2.0), True: (5, 10.0)}  # whether large: points a side, pixels
KEPT = 2**24  # values of a basis that is kept whole; a larger one is made again, rows at a time


def deform(
    image: Tensor,
    *,
    grid: float | str = "auto",
    pixels: float | str = "auto",
    border: str = "edge",
    seed: int = 0,
    index: Tensor | None = None,
) -> Tensor:
    """Each image under a random deformation of its own.

    `grid` control points a side move by at most `pixels` along each axis; `auto` is what `usual`
    says for the size. Takes and returns (image, channel, height, width), at least 2 pixels a side.
    `index` (image) int64 says which image of the data set each one is, by default 0, 1, 2, ...
    ValueError for a grid that is no whole number from 2 up, or another border.

    >>> image = torch.arange(64.0).view(1, 1, 8, 8)
    >>> torch.equal(deform(image, pixels=0), image)
    True
    >>> torch.equal(deform(image, seed=1), deform(image, seed=2))
    False
    """
    displacement = drawn(image, grid=grid, pixels=pixels, seed=seed, index=index)
    return warp(image, field(displacement, *image.shape[2:]), border)


def drawn(
    image: Tensor,
    *,
    grid: float | str = "auto",
    pixels: float | str = "auto",
    seed: int = 0,
    index: Tensor | None = None,
) -> Tensor:
    """The displacements by which `deform` deforms those images, (image, point, axis)."""
    check(image, smallest=2)
    points, reach = usual(*image.shape[2:])
    points = points if grid == "auto" else _whole(grid)
    reach = reach if pixels == "auto" else float(pixels)
    return _spread(keys(seed, index, image), points, reach, seed)


def usual(height: int, width: int) -> tuple[int, float]:
    """Control points a side and largest displacement in pixels, as the paper has them by size.

    >>> usual(32, 32), usual(224, 224)
    ((3, 2.0), (5, 10.0))
    """
    return USUAL[min(height, width) >= LARGE]


def control_points(grid: int, height: int, width: int) -> Tensor:
    """Places of the control points in pixels, row by row, float64 (point, axis), axes (y, x).

    >>> control_points(2, 8, 16).tolist()
    [[0.0, 0.0], [0.0, 15.0], [7.0, 0.0], [7.0, 15.0]]
    """
    y = torch.linspace(0, height - 1, grid, dtype=torch.float64)
    x = torch.linspace(0, width - 1, grid, dtype=torch.float64)
    return torch.cartesian_prod(y, x)


def draw_displacement(grid: int, pixels: float, *, seed: int, index: Tensor) -> Tensor:
    """Displacements of the control points, uniform in [-pixels, pixels], (image, point, axis).

    Those of an image depend on the seed and on its number in `index` (image) int64 alone. In pixels,
    axes (y, x), on the index's device. ValueError for pixels below 0 or not finite.

    >>> both = draw_displacement(3, 2, seed=7, index=torch.tensor([4, 9]))
    >>> both.shape, bool(both.abs().max() <= 2)
    (torch.Size([2, 9, 2]), True)
    >>> torch.equal(draw_displacement(3, 2, seed=7, index=torch.tensor([9]))[0], both[1])
    True
    """
    return _spread(keys(seed, index, index), grid, pixels, seed)


def _spread(key: Tensor, grid: int, pixels: float, seed: int) -> Tensor:
    """Displacements drawn by one hash for each image."""
    if not 0 <= pixels < math.inf:
        raise ValueError(f"pixels is a distance of at least 0, not {pixels}")
    word = words(key, places(seed, grid * grid * 2, key.device))
    return word.to(torch.float32).mul_(pixels / 2**31).view(-1, grid * grid, 2)


def field(displacement: Tensor, height: int, width: int) -> Tensor:
    """The spline through the displacements of the control points at every pixel.

    Takes (image, point, axis) in pixels, of a square grid of points, row by row; returns
    (image, height, width, axis). ValueError for a number of points that is no square.

    >>> corners = torch.tensor([[[0.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 2.0]]])
    >>> torch.round(field(corners, 2, 3), decimals=4)[0, 0].tolist()
    [[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]]
    """
    images, points, axes = displacement.shape
    grid = math.isqrt(points)
    if grid < 2 or grid * grid != points:
        raise ValueError(f"{points} control points make no square grid")
    rows = max(1, KEPT // (width * points))
    strips = []
    for row in range(0, height, rows):
        frame = (height, width, row, min(row + rows, height))
        basis = _basis(grid, *frame, displacement.dtype, displacement.device)
        with torch.autocast(displacement.device.type, enabled=False):
            # A product an image, because one for all sums in another order in another batch.
            strips.append(torch.bmm(displacement.mT, basis.expand(images, -1, -1)))
    planes = strips[0] if len(strips) == 1 else torch.cat(strips, dim=2)
    return planes.view(images, axes, height, width).permute(0, 2, 3, 1)


def warp(image: Tensor, field: Tensor, border: str = "edge") -> Tensor:
    """The image of which each pixel p is the given one's value at p + field(p), bilinear.

    Takes (image, channel, height, width) and (image, height, width, axis) in pixels, axes (y, x);
    returns the image's shape. Differentiable in both. A field of zeros is the identity, exactly.
    ValueError for another border.

    >>> image = torch.tensor([[[[1.0, 2.0, 4.0]]]])
    >>> right = torch.tensor([0.0, 0.5]).expand(1, 1, 3, 2)
    >>> warp(image, right, "edge").tolist(), warp(image, right, "zeros").tolist()
    ([[[[1.5, 3.0, 4.0]]]], [[[[1.5, 3.0, 2.0]]]])
    """
    if border not in BORDERS:
        raise ValueError(f"no border {border!r}; there are {', '.join(BORDERS)}")
    sides = image.shape[2:]
    dtype = torch.promote_types(image.dtype, torch.float32)
    # Only in a frame of a power of two does grid_sample read whole pixels without rounding.
    frame = [2 ** (side - 1).bit_length() for side in sides]
    room = [whole - side for side, whole in zip(sides, frame, strict=True)]
    canvas = image.to(dtype)
    if any(room):
        canvas = pad(canvas, (0, room[1], 0, room[0]))
    lines = [
        torch.arange(side, dtype=dtype, device=image.device).mul(2 / whole).add(1 / whole - 1)
        for side, whole in zip(sides, frame, strict=True)
    ]  # of pixels, with the edges of the frame at -1 and 1
    place = torch.stack(torch.meshgrid(*lines, indexing="ij"))
    scale = torch.tensor([2 / whole for whole in frame], dtype=dtype, device=image.device)
    source = torch.addcmul(place, field.permute(0, 3, 1, 2).to(dtype), scale[:, None, None])
    for axis, (side, whole) in enumerate(zip(sides, frame, strict=True)):
        low, high = 1 / whole - 1, (2 * side - 1) / whole - 1  # centers of the outermost pixels
        if border == "edge":
            source[:, axis].clamp_(low, high)
        elif border == "reflect":
            source[:, axis] = _reflected(source[:, axis] - low, high - low) + low
    with torch.autocast(image.device.type, enabled=False):
        # Transposed, because grid_sample counts from the last axis, and source from the first.
        warped = grid_sample(canvas.mT, source.permute(0, 2, 3, 1), align_corners=False)
    return warped.to(image.dtype)


def _reflected(distance: Tensor, length: float) -> Tensor:
    """Distances from one end of a line that mirrors at both, brought onto it."""
    if not length:
        return torch.zeros_like(distance)
    return length - (distance.abs().remainder(2 * length) - length).abs()


def _whole(grid: float | str) -> int:
    points = float(grid)
    if not (points.is_integer() and points >= 2):
        raise ValueError(f"grid is a whole number of points of at least 2, not {points:g}")
    return int(points)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is kept may serve a gradient next
def _basis(
    grid: int,
    height: int,
    width: int,
    first: int,
    last: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """B of the rows from `first` to before `last`, (point, position)."""
    point = control_points(grid, height, width)
    scale = point.max()  # f does not depend on the unit of length; the solution's error does
    point = point / scale
    affine = torch.cat((torch.ones(len(point), 1, dtype=torch.float64), point), dim=1)
    system = torch.zeros(len(point) + 3, len(point) + 3, dtype=torch.float64)
    system[:-3, :-3] = _kernel(point, point)
    system[:-3, -3:], system[-3:, :-3] = affine, affine.T
    coefficients = torch.linalg.inv(system)[:, :-3]  # (point + affine, point)
    y = torch.arange(first, last, dtype=torch.float64)
    x = torch.arange(width, dtype=torch.float64)
    place = torch.cartesian_prod(y, x) / scale
    basis = _kernel(point, place).T @ coefficients[:-3]
    basis += coefficients[-3] + place @ coefficients[-2:]
    whole: Tensor = basis.T.to(dtype).contiguous()
    return whole.to(device)


def _kernel(point: Tensor, place: Tensor) -> Tensor:
    """U(r) = r^2 log r of every distance, 0 at 0, (point, place)."""
    square = (point[:, None] - place).square().sum(2)
    kernel: Tensor = torch.xlogy(square, square)
    return kernel / 2
