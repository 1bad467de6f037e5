r"""A color matrix as what a person reads: gain, mixing and brightness of each channel.

    y = G x + b,    A = [G b]

x are the channels of one pixel, on a scale of 0 to 1. The gain of a channel is its entry on the diagonal
of G, mixing what the others add to it (the sum of the magnitudes of the rest of its row), brightness
255 b in gray levels.

What all of them, or one alone, amount to has one unit: the mean over pixels and channels of
255 |y - x|, in gray levels.

Source: sensitivity, section III.D (the color transformer; brightness and contrast: section III.C).
"""

from typing import Any

from invtool.measures.arrays import Array, namespace

PARTS = ("gain", "mixing", "brightness")
WHITE = 255.0  # gray levels


def color_parts(matrix: Array) -> Array:
    """`PARTS` of each channel, (..., part, channel), of matrices (..., row, column).

    >>> import numpy as np
    >>> color_parts(np.array([[0.5, 0.25, -0.25, 0.2], [0, 1, 0, 0], [0, 0, 1, 0]])).tolist()
    [[0.5, 1.0, 1.0], [0.5, 0.0, 0.0], [51.0, 0.0, 0.0]]
    """
    xp = namespace(matrix)
    channels = matrix.shape[-2]
    gains = matrix[..., :, :channels]
    eye = xp.eye(channels, dtype=matrix.dtype)
    gain = xp.sum(gains * eye, axis=-1)
    mixing = xp.sum(xp.abs(gains * (1 - eye)), axis=-1)
    return xp.stack([gain, mixing, WHITE * matrix[..., :, channels]], axis=-2)


def color_change(matrix: Array, colors: Array) -> Array:
    """Mean change of a value under matrices (..., row, column), in gray levels, from 0; (...).

    `colors` are pixels (pixel, channel), in 0..255.

    >>> import numpy as np
    >>> brighter = np.array([[1.0, 0.1]])  # of one channel
    >>> float(color_change(brighter, np.array([[10.0], [200.0]])))
    25.5
    """
    xp = namespace(matrix, colors)
    channels = matrix.shape[-2]
    eye = xp.eye(channels, dtype=matrix.dtype)
    gains, bias = matrix[..., :, :channels] - eye, WHITE * matrix[..., :, channels]
    change = colors @ xp.matrix_transpose(gains) + bias[..., None, :]  # (..., pixel, channel)
    return xp.mean(xp.abs(change), axis=(-2, -1))


def part_changes(matrix: Array, colors: Array) -> Array:
    """`color_change` of each of `PARTS` alone, (..., part).

    >>> import numpy as np
    >>> part_changes(np.array([[0.5, 0.1]]), np.array([[10.0], [200.0]])).tolist()
    [52.5, 0.0, 25.5]
    """
    xp = namespace(matrix, colors)
    channels = matrix.shape[-2]
    eye = xp.eye(channels, channels + 1, dtype=matrix.dtype)
    square: Any = eye != 0
    last = xp.arange(channels + 1) == channels
    kept = [square, ~square & ~last[None, :], xp.broadcast_to(last[None, :], square.shape)]
    return xp.stack([color_change(xp.where(k, matrix, eye), colors) for k in kept], axis=-1)
