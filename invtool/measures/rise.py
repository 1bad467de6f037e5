r"""Does accuracy rise linearly or logarithmically with the number of seen categories?

    linear        a(k) = alpha + beta k
    logarithmic   a(k) = alpha + beta ln k

k is a number of seen categories, a(k) the across-category accuracy of a network that saw k of them
transformed. Jang et al. (2020, arXiv:2007.00112, section 3.1) find the first for faces, which are
alike, and the second for ImageNet, which is varied. Both laws have two parameters, fitted by least
squares, so that the sums of squared residuals S compare them: with n networks the difference of
Akaike's criterion (Burnham and Anderson 2002, section 2.2) is

    preference = n ln(S_linear / S_logarithmic),

above 0 where the logarithm fits better; beyond +-2 there is some evidence, beyond +-10 much.
"""

from typing import NamedTuple

import numpy as np

from invtool.measures.arrays import Array


class Law(NamedTuple):
    """A fitted law; `r2` is the share of the variance that it explains, 1 at best, NaN of none."""

    alpha: float
    beta: float  # accuracy a category, or a factor e of categories
    r2: float


class Rise(NamedTuple):
    """Both laws, and which the numbers prefer: above 0 the logarithm, below 0 the line."""

    linear: Law
    logarithmic: Law
    preference: float


def rise(seen: Array, accuracy: Array) -> Rise:
    """Fit both laws to networks (network,) that saw `seen` >= 1 categories and reached `accuracy`.

    Networks with no seen category, or no accuracy (NaN), are left out. Raises ValueError for fewer
    than three different counts, which two parameters would fit in any case.

    >>> fit = rise(np.array([1, 10, 100]), np.array([0.1, 0.3, 0.5]))
    >>> round(fit.logarithmic.r2, 3), round(fit.linear.r2, 3), fit.preference > 10
    (1.0, 0.818, True)
    """
    k, a = np.asarray(seen, np.float64), np.asarray(accuracy, np.float64)
    kept = (k >= 1) & np.isfinite(a)
    k, a = k[kept], a[kept]
    if len(np.unique(k)) < 3:
        raise ValueError("three different numbers of seen categories are needed to tell the laws")
    # Below this a sum of squares is rounding: a perfect fit, or accuracy that never changes.
    rounding = len(a) * (8 * np.finfo(np.float64).eps * np.abs(a).max()) ** 2 or 1.0
    (linear, s_line), (logarithmic, s_log) = (_fit(x, a, rounding) for x in (k, np.log(k)))
    preference = len(a) * np.log(s_line / s_log)
    return Rise(linear, logarithmic, float(preference))


def _fit(x: Array, a: Array, rounding: float) -> tuple[Law, float]:
    beta, alpha = np.polyfit(x, a, 1)
    squares = max(float(np.sum((a - alpha - beta * x) ** 2)), rounding)
    total = float(np.sum((a - a.mean()) ** 2))
    r2 = float(1 - squares / total) if total > rounding else float("nan")
    return Law(float(alpha), float(beta), r2), squares
