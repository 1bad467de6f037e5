r"""How smooth the filters of a convolution are over space: normalized total variation.

    TV(W) / ||W||_1,   TV(W) = sum over i, j of ||W_ij - W_(i+1)j||_1 + ||W_ij - W_i(j+1)||_1

W_ij are the weights at position i, j of the kernel, a number for each output and input, and the
norms are sums of absolute values over all of them. It does not change with the scale of W. It is 0
for filters that are constant over space, and at most nearly 4, of a checkerboard in a large kernel:
of height H and width W there are H (W - 1) + W (H - 1) differences, each at most the sum of its two
absolute values. A 1x1 kernel has no neighbors, and so the sum over none: 0.

Source: deformation, section 4.1.
"""

from typing import Any

from invtool.measures.arrays import Array, computable, namespace


def total_variation(weight: Array) -> Any:
    """Total variation over sum of absolute values, 0 (constant) to 4; NaN where all weights are 0.

    `weight` is (output, input, height, width), as torch has it, or any (..., height, width).

    >>> import numpy as np
    >>> board = (-1.0) ** np.indices((3, 3)).sum(axis=0)
    >>> [round(float(total_variation(w)), 3) for w in (board, np.ones((8, 4, 3, 3)))]
    [2.667, 0.0]
    """
    xp = namespace(weight)
    variation, size = filter_variation(weight)
    total = xp.sum(size)
    return xp.where(total > 0, xp.sum(variation) / xp.where(total > 0, total, 1), xp.nan)


def filter_variation(weight: Array) -> tuple[Array, Array]:
    """Total variation and sum of absolute values of each filter (..., height, width) -> (...,).

    >>> import numpy as np
    >>> [values.tolist() for values in filter_variation(np.array([[[1.0, 3.0], [1.0, -1.0]]]))]
    [[8.0], [6.0]]
    """
    xp = namespace(weight)
    values = computable(weight, xp)
    down = xp.abs(values[..., 1:, :] - values[..., :-1, :])
    right = xp.abs(values[..., 1:] - values[..., :-1])

    def added(differences: Array) -> Array:
        return xp.sum(differences, axis=(-2, -1), dtype=xp.float64)

    return added(down) + added(right), added(xp.abs(values))
