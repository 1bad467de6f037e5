r"""p of each of many tests, corrected for their number.

    bonferroni   q_i = m p_i
    holm         q_(i) = max_{j <= i} (m - j + 1) p_(j)          (Holm 1979)
    fdr          q_(i) = min_{j >= i} m p_(j) / j                (Benjamini and Hochberg 1995)

p_(1) <= ... <= p_(m) are those of the m tests that are defined; q is at most 1. A q under alpha means a
chance under alpha of any false finding among all m (bonferroni, holm, whatever the dependence), or an
expected share under alpha of false ones among those found (fdr, independent or positively dependent).
All is done in logarithms, where no p is too small.
"""

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array

METHODS = ("holm", "bonferroni", "fdr", "none")


def corrected_log10_p(log10_p: Array, method: str = "holm") -> NDArray[np.float64]:
    """log10 q of each log10 p (test,), at most 0; NaN stays NaN and counts for nothing.

    ValueError for a method that is none of METHODS.

    >>> corrected_log10_p(np.log10([0.01, 0.04, 0.03])).round(3)
    array([-1.523, -1.222, -1.222])
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}: {', '.join(METHODS)} are wanted")
    p = np.asarray(log10_p, np.float64)
    defined = np.flatnonzero(~np.isnan(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    m, ascending = len(order), p[order]
    rank = np.arange(1, m + 1)
    if method == "bonferroni":
        ascending = ascending + np.log10(max(m, 1))
    elif method == "holm":
        ascending = np.maximum.accumulate(ascending + np.log10(m + 1 - rank))
    elif method == "fdr":
        growing = ascending + np.log10(m / rank)
        ascending = np.minimum.accumulate(growing[::-1])[::-1]
    q = np.full(p.shape, np.nan)
    q[order] = np.minimum(ascending, 0.0)
    return q
