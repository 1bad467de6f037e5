r"""A spatial matrix as what a person reads: shift, rotation, scale and shear.

    source = M p + t,    M = R(phi) [[1, h], [0, 1]] diag(s_x, s_y)

p is a place of the picture from its middle, to the right and down, and `source` the place of the image
that is seen there, both in pixels; A = [M t] says the same where the frame runs from -1 to 1. So the
image is turned anticlockwise by phi, shows s_x times as much around along its width (a factor above 1
is smaller in the picture), and its middle lies at -t where M does not matter. M is read from its first
column: phi is its angle, s_x its length; s_y = det M / s_x, h what is left. A negative s_y is a mirror.

What all of them, or one alone, amount to has one unit: the mean over all pixels p of
|source - p|, in pixels.

Source: sensitivity, section III.C, whose transformations these are; the decomposition is the usual QR.
"""

from typing import Any

from invtool.measures.arrays import Array, namespace

PARTS = ("shift right", "shift down", "rotation", "scale x", "scale y", "shear")
UNITS = ("px", "px", "degrees", "1", "1", "1")
DEGREES = 57.29577951308232


def spatial_parts(matrix: Array, height: int, width: int) -> Array:
    """`PARTS` of matrices (..., row, column), (..., part); NaN where one is not defined, as shear at s_y = 0.

    >>> import numpy as np
    >>> turned = np.array([[0.0, -1, 0.5], [1, 0, 0]])  # by 90 degrees, and to the left
    >>> (spatial_parts(turned, 8, 8).round(3) + 0).tolist()
    [-2.0, 0.0, 90.0, 1.0, 1.0, 0.0]
    """
    xp = namespace(matrix)
    m, t = _in_pixels(matrix, height, width)
    scale_x = xp.sqrt(m[..., 0, 0] ** 2 + m[..., 1, 0] ** 2)
    angle = xp.atan2(m[..., 1, 0], m[..., 0, 0])
    determinant = m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] * m[..., 1, 0]
    along = xp.cos(angle) * m[..., 0, 1] + xp.sin(angle) * m[..., 1, 1]
    scale_y = _quotient(determinant, scale_x, xp)
    parts = [
        0.0 - t[..., 0],
        0.0 - t[..., 1],
        angle * DEGREES,
        scale_x,
        scale_y,
        _quotient(along, scale_y, xp),
    ]
    return xp.stack(parts, axis=-1)


def spatial_matrix(parts: Array, height: int, width: int) -> Array:
    """The matrices (..., row, column) of `parts` (..., part): `spatial_parts` the other way round.

    >>> import numpy as np
    >>> spatial_matrix(np.array([-2.0, 0, 0, 1.5, 1, 0]), 8, 8).tolist()
    [[1.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    """
    xp = namespace(parts)
    right, down, degrees, scale_x, scale_y, shear = (parts[..., n] for n in range(len(PARTS)))
    cosine, sine = xp.cos(degrees / DEGREES), xp.sin(degrees / DEGREES)
    over, under = width / height, height / width  # pixels are square, the frame of -1 to 1 is not
    rows = [
        xp.stack(
            [
                cosine * scale_x,
                (cosine * shear - sine) * scale_y * under,
                0.0 - right * 2 / width,
            ],
            axis=-1,
        ),
        xp.stack(
            [
                sine * scale_x * over,
                (sine * shear + cosine) * scale_y,
                0.0 - down * 2 / height,
            ],
            axis=-1,
        ),
    ]
    return xp.stack(rows, axis=-2)


def displacement(matrix: Array, height: int, width: int) -> Array:
    """Mean way of a pixel under matrices (..., row, column), in pixels, from 0; (...).

    >>> import numpy as np
    >>> float(displacement(np.array([[1.0, 0, 0.5], [0, 1, 0]]), 8, 8))
    2.0
    """
    xp = namespace(matrix)
    m, t = _in_pixels(matrix, height, width)
    like: dict[str, Any] = {"dtype": matrix.dtype}
    x = xp.arange(width, **like) - (width - 1) / 2
    y = xp.arange(height, **like) - (height - 1) / 2
    x, y = x[None, :], y[:, None]
    m, t = m[..., None, None], t[..., None, None]  # (..., row, column, height, width)
    right = (m[..., 0, 0, :, :] - 1) * x + m[..., 0, 1, :, :] * y + t[..., 0, :, :]
    down = m[..., 1, 0, :, :] * x + (m[..., 1, 1, :, :] - 1) * y + t[..., 1, :, :]
    return xp.mean(xp.sqrt(right**2 + down**2), axis=(-2, -1))


def part_displacements(matrix: Array, height: int, width: int) -> Array:
    """`displacement` of each of `PARTS` alone, (..., part); what is not defined moves nothing.

    >>> import numpy as np
    >>> moved = np.array([[1.5, 0, 0.5], [0, 1, 0]])
    >>> part_displacements(moved, 8, 8).tolist()
    [2.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """
    xp = namespace(matrix)
    parts = spatial_parts(matrix, height, width)
    parts = xp.where(xp.isfinite(parts), parts, _neutral(parts, xp))
    found = []
    for number in range(len(PARTS)):
        here = xp.arange(len(PARTS)) == number
        alone = xp.where(here, parts, _neutral(parts, xp))
        found.append(displacement(spatial_matrix(alone, height, width), height, width))
    return xp.stack(found, axis=-1)


def _neutral(parts: Array, xp: Any) -> Array:
    none = xp.asarray([0.0, 0.0, 0.0, 1.0, 1.0, 0.0], dtype=parts.dtype)
    return xp.broadcast_to(none, parts.shape)


def _in_pixels(matrix: Array, height: int, width: int) -> tuple[Array, Array]:
    """M (..., row, column) and t (..., row), in pixels instead of halves of the frame."""
    xp = namespace(matrix)
    half = xp.asarray([width / 2, height / 2], dtype=matrix.dtype)
    m = matrix[..., :, :2] * half[:, None] / half[None, :]
    return m, matrix[..., :, 2] * half


def _quotient(above: Array, below: Array, xp: Any) -> Array:
    held = below != 0
    return xp.where(held, above / xp.where(held, below, xp.ones_like(below)), xp.nan * below)
