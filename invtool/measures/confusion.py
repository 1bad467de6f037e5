"""What images of seen and of unseen categories are taken for (Jang et al. 2020, arXiv:2007.00112; figure 6).

    C[t, p, r] = #{x in group t : predicted category in group p, right if r}  /  #{x in group t}

t and p are seen or unseen, by whether the image's category, or the predicted one, was transformed
in training. Section 3.1 reads it: where transformed images of unseen categories are mostly taken
for seen ones, the network uses the transform itself as the mark of a seen category, and its
robustness within those is not invariance.
"""

from typing import Any

from array_api_compat import device

from invtool.measures.arrays import Array, namespace

SIDES = ("seen", "unseen")


def confusion(prediction: Array, label: Array, seen: Array, categories: int) -> Array:
    """Shares in 0..1, (condition, true_group, predicted_group, correct), groups in the order of SIDES.

    `prediction` is (condition, image), `label` (image,), and `seen` the numbers of the seen
    categories, of `categories` in all. `correct` is 0 wrong, 1 right. The shares of a true group
    sum to 1; they are NaN for a group without images. ValueError for a prediction that is no category.

    >>> import numpy as np
    >>> found = confusion(np.array([[0, 0, 1, 0]]), np.array([0, 0, 1, 1]), np.array([0]), 2)
    >>> found[0, 0].tolist()  # seen images: all are taken for seen ones, and rightly
    [[0.0, 1.0], [0.0, 0.0]]
    >>> found[0, 1].tolist()  # unseen images: half are taken for seen ones
    [[0.5, 0.0], [0.0, 0.5]]
    """
    xp = namespace(prediction, label)
    if prediction.shape[1] and (xp.min(prediction) < 0 or xp.max(prediction) >= categories):
        raise ValueError(f"a prediction is none of {categories} categories")
    kind = xp.zeros(categories, dtype=xp.float64, device=device(label))
    kind[seen] = 1.0
    true, predicted = _sides(kind[label], xp), _sides(kind[prediction], xp)
    right = xp.astype(prediction == label, xp.float64)
    correct = xp.stack([1 - right, right])  # (correct, condition, image)
    size = xp.sum(true, axis=1)
    size = xp.where(size > 0, size, xp.full_like(size, float("nan")))
    # (true, predicted, correct, condition)
    counts = xp.sum(
        true[:, None, None, None, :] * predicted[None, :, None] * correct[None, None], axis=-1
    )
    return xp.permute_dims(counts / size[:, None, None, None], (3, 0, 1, 2))


def _sides(seen: Array, xp: Any) -> Array:
    return xp.stack([seen, 1 - seen])
