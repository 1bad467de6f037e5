"""What lies around an object, filled in from its border by repeated normalized convolution.

    y = (k * m x) / (k * m)   where m = 0 and k * m > 0;   y = x   where m = 1

x is the image on a plane, m is 1 where a pixel is known, and k a wide binomial kernel, 13 taps along
the height and along the width. A round knows 6 pixels more on each side than the last one, and
rounds go on until all is filled.

The known part is a rectangle in every round, so that m, and with it k * m, is a product of one factor
along the height and one along the width. The six rows that a round adds above then follow from the
six outermost rows that were known, and from nothing else:

    t(r + 1) = A t(r) L(r)

A averages across the edge and L(r) along it, to weights of sum 1. So the four sides are filled
apart from each other, and t(r) = A^r t(0) L(0) ... L(r - 1). The eigenvalues of A are 1, 1/13, 1/79
and smaller: to the last bit, A^r soon depends on fewer than six combinations of the outermost rows,
here called modes. Only those are averaged along the edge, in the end a single one.

Source: shifts, section 2 ("a simple inpainting procedure"), which the authors published as a
function: 12 taps, which weigh one side by half a pixel more, within the canvas, until 200 pixels are
left, and with black pixels of the object taken for unknown. Here the kernel is symmetric, nothing is
left, the object stays as it is, and the plane has no border: moving the object moves all of it.
"""

from functools import lru_cache
from math import comb

import torch
from torch import Tensor

from invtool.transforms._batch import check, pieces

REACH = 6
"""Pixels that a round adds on each side; the kernel has 2 x 6 + 1 taps."""

KERNEL = [comb(2 * REACH, tap) / 4**REACH for tap in range(2 * REACH + 1)]

BLOCK = 32
"""Outputs of one axis that are computed by one matrix product, as in `convolution`."""


def inpainted(image: Tensor, margin: int) -> Tensor:
    """The image in the middle of a plane, `margin` pixels on each side filled by inpainting.

    Takes (image, channel, height, width), returns (image, channel, height + 2 margin,
    width + 2 margin). ValueError for a negative margin.

    >>> image = torch.tensor([[[[0.0, 100.0]] * 2]])
    >>> inpainted(image, 2)[0, 0, 2].round().int().tolist()
    [31, 38, 0, 100, 62, 69]
    """
    check(image)
    if margin < 0:
        raise ValueError(f"margin is a number of pixels from 0, not {margin}")
    images, channels, height, width = image.shape
    plane = image.new_empty(images, channels, height + 2 * margin, width + 2 * margin)
    plane[..., margin : margin + height, margin : margin + width] = image
    for piece in pieces(image):
        if margin:
            _fill(plane[piece], margin)
    return plane


