"""Accuracy within and across categories (Jang et al. 2020, arXiv:2007.00112; section 2.1).

    accuracy = share of the images whose predicted category is their category

Within-category accuracy is that of the transformed images of seen categories, across-category
accuracy that of the transformed images of unseen ones. Top-1, among all categories.
"""

from invtool.measures.arrays import Array, namespace
from invtool.measures.groups import group_indicator


def group_accuracy(prediction: Array, label: Array, seen: Array | None = None) -> Array:
    """Accuracy, 0..1, of each condition and group, (condition, group); NaN for an empty group.

    `prediction` is (condition, image), `label` (image,), and `seen` (image,), not 0 where the
    image's category was transformed in training. Groups are all, seen and unseen: of a
    transformed condition they are the overall, the within- and the across-category accuracy.

    >>> import numpy as np
    >>> label, seen = np.array([0, 0, 1, 1]), np.array([True, True, False, False])
    >>> prediction = np.array([[0, 0, 1, 1], [0, 0, 1, 0]])  # without and with the transform
    >>> group_accuracy(prediction, label, seen)
    array([[1.  , 1.  , 1.  ],
           [0.75, 1.  , 0.5 ]])
    """
    xp = namespace(prediction, label)
    images = label.shape[0]
    if tuple(prediction.shape[1:]) != (images,):
        raise ValueError(f"predictions {tuple(prediction.shape)} do not fit {images} labels")
    correct = xp.astype(prediction == label, xp.float64)  # (condition, image)
    groups = group_indicator(seen, images, correct, xp)
    size = xp.sum(groups, axis=1)
    return correct @ groups.T / xp.where(size > 0, size, xp.full_like(size, float("nan")))
