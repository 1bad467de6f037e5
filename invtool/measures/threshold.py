r"""How far a transform may go before the mean prediction of a category's images leaves the category.

    p_c(v)   = mean over the images x of category c of softmax f(T_v x)
    theta_c  = min { |v - v_0| : v of the range, argmax p_c(v) != c }

f gives the logits, T_v is the transform at magnitude v, and v_0 its identity, T_v0 x = x. theta_c is 0
where the network is wrong about the untransformed images already, and undefined where the prediction
stays within the range. Curves are not monotone (a rotation by 180 degrees may do less than one by 90),
so every magnitude is looked at and none is found by bisection; theta_c is as fine as the range. Either
side of v_0 has its own, and theta_c is the smaller one.

The interval is the percentile bootstrap over the category's images (Efron and Tibshirani 1993). A
resample that never leaves counts as beyond the range; so does an end of the interval among those.

Source: sensitivity, sections III.C and IV.A ("if the magnitude of different transformations does not
exceed a class- and transformation dependent threshold").
"""

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array, namespace
from invtool.measures.intervals import LEVEL

SIDES = ("below", "above")  # of the identity
CHUNK = 1 << 22  # numbers of a part of the resampled means


def leaves(softmax: Array, category: int) -> Array:
    """Whether the mean prediction is another category, (magnitude...), of (image, magnitude..., answer).

    >>> leaves(np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.6, 0.4]]]), 0)
    array([False,  True])
    """
    xp = namespace(softmax)
    return xp.argmax(xp.mean(softmax, axis=0), axis=-1) != category


def threshold(left: Array, magnitude: Array, identity: float, side: str = "") -> Array:
    """Smallest |v - v_0| at which `left` holds, (...), in units of v; NaN where it never does.

    `left` is (..., magnitude), `magnitude` (magnitude,). `side` looks below or above the identity
    alone, the identity included.

    >>> left = np.array([[True, False, False, True, False, True]])
    >>> degrees = np.array([-30.0, -15, 0, 15, 30, 45])
    >>> [float(threshold(left, degrees, 0, side)[0]) for side in ("below", "above", "")]
    [30.0, 15.0, 15.0]
    """
    xp = namespace(left, magnitude)
    distance = xp.abs(magnitude - identity)
    if side:
        within = magnitude <= identity if side == SIDES[0] else magnitude >= identity
        left = left & within
    smallest = xp.min(xp.where(left, distance, xp.inf), axis=-1)
    return xp.where(smallest == xp.inf, xp.nan, smallest)


def threshold_interval(
    softmax: Array,
    category: int,
    magnitude: Array,
    identity: float,
    *,
    level: float = LEVEL,
    resamples: int = 1000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Bootstrap interval of the threshold on both sides together, below and above, (3, ..., bound).

    `softmax` is (image, ..., magnitude, answer). NaN is an end beyond the range; both ends are NaN for
    fewer than two images.

    >>> softmax = np.array([[[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], [[0.8, 0.2], [0.7, 0.3], [0.1, 0.9]]])
    >>> threshold_interval(softmax, 0, np.array([0.0, 1.0, 2.0]), 0.0)[0]
    array([1., 2.])
    """
    softmax = np.asarray(softmax)
    images, shape = len(softmax), softmax.shape[1:-1]
    if images < 2 or resamples < 1:
        return np.full((3, *shape[:-1], 2), np.nan)
    random = np.random.default_rng([seed, resamples, category])
    drawn = random.multinomial(images, np.full(images, 1 / images), resamples).astype(softmax.dtype)
    rows = softmax.reshape(images, -1, softmax.shape[-1])  # (image, magnitude, answer)
    left = np.empty((resamples, rows.shape[1]), bool)
    at_once = max(1, CHUNK // (resamples * rows.shape[2]))
    for start in range(0, rows.shape[1], at_once):
        part = rows[:, start : start + at_once]
        mean = drawn @ part.reshape(images, -1)
        left[:, start : start + at_once] = (
            mean.reshape(resamples, -1, rows.shape[2]).argmax(-1) != category
        )
    return resampled_interval(left.reshape(resamples, *shape), magnitude, identity, level=level)


def resampled_interval(
    left: Array, magnitude: Array, identity: float, *, level: float = LEVEL
) -> NDArray[np.float64]:
    """Quantiles of the thresholds of `left`, (resample, ..., magnitude), as `threshold_interval`.

    >>> left = np.array([[False, True]] * 50 + [[False, False]] * 50)
    >>> resampled_interval(left, np.array([0.0, 1.0]), 0.0)[0]
    array([ 1., nan])
    """
    found = [threshold(left, magnitude, identity, side) for side in ("", *SIDES)]
    values = np.nan_to_num(np.stack(found), nan=np.inf)  # (side, resample, ...)
    ends = [(1 - level) / 2, (1 + level) / 2]
    # Of resampled values one, as all are magnitudes: between a number and infinity there is none.
    bounds = np.quantile(values, ends, axis=1, method="inverted_cdf")
    return np.moveaxis(np.where(np.isinf(bounds), np.nan, bounds), 0, -1)
