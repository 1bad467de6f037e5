r"""How far a deformation moves a layer's response, in units of the distance between images.

    S = mean over x of d(r(x), r(tau x)) / median over pairs x, y of d(r(x), r(y))

r(x) is the layer's response to image x, tau a deformation drawn for it, and d the cosine distance,
or the Euclidean one. 0 does not feel the deformation; at 1 an image deformed is as far from itself
as from another image.

Source: deformation, section 2.1, the *normalized cosine distance*. The paper averages over 128
images and takes the median over all their pairs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array, host
from invtool.measures.cosine_distance import cosine_of_squares

Floats = NDArray[np.float64]
DISTANCES = ("cosine", "euclidean")


def distance(kind: str, difference: Array, a: Array, b: Array) -> Array:
    """d from |a - b|^2, |a|^2 and |b|^2: `cosine` or `euclidean`.

    >>> distance("euclidean", np.array([4.0]), np.array([1.0]), np.array([9.0]))
    array([2.])
    """
    return cosine_of_squares(difference, a, b) if kind == "cosine" else difference**0.5


def median_of_pairs(distances: Array) -> float:
    """Median of d over all pairs of two images, from (image, image); NaN without a defined pair.

    A pair with an undefined distance, as of an image that a layer does not respond to, is left out.

    >>> median_of_pairs(np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 2.0], [5.0, 2.0, 0.0]]))
    2.0
    """
    values = host(distances)
    pairs = values[np.triu_indices(len(values), 1)]
    defined = pairs[~np.isnan(pairs)]
    return float(np.median(defined)) if len(defined) else float("nan")


def sensitivity(distances: Any, median: Any) -> Floats:
    """S of each layer, (...,) from 0; NaN where no image tells, or the median is 0 or NaN.

    `distances` are d(r(x), r(tau x)), (..., image), of which NaN is left out; `median` is (...,).

    >>> sensitivity([[0.1, 0.3, np.nan], [1.0, 1.0, 1.0]], [0.4, 0.0])
    array([0.5, nan])
    """
    return mean_defined(distances) / above_zero(median)


def mean_defined(distances: Any) -> Floats:
    """Mean over the last axis without NaN; NaN of nothing."""
    values = np.asarray(distances, np.float64)
    count = (~np.isnan(values)).sum(axis=-1)
    total = np.nansum(values, axis=-1)
    return np.asarray(total / np.where(count, count, np.nan), np.float64)


def above_zero(values: Any) -> Floats:
    """What may divide: NaN in place of 0."""
    found = np.asarray(values, np.float64)
    return np.where(found > 0, found, np.nan)
