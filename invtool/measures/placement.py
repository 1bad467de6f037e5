r"""Where an object stands among the places where it fits into the image.

    u = x_0 / (1 - w)

x_0 is the left (upper) edge of a box and w its width (height), in units of the image. The center of a box that lies in the
image is within [w/2, 1 - w/2]: a large object is central by necessity, and a center that is
uniform on [0, 1] is one that only a point can have. u is 0 at one border, 1 at the other, and uniform
on [0, 1] where the object is as likely in each place as in any other: a null hypothesis that allows for size,
and so the stricter evidence of a photographer's bias. It is ours, not the paper's. An object that
fills the image has one place, and no u.
"""

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array

ROUNDING = 1e-9  # of an extent that is the image's


def placement(edge: Array, extent: Array) -> NDArray[np.float64]:
    """u of boxes whose first edge and extent are given in units of the image, 0..1; NaN of one that fills it.

    >>> placement(np.array([0.0, 0.2, 0.5, 0.0]), np.array([0.5, 0.6, 0.5, 1.0]))
    array([0. , 0.5, 1. , nan])
    """
    x, w = np.asarray(edge, np.float64), np.asarray(extent, np.float64)
    room = np.where(1 - w > ROUNDING, 1 - w, np.nan)
    return np.clip(x / room, 0.0, 1.0)
