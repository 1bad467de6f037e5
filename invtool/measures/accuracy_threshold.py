r"""How far a transform may go before a network's accuracy falls under a share of its own.

    a(v)   = share of the images x for which argmax f(T_v x) is the true category
    theta  = min { |v - v_0| : v of the range, a(v) < keep a(v_0) }

Symbols as in `threshold`, of which this is the counterpart for all categories together: a mean
prediction over images of many categories says nothing. The network's own accuracy a(v_0) is that of
the same images, untransformed. A network that is wrong about all of them has nothing to lose:
theta is 0. The interval is the percentile bootstrap over the images, the own accuracy drawn with them.

Source: sensitivity, section III.C, first measure ("the average accuracy over the predictions"); the
share is ours.
"""

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array, namespace
from invtool.measures.intervals import LEVEL
from invtool.measures.threshold import resampled_interval

ROUNDING = 1e-9  # 0.72 is not under 0.9 of 0.8, whatever the product is in binary


def falls(accuracy: Array, own: Array, keep: float) -> Array:
    """Whether an accuracy (..., magnitude) is under `keep` times the network's own, (...).

    >>> falls(np.array([0.8, 0.7, 0.73]), np.array(0.8), 0.9)
    array([False,  True, False])
    """
    xp = namespace(accuracy, own)
    own = xp.expand_dims(own, axis=-1)
    return (accuracy < keep * own - ROUNDING) | (own == 0)


def accuracy_threshold_interval(
    right: Array,
    own: Array,
    magnitude: Array,
    identity: float,
    keep: float,
    *,
    level: float = LEVEL,
    resamples: int = 1000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Bootstrap interval of the threshold, as `threshold_interval`: (3, ..., bound).

    `right` is (image, ..., magnitude), `own` (image,): whether each image is answered right.

    >>> right = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]], bool)
    >>> accuracy_threshold_interval(right, right[:, 0], np.array([0.0, 1, 2]), 0.0, 0.9)[0]
    array([1., 2.])
    """
    right, own = np.asarray(right), np.asarray(own)
    images, shape = len(right), right.shape[1:]
    if images < 2 or resamples < 1:
        return np.full((3, *shape[:-1], 2), np.nan)
    random = np.random.default_rng([seed, resamples])
    hits = np.column_stack([own, right.reshape(images, -1)]).astype(np.float64)
    accuracy = np.empty((resamples, hits.shape[1]))
    for row in accuracy:  # one at a time: a matrix of all draws takes gigabytes for 50,000 images
        count = np.bincount(random.integers(images, size=images), minlength=images)
        row[:] = count @ hits / images
    lead = (slice(None), *(None,) * (len(shape) - 1))
    resampled = accuracy[:, 1:].reshape(resamples, *shape)
    left = falls(resampled, accuracy[:, 0][lead], keep)
    return resampled_interval(left, magnitude, identity, level=level)
