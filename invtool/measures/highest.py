r"""The few answers that are highest anywhere along a sweep, and one curve for the rest.

    h_a        = max over v of p(v)_a,   the answers a ordered by it
    others(v)  = max over the answers that are not among the first of p(v)_a

p(v) is the mean softmax at magnitude v. Of equal answers the lower number comes first.

Source: sensitivity, section IV.A ("three predicted classes with the highest softmax output over all
predicted classes while varying the parameter ... `others`, which shows the maximum softmax").
"""

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array


def highest(softmax: Array, count: int = 3) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `count` highest answers (answer,), and `others` (magnitude...), of (magnitude..., answer).

    `others` is NaN where there is no other answer.

    >>> answers, others = highest(np.array([[0.7, 0.1, 0.2], [0.1, 0.6, 0.3]]), 2)
    >>> answers, others
    (array([0, 1]), array([0.2, 0.3]))
    """
    softmax = np.asarray(softmax, np.float64)
    most = softmax.reshape(-1, softmax.shape[-1]).max(axis=0)
    order = np.argsort(-most, kind="stable")
    rest = softmax[..., order[count:]]
    none = np.full(softmax.shape[:-1], np.nan)
    return order[:count], rest.max(axis=-1) if rest.shape[-1] else none
