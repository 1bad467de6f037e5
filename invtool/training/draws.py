"""What each training step shows (paper "categories", section 2.1).

A step draws a category uniformly, then one of its images uniformly; an image of a seen category is
transformed with chance 1/2. The draws of an epoch depend on the seed and the epoch alone, so that
a resumed run sees what an uninterrupted one sees.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Draws:
    """Images of the training set by category.

    label: (image,) category of each training image
    seen: (category,) whether a category is shown transformed, too
    """

    label: NDArray[np.int64]
    seen: NDArray[np.bool_]
    seed: int

    def epoch(self, epoch: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Numbers of `count` drawn images, and whether each is transformed, both (draw,).

        >>> draws = Draws(np.array([0, 0, 0, 1]), np.array([False, True]), seed=0)
        >>> image, transformed = draws.epoch(0, 10_000)
        >>> bool(abs((image == 3).mean() - 1 / 2) < 0.02)  # half of the draws: one category of two
        True
        >>> bool(abs(transformed.mean() - 1 / 4) < 0.02)
        True
        """
        key = np.array([self.seed, epoch], np.uint64)  # of a list with a large one, floats
        random = np.random.Generator(np.random.Philox(key=key))
        order = np.argsort(self.label, kind="stable")  # images, a category after the other
        present, start, size = np.unique(self.label[order], return_index=True, return_counts=True)
        category = random.integers(len(present), size=count)
        within = (random.random(count) * size[category]).astype(np.int64)
        image = order[start[category] + within]
        transformed = (random.random(count) < 0.5) & self.seen[present[category]]
        return image, transformed
