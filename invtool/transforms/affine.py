"""Affine maps of colors and of places by a given matrix, as differentiable as their matrix.

    color   y(p) = 255 (G x(p) / 255 + b),    [G b] = A, channels by channels and one
    space   y(p) = x(A [p 1]),                A = [M t], 2 x 3, bilinear, zeros outside

x(p) are the channels of the pixel at p. Colors are on a scale of 0 to 1 within the matrix, places run
from -1 to 1 over the frame: so a matrix means the same for every size of image, and entries of both
are of one order. The map of places is the spatial transformer of Jaderberg et al. (2015,
arXiv:1506.02025): A says where in the image a pixel of the result is seen.

Source: sensitivity, section III.D.
"""

import torch
from torch import Tensor

from invtool.transforms._batch import check

WHITE = 255.0


def affine_color(image: Tensor, matrix: Tensor) -> Tensor:
    """Colors through `matrix` (channel, channel + 1), its last column what is added, 1 being white.

    Takes and returns (image, channel, height, width). ValueError for other channels than the matrix has.

    >>> swapped = torch.tensor([[0.0, 1, 0, 0.1], [1, 0, 0, 0], [0, 0, 1, 0]])
    >>> affine_color(torch.tensor([10.0, 20, 30]).view(1, 3, 1, 1), swapped).flatten().tolist()
    [45.5, 10.0, 30.0]
    """
    check(image)
    channels = len(matrix)
    if image.shape[1] != channels:
        raise ValueError(
            f"a color matrix of {channels} channel{'s' * (channels != 1)} is not for images of {image.shape[1]}"
        )
    mixed = torch.einsum("ij,njhw->nihw", matrix[:, :channels], image)
    return mixed + WHITE * matrix[:, channels, None, None]


def from_identity(matrix: Tensor) -> Tensor:
    """What a matrix (row, column) adds to the identity."""
    return matrix - torch.eye(*matrix.shape, dtype=matrix.dtype, device=matrix.device)


def affine_space(image: Tensor, matrix: Tensor) -> Tensor:
    """Places through `matrix` (2, 3); outside the image is 0.

    Takes and returns (image, channel, height, width).

    >>> left = torch.tensor([[1.0, 0, 1], [0, 1, 0]])  # by half the width
    >>> affine_space(torch.tensor([[[[1.0, 2, 3, 4]]]]), left).flatten().tolist()
    [3.0, 4.0, 0.0, 0.0]
    """
    check(image)
    theta = matrix.expand(len(image), -1, -1)
    if not len(image):
        return image.clone()
    grid = torch.nn.functional.affine_grid(theta, list(image.shape), align_corners=False)
    return torch.nn.functional.grid_sample(image, grid, align_corners=False)
