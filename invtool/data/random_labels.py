"""Labels that say nothing about their images: what a network can only memorize (Zhang et al. 2016, arXiv:1611.03530).

Each image has one label, whatever epoch or batch shows it: it depends on the seed and the image's number alone.
"""

import numpy as np
from numpy.typing import NDArray

KEY = 0x1ABE1  # other draws of the same seed are not these


def random_labels(images: int, categories: int, seed: int) -> NDArray[np.int64]:
    """A category drawn uniformly for each image, (image,).

    >>> label = random_labels(10_000, 4, seed=0)
    >>> bool((abs(np.bincount(label) - 2500) < 200).all())
    True
    >>> bool((label[:100] == random_labels(100, 4, seed=0)).all())  # whatever images follow
    True
    """
    random = np.random.default_rng([seed, KEY])
    return (random.random(images) * categories).astype(np.int64)
