r"""Cosine distance, from what stays exact where two vectors nearly coincide.

    dcos(a, b) = 1 - a.b / (|a| |b|) = (|a - b|^2 - (|a| - |b|)^2) / (2 |a| |b|)

a and b are a layer's responses to two images. The right side subtracts responses before it squares
them: in float32 the left one loses all digits of a distance under 1e-7, the right one few. Where
one of two vectors is r times as long as the other, the right one errs by about 1e-7 r.

Source: deformation, section 2.1; also the normalized distance's numerator in equation 1.
"""

from typing import Any

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


def squares(a: Array, b: Array, known: Array | None = None) -> tuple[Array, Array, Array]:
    """|a - b|^2, |a|^2 and |b|^2 of each row, (image,) float64, from (image, unit).

    `known` is |a|^2, where it need not be found again.

    >>> import numpy as np
    >>> squares(np.array([[1.0, 0.0]]), np.array([[4.0, 4.0]]))
    (array([25.]), array([1.]), array([32.]))
    """
    xp = namespace(a, b)
    run = max(1, CACHED // max(1, a.shape[0]))
    difference = first = second = 0.0
    for start in range(0, a.shape[1], run):
        one, two = (computable(x[:, start : start + run], xp) for x in (a, b))
        difference = difference + _square(one - two, xp)
        second = second + _square(two, xp)
        first = first + _square(one, xp) if known is None else known
    return difference, first, second


def square(a: Array) -> Array:
    """|a|^2 of each row, (image,) float64, from (image, unit)."""
    xp = namespace(a)
    return _square(computable(a, xp), xp)


def _square(a: Array, xp: Any) -> Array:
    return xp.astype(xp.linalg.vector_norm(a, axis=1), xp.float64) ** 2


def cosine_of_squares(difference: Array, a: Array, b: Array) -> Array:
    """dcos from |a - b|^2, |a|^2 and |b|^2, of any one shape; NaN where |a| or |b| is 0."""
    xp = namespace(difference, a, b)
    norm_a, norm_b = xp.sqrt(a), xp.sqrt(b)
    product = 2 * norm_a * norm_b
    defined = product > 0
    distance = (difference - (norm_a - norm_b) ** 2) / xp.where(defined, product, 1.0)
    return xp.where(defined, xp.clip(distance, 0, 2), float("nan"))
