r"""Interval for a share of images (Wilson 1927; Brown, Cai and DasGupta 2001, equation 4).

    center = (r + z^2 / 2) / (n + z^2)
    half   = z sqrt(n) / (n + z^2) * sqrt(p (1 - p) + z^2 / (4 n)),    p = r / n

r of n images have the property, and z is the normal quantile of (1 + level) / 2. Unlike p +- z s it
stays within 0..1 and covers near both ends, where accuracies lie. It takes images for independent
draws: for what another choice of *categories* would change, see `bootstrap`.
"""

from statistics import NormalDist

from invtool.measures.arrays import Array, namespace

LEVEL = 0.95  # of every interval, unless told otherwise


def wilson_interval(right: Array, total: Array, level: float = LEVEL) -> Array:
    """Lower and upper bound of each share `right / total`, (..., bound), in 0..1; NaN for no image.

    Both are counts of one shape, floats or integers. ValueError for a level outside 0..1.

    >>> import numpy as np
    >>> wilson_interval(np.array([0, 5, 9]), np.array([10, 10, 0])).round(3)
    array([[0.   , 0.278],
           [0.237, 0.763],
           [  nan,   nan]])
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level}: a share between 0 and 1 is wanted")
    xp = namespace(right, total)
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    r, n = xp.astype(right, xp.float64), xp.astype(total, xp.float64)
    n = xp.where(n > 0, n, xp.full_like(n, float("nan")))
    center = (r + z2 / 2) / (n + z2)
    half = xp.sqrt(z2 * n * (r / n * (1 - r / n) + z2 / (4 * n))) / (n + z2)
    return xp.clip(xp.stack([center - half, center + half], axis=-1), 0, 1)
