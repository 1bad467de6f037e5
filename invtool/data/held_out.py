"""Which training images are held out, where settings are chosen by how they do on new images.

A tenth (paper "categories", appendix A), from every category alike and by the seed.
"""

import numpy as np
from numpy.typing import NDArray

SHARE = 10  # images of which one is held out
KEY = 0x5EA4C4  # other draws of the same seed are not these


def held_out(label: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Whether each image is held out, (image,), by the category of each, (image,).

    A category with two images or more has one held out at least; one with a single image, none.

    >>> mask = held_out(np.repeat([0, 1, 2], [40, 3, 1]), seed=0)
    >>> [int(part.sum()) for part in np.split(mask, [40, 43])]
    [4, 1, 0]
    """
    random = np.random.default_rng([seed, KEY]).random(len(label))
    order = np.lexsort((random, label))  # a category after the other, each shuffled
    _, start, size = np.unique(label[order], return_index=True, return_counts=True)
    within = np.arange(len(label)) - np.repeat(start, size)
    wanted = np.where(size > 1, np.maximum(1, (size + SHARE // 2) // SHARE), 0)
    mask = np.zeros(len(label), np.bool_)
    mask[order] = within < np.repeat(wanted, size)
    return mask
