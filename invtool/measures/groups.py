"""The groups of images that every measure reports: all, seen-transformed, unseen-transformed.

An image is *seen* when its category was transformed in training, *unseen* when it was not.
"""

from typing import Any

from array_api_compat import device

from invtool.measures.arrays import Array

GROUPS = ("all", "seen", "unseen")


def group_indicator(seen: Array | None, images: int, like: Array, xp: Any) -> Array:
    """(group, image) of ones and zeros, in the order of GROUPS, of the dtype and device of `like`.

    `seen` is (image,), true or not 0 where the image's category was transformed in training.
    Without it the groups seen and unseen are empty: nothing is known of them.

    >>> import numpy as np
    >>> group_indicator(np.array([1, 0]), 2, np.zeros(1), np)
    array([[1., 1.],
           [1., 0.],
           [0., 1.]])
    """
    everything = xp.ones(images, dtype=like.dtype, device=device(like))
    if seen is None:
        nothing = xp.zeros_like(everything)
        return xp.stack([everything, nothing, nothing])
    if seen.shape != (images,):
        raise ValueError(f"seen has shape {tuple(seen.shape)}; {images} images want ({images},)")
    mask = xp.astype(xp.asarray(seen, device=device(like)) != 0, like.dtype)
    return xp.stack([everything, mask, everything - mask])
