"""Boxes as a file gives them, in pixels, before anyone has checked that they lie in their images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# How a file may mean its corners: as positions, or as numbers of the first and last pixel of the box.
EDGES, FROM_0, FROM_1 = CORNERS = ("edges", "from-0", "from-1")
SHIFTS = {EDGES: (0, 0), FROM_0: (0, 1), FROM_1: (-1, 0)}  # px that make positions of them


@dataclass(frozen=True)
class RawBoxes:
    file: str  # in messages
    names: Sequence[str]  # category of each box
    where: Sequence[str]  # of each box, in the file
    corners: NDArray[np.float64]  # (box, 4): x0, y0, x1, y1
    size: NDArray[np.float64]  # (box, 2): width and height of its image
    means: str  # of CORNERS, unless the user says otherwise
    fixed: bool = False  # and the user has no say in it
    crowds: int = 0  # boxes around several objects, left out
    images: Sequence[str] = ()  # file name of the image of each box, where the format tells it
