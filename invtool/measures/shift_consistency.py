r"""How often two random shifts of an image get the same answer.

    S = P(y(a) = y(b)),   a, b: positions drawn independently and uniformly
      = sum over classes c of (n_c / n)^2

n_c of an image's n positions are answered c. Zhang draws one pair an image; the sum is the
expectation over all pairs, a position with itself among them as in his draws, without his noise.

Source: Zhang 2019, *Making convolutional networks shift-invariant again*, section 4.2
("classification consistency").
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def shift_consistency(prediction: Array, shown: Array | None = None) -> NDArray[np.float64]:
    """Chance that two random positions agree, (image,), 0 to 1, higher is better; NaN without any.

    `prediction` is (image, position), the class answered; `shown` as in `jaggedness`.

    >>> shift_consistency(np.array([[3, 3, 3, 3], [3, 3, 5, 5]]))
    array([1. , 0.5])
    """
    prediction = np.asarray(prediction)
    there = np.ones(prediction.shape, bool) if shown is None else np.asarray(shown) != 0
    ordered = np.sort(np.where(there, prediction, -1), axis=1)  # what is not shown comes first
    new = np.diff(ordered, axis=1, prepend=ordered[:, :1] - 1) != 0
    image, first = np.nonzero(new)
    last = np.append(first[1:], 0)
    last[np.append(image[1:] != image[:-1], True)] = prediction.shape[1]
    count = np.where(ordered[image, first] < 0, 0, last - first)
    total = there.sum(axis=1)
    agree = np.bincount(image, count.astype(np.float64) ** 2, minlength=len(prediction))
    return np.where(total, agree / np.maximum(total, 1) ** 2, np.nan)
