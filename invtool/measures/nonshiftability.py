r"""How often the global sum of a feature map changes as the image moves by one pixel.

    N = sum over t of [|g(t + 1) - g(t)| > share * |mean over t of g(t)|],   g(t) = sum over x of r_t(x)

r_t(x) is a feature map's response at x to the image at position t, and the share is 20 %. Where the
sampling theorem is obeyed, g does not change and N is 0. Only maps count whose highest response
passes a threshold: the sum of a silent one changes by any share.

Source: shifts, section 3 and figure 10 of its first version ("the number of times the global sum of
a feature map changes by more than 20 % of the mean as the input is translated"). The threshold is
ours, as a share of the highest response of the layer's maps to the same image: the paper tells none.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SHARE = 0.2  # of the mean, by which a sum has to change


def nonshiftability(
    global_sum: Array, highest: Array | None = None, *, share: float = SHARE, threshold: float = 0.1
) -> NDArray[np.float64]:
    """Steps at which each map's sum changes, (image, channel), from 0: shiftable; NaN if too weak.

    `global_sum` is (image, position, channel); `highest` (image, channel) is each map's highest
    response at any place and position, of which `threshold` is a share of the layer's; None takes
    every map.

    >>> sums = np.array([[[4.0, 4.0], [4.0, 2.0], [4.0, 4.0]]])
    >>> nonshiftability(sums)
    array([[0., 2.]])
    >>> nonshiftability(sums, np.array([[1.0, 0.05]]))
    array([[ 0., nan]])
    """
    sums = np.asarray(global_sum, np.float64)
    mean = np.abs(sums.mean(axis=1, keepdims=True))
    changed = np.abs(np.diff(sums, axis=1)) > share * mean
    count: NDArray[np.float64] = changed.sum(axis=1).astype(np.float64)
    if highest is None:
        return count
    top = np.asarray(highest, np.float64)
    strong = (top > threshold * top.max(axis=1, keepdims=True)) & (top > 0)
    return np.where(strong, count, np.nan)
