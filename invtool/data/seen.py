"""Which categories are seen transformed (paper "categories", appendix A).

The sets are nested: a seed fixes one permutation of the categories, and k seen categories are its
first k, so that a larger set holds every smaller one.
"""

import numpy as np
from numpy.typing import NDArray


def seen_categories(categories: int, count: int, seed: int) -> NDArray[np.int64]:
    """Numbers of the `count` seen categories, ascending, (category,).

    >>> small, large = seen_categories(10, 3, seed=1), seen_categories(10, 6, seed=1)
    >>> set(small) < set(large)
    True
    """
    if not 0 <= count <= categories:
        raise ValueError(f"{count} seen categories of {categories}")
    order = np.random.default_rng(seed).permutation(categories)
    return np.sort(order[:count])
