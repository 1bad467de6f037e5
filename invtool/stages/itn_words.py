"""What a learned matrix does, in words and in parts: the part that moves most is named first."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.measures import (
    color_change,
    color_parts,
    displacement,
    part_changes,
    part_displacements,
    spatial_parts,
)

Matrix = NDArray[np.float64]
CONSIDERABLE = 0.2  # of the part that moves most: what moves less is not named
NEARLY = 0.01  # of the frame's smaller side, that moves nothing to speak of
NEARLY_GRAY = 2.0  # gray levels, likewise
MOSTLY = 0.5  # of the whole, that zooming out is, to be called the trivial answer


def spatial(matrix: Matrix, height: int, width: int) -> str:
    """Shift in pixels, rotation, scale and shear, those that matter; "nothing" where none does."""
    right, down, degrees, scale_x, scale_y, shear = spatial_parts(matrix, height, width)
    texts = (
        f"shift {'right' if right > 0 else 'left'} {abs(right):.1f} px",
        f"shift {'down' if down > 0 else 'up'} {abs(down):.1f} px",
        f"turn {abs(degrees):.1f} degrees {'anticlockwise' if degrees > 0 else 'clockwise'}",
        f"scale x {scale_x:.2f}",
        f"scale y {scale_y:.2f}",
        f"shear {shear:.2f}",
    )
    if displacement(matrix, height, width) < NEARLY * min(height, width):
        return "nothing"
    return ", ".join(_ordered(texts, part_displacements(matrix, height, width)))


def color(matrix: Matrix, colors: Matrix) -> str:
    """Gain, mixing and brightness of the channels, those that matter; "nothing" where none does."""
    gain, mixing, brightness = color_parts(matrix)
    texts = (
        f"gain {'/'.join(f'{g:.2f}' for g in gain)}",
        f"mixing {'/'.join(f'{m:.2f}' for m in mixing)}",
        f"brightness {'/'.join(f'{b:+.0f}' for b in brightness)} gray levels",
    )
    if color_change(matrix, colors) < NEARLY_GRAY:
        return "nothing"
    return ", ".join(_ordered(texts, part_changes(matrix, colors)))


def zooms_out(matrix: Matrix, height: int, width: int) -> bool:
    """Whether most of what it does is to show the whole image smaller."""
    parts: Any = spatial_parts(matrix, height, width)
    out = np.array([[parts[3], 0, 0], [0, parts[4], 0]])
    if min(parts[3], parts[4]) < 1:
        return False
    whole = displacement(matrix, height, width)
    return bool(displacement(out, height, width) > MOSTLY * whole > 0)


def _ordered(texts: Sequence[str], sizes: Matrix) -> list[str]:
    order = np.argsort(-sizes, kind="stable")
    return [texts[n] for n in order if sizes[n] >= CONSIDERABLE * sizes[order[0]]]
