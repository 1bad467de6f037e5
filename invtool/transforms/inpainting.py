"""What lies around an object, filled in from its border by repeated normalized convolution.

    y = (k * m x) / (k * m)   where m = 0 and k * m > 0;   y = x   where m = 1

x is the image on a plane, m is 1 where a pixel is known, and k a wide binomial kernel, 13 taps along
the height and along the width. A round knows 6 pixels more on each side than the last one, and
rounds go on until all is filled.

The known part is a rectangle in every round, so that m, and with it k * m, is a product of one factor
along the height and one along the width, and only the ring that a round adds has to be computed.

Source: shifts, section 2 ("a simple inpainting procedure"), which the authors published as a
function: 12 taps, which weigh one side by half a pixel more, within the canvas, until 200 pixels are
left, and with black pixels of the object taken for unknown. Here the kernel is symmetric, nothing is
left, the object stays as it is, and the plane has no border: moving the object moves all of it.
"""

from functools import lru_cache
from math import comb

import torch
from torch import Tensor
from torch.nn.functional import pad

from invtool.transforms._batch import check, pieces

REACH = 6
"""Pixels that a round adds on each side; the kernel has 2 x 6 + 1 taps."""

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
    for piece in pieces(plane):
        part = plane[piece].flatten(0, 1)  # (image x channel, height, width)
        for unknown in range(margin, 0, -REACH):
            _grow(part, unknown)
    return plane


def _grow(plane: Tensor, unknown: int) -> None:
    """Fill the next ring of a plane whose outermost `unknown` pixels on each side are to be filled."""
    ring = min(REACH, unknown)
    outer, height, width = unknown - ring, plane.shape[1] - unknown, plane.shape[2] - unknown
    known = plane[:, unknown:height, unknown:width]
    above, below = _beyond(known, ring)
    left, right = _beyond(known.mT, ring)
    plane[:, outer:unknown, outer : width + ring] = above.flip(1)
    plane[:, height : height + ring, outer : width + ring] = below
    between = slice(ring, -ring)  # the corners lie above and below
    plane[:, unknown:height, outer:unknown] = left[..., between].flip(1).mT
    plane[:, unknown:height, width : width + ring] = right[..., between].mT


def _beyond(known: Tensor, ring: int) -> tuple[Tensor, Tensor]:
    """Rows before the first and after the last, the nearest first, (plane, row, width + 2 ring)."""
    planes, height, width = known.shape
    rows = min(REACH, height)
    edge = torch.stack((known[:, :rows], known[:, height - rows :].flip(1)), 1)
    across, along, share = _weights(rows, width, ring, known.dtype, known.device)
    # A product for each plane: its sums then do not depend on how many planes there are.
    bands = torch.bmm(across.expand(planes, -1, -1), edge.transpose(1, 2).flatten(2))
    bands = (
        bands.unflatten(2, (2, width)).transpose(1, 2).flatten(1, 2)
    )  # (plane, side x row, width)
    before = REACH + ring
    blocks = -(-(width + 2 * ring) // BLOCK)
    after = blocks * BLOCK + 2 * REACH - width - before
    taps = pad(bands, (before, after)).unfold(2, BLOCK + 2 * REACH, BLOCK)
    filled = torch.bmm(taps.flatten(1, 2), along.expand(planes, -1, -1))
    filled = filled.view(planes, 2, ring, blocks * BLOCK)[..., : width + 2 * ring] / share
    return filled[:, 0], filled[:, 1]


@lru_cache(maxsize=256)
def _weights(
    rows: int, width: int, ring: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights across the edge (1, row beyond, row), along it (1, place, place), and their sums there."""
    taps = 2 * REACH
    kernel = torch.tensor([comb(taps, tap) / 2**taps for tap in range(taps + 1)])
    kernel = torch.nn.functional.pad(kernel.double(), (0, REACH))
    beyond, inside = torch.arange(ring)[:, None], torch.arange(rows)
    across = kernel[REACH + 1 + beyond + inside]
    along = torch.zeros(BLOCK + taps, BLOCK, dtype=torch.float64)
    for place in range(BLOCK):
        along[place : place + taps + 1, place] = kernel[: taps + 1]
    known = pad(torch.ones(width, dtype=torch.float64), (REACH + ring, REACH + ring))
    share = known.unfold(0, taps + 1, 1) @ kernel[: taps + 1]
    across = across / across.sum(1, keepdim=True)
    return tuple(t.to(device, dtype) for t in (across[None], along[None], share))  # type: ignore[return-value]
