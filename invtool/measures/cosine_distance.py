r"""Cosine distance, from what stays exact where two vectors nearly coincide.

    dcos(a, b) = 1 - a.b / (|a| |b|) = (|a - b|^2 - (|a| - |b|)^2) / (2 |a| |b|)

a and b are a layer's responses to two images. The right side subtracts responses before it squares
them: in float32 the left one loses all digits of a distance under 1e-7, the right one few.

Source: deformation, section 2.1; also the normalized distance's numerator in equation 1.
"""

from invtool.measures.arrays import Array, computable, namespace

CACHED = 1 << 17  # values of a and of b that are compared while the cache holds them


def cosine_distance(a: Array, b: Array) -> Array:
    """Distance of each row of `a` from that of `b`, (image,), 0 (alike) to 2; NaN for a silent row.

    Both are (image, unit).

    >>> import numpy as np
    >>> cosine_distance(np.array([[1.0, 0.0], [2.0, 2.0]]), np.array([[0.0, 3.0], [1.0, 1.0]]))
    array([1., 0.])
    """
    return cosine_of_squares(*squares(a, b))


def squares(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """|a - b|^2, |a|^2 and |b|^2 of each row, (image,) float64, from (image, unit).

    >>> import numpy as np
    >>> squares(np.array([[1.0, 0.0]]), np.array([[4.0, 4.0]]))
    (array([25.]), array([1.]), array([32.]))
    """
    xp = namespace(a, b)
    run = max(1, CACHED // max(1, a.shape[0]))
    total: list[Array] = [0.0, 0.0, 0.0]
    for first in range(0, a.shape[1], run):
        one, two = (computable(x[:, first : first + run], xp) for x in (a, b))
        for place, vector in enumerate((one - two, one, two)):
            norm = xp.linalg.vector_norm(vector, axis=1)
            total[place] = total[place] + xp.astype(norm, xp.float64) ** 2
    return total[0], total[1], total[2]


def cosine_of_squares(difference: Array, a: Array, b: Array) -> Array:
    """dcos from |a - b|^2, |a|^2 and |b|^2, of any one shape; NaN where |a| or |b| is 0."""
    xp = namespace(difference, a, b)
    norm_a, norm_b = xp.sqrt(a), xp.sqrt(b)
    product = 2 * norm_a * norm_b
    defined = product > 0
    distance = (difference - (norm_a - norm_b) ** 2) / xp.where(defined, product, 1.0)
    return xp.where(defined, xp.clip(distance, 0, 2), float("nan"))
