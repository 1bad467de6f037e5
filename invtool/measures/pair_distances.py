r"""Distances of all pairs of images, of a layer too large for its differences to be formed.

    |a_i - a_j|^2 = |c_i|^2 + |c_j|^2 - 2 c_i.c_j,   c_i = a_i - mean over images of a

a_i is the layer's response to image i. The products c_i.c_j come from one matrix product for a run
of units, and add up over the runs in float64. Without the mean, which all responses of a layer
share, the difference of large numbers would cost most of the digits.
"""

from typing import Self

from invtool.measures.arrays import Array, computable, namespace

RUN = 2048  # units of a product: 128 images of them fit the cache


class PairDistances:
    """Squared Euclidean distances of all pairs, added up over runs of units.

    >>> import numpy as np
    >>> pairs = PairDistances()
    >>> pairs.update(np.array([[3.0, 0.0], [0.0, 4.0]]))
    >>> pairs.update(np.array([[12.0], [0.0]]))
    >>> pairs.squared
    array([[  0., 169.],
           [169.,   0.]])
    """

    def __init__(self) -> None:
        self.gram: Array = 0.0  # (image, image) of responses without their mean

    def update(self, units: Array) -> None:
        """Add `units`, (image, unit): some units of a layer, or all, for all images."""
        xp = namespace(units)
        for first in range(0, units.shape[1], RUN):
            run = computable(units[:, first : first + RUN], xp)
            centered = run - xp.mean(run, axis=0, keepdims=True)
            self.gram = self.gram + xp.astype(centered @ centered.T, xp.float64)

    def merge(self, other: Self) -> None:
        """Add what another has seen: other units of the same images."""
        self.gram = self.gram + other.gram

    @property
    def squared(self) -> Array:
        """|a_i - a_j|^2, (image, image)."""
        xp = namespace(self.gram)
        own = xp.linalg.diagonal(self.gram)
        return xp.clip(own[:, None] + own[None, :] - 2 * self.gram, 0, None)