def _fill(plane: Tensor, margin: int) -> None:
    """Fill the outermost `margin` pixels on each side of a plane, ring by ring.

    All lines along an edge are as long as the longer side; axis 0 is along the width, 1 the height.
    """
    images, channels = plane.shape[:2]
    inner = plane.shape[2] - 2 * margin, plane.shape[3] - 2 * margin
    basis, along, rounds = _weights(inner, margin, plane.dtype, plane.device)
    length = -(-max(plane.shape[2:]) // BLOCK) * BLOCK
    # Zeros at both ends, which the kernel reads.
    line = plane.new_zeros(2, images, 2, REACH, channels, length + 2 * REACH)
    for axis, scene in enumerate((plane, plane.mT)):
        _edges(line[axis, ..., REACH:-REACH], scene, margin)
    line = (basis @ line.flatten(4)).view(line.shape)
    for unknown, (across, share) in zip(range(margin, 0, -REACH), rounds, strict=True):
        modes = across.shape[-1]
        taps = line[:, :, :, :modes].unfold(-1, BLOCK + 2 * REACH, BLOCK)
        # A product for each image: its sums then do not depend on how many images there are.
        filled = torch.bmm(taps.flatten(2, 5).flatten(0, 1), along.expand(2 * images, -1, -1))
        filled = filled.view(2, images, 2, modes, channels, length).mul_(share)
        line[:, :, :, :modes, :, REACH:-REACH] = filled
        ring = (across @ filled.flatten(4)).view(2, images, 2, REACH, channels, length)
        _lay(plane, ring[0], unknown, unknown - REACH)  # with the corners
        _lay(plane.mT, ring[1], unknown, unknown)


def _edges(line: Tensor, scene: Tensor, margin: int) -> None:
    """Read the rows next to the edge above and the edge below, the outermost first."""
    width = slice(margin, scene.shape[3] - margin)
    known = scene[:, :, margin : scene.shape[2] - margin, width]
    rows = min(REACH, known.shape[2])
    line[:, 0, :rows, :, width] = known[:, :, :rows].transpose(1, 2)
    line[:, 1, :rows, :, width] = known[:, :, -rows:].flip(2).transpose(1, 2)


def _lay(scene: Tensor, ring: Tensor, unknown: int, start: int) -> None:
    """Lay rows above and below, (image, side, row, channel, place), between two columns."""
    height, width = scene.shape[2:]
    outer, start = max(0, unknown - REACH), max(0, start)
    rows, places = unknown - outer, slice(start, width - start)
    above, below = ring[..., places].transpose(2, 3).unbind(1)
    scene[:, :, outer:unknown, places] = above[:, :, REACH - rows :]
    scene[:, :, height - unknown : height - outer, places] = below[:, :, :rows]


@lru_cache(maxsize=256)
def _weights(
    inner: tuple[int, int], margin: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
    """All that depends on the height and width of the object alone.

    The modes of its outermost rows (axis, 1, 1, mode, row), the kernel along an edge (1, place,
    place), and for each round the rows beyond by the modes that are left of them (axis, 1, side, row,
    mode), and one over the kernel's sum at each place (axis, 1, 1, 1, 1, place), 0 beyond the ring.
    """
    rounds = -(-margin // REACH)
    length = -(-max(each + 2 * margin for each in inner) // BLOCK) * BLOCK
    taps = 2 * REACH
    kernel = torch.tensor(KERNEL, dtype=torch.float64)
    along = kernel.new_zeros(BLOCK + taps, BLOCK)
    for output in range(BLOCK):
        along[output : output + taps + 1, output] = kernel
    basis, across = map(torch.stack, zip(*(_modes(n, rounds) for n in inner), strict=True))
    place = torch.arange(-REACH, length + REACH)
    last = margin + torch.tensor(inner[::-1])[:, None] - 1
    beyond = torch.maximum(margin - place, place - last)  # (axis, place), of the object
    beyond = beyond - REACH * torch.arange(rounds)[:, None, None]  # of what a round knows
    share = 1 / ((beyond <= 0).to(kernel).unfold(2, taps + 1, 1) @ kernel)
    share[beyond[..., REACH:-REACH] > REACH] = 0
    left = (across.abs().amax((0, 2)) > torch.finfo(dtype).eps).sum(1).tolist()
    sides = torch.stack((across.flip(2), across), 2)  # each from above to below
    sides = sides.transpose(0, 1)[:, :, None].to(device, dtype)
    shares = share[:, :, None, None, None, None].to(device, dtype)
    steps = [(side[..., :n], own) for side, n, own in zip(sides, left, shares, strict=True)]
    return basis[:, None, None].to(device, dtype), along[None].to(device, dtype), steps


@lru_cache(maxsize=64)
def _modes(rows: int, rounds: int) -> tuple[Tensor, Tensor]:
    """Modes of the outermost of so many rows (mode, row), and A^r by them (round, row beyond, mode).

    The first modes span those rows that A keeps longest, so that the last ones fade first.
    """
    place = torch.arange(REACH)
    kernel = torch.tensor(KERNEL + [0.0] * REACH, dtype=torch.float64)
    across = kernel[REACH + 1 + place[:, None] + place]  # (row beyond, row inside)
    first = across * (place < rows)
    first /= first.sum(1, keepdim=True)
    step = (across / across.sum(1, keepdim=True)).flip(1)  # the farthest becomes the outermost
    values, vectors = torch.linalg.eig(step.T)
    slowest = values.abs().argsort(descending=True)
    basis, _ = torch.linalg.qr(first.T @ vectors.real[:, slowest])
    powers = [first @ basis]
    for _ in range(rounds - 1):
        powers.append(step @ powers[-1])
    return basis.T, torch.stack(powers)
