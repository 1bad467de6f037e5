r"""The class that a majority of a network's answers names, over random crops of one image.

    n(k) = #{c : argmax over j of p_c(j) = k}        crops that are given class k
    vote = the k of largest n(k); of equal ones, that of the largest sum over c of p_c(k);
           of equal ones again, the lowest

p_c is what the network makes of crop c, a probability for each class. Plain voting leaves ties open,
which two crops have half the time; the two further rules are ours.

Source: shifts, section 5 ("the system output on a given image is computed by a majority vote among
many random crops of the image").
"""

from invtool.measures.arrays import Array, namespace


def majority(votes: Array, probability: Array, rounding: float = 0.0) -> Array:
    """Class that most crops are given, (image,).

    `votes` (image, class) holds how many crops are given each class, `probability` (image, class)
    the sum of each class's probability over them. Sums that differ by at most `rounding` are equal.

    >>> import numpy as np
    >>> votes = np.array([[1, 2, 0], [1, 1, 0], [1, 0, 1]])
    >>> majority(votes, np.array([[2.0, 1.0, 0.0], [0.8, 1.0, 0.2], [1.0, 0.0, 1.0]]))
    array([1, 1, 0])
    """
    xp = namespace(votes, probability)
    if votes.shape != probability.shape:
        raise ValueError(
            f"votes {tuple(votes.shape)} and probabilities {tuple(probability.shape)} are not of the"
            " same images and classes"
        )
    first = votes == xp.max(votes, axis=1, keepdims=True)
    total = xp.where(first, probability, xp.full_like(probability, -float("inf")))
    equal = total >= xp.max(total, axis=1, keepdims=True) - rounding
    return xp.argmax(xp.astype(equal, xp.int8), axis=1)
