r"""How likely a sample lies so far from a continuous distribution (Kolmogorov 1933; Smirnov 1944).

    P(D_n >= d) = 2 S(n, d) - P(both)
    S(n, d) = d sum_j C(n, j) (d + j/n)^(j-1) (1 - d - j/n)^(n-j),   j = 0, ..., floor(n (1 - d))

D_n is the largest distance between the empirical distribution of n draws and the one that they are
from. S is the chance that it is reached on one given side: exact, and added up in logarithms, so that
no p is too small to tell. P(both), that it is reached on both sides, is impossible for d > 1/2 and
under 2e-6 of the whole for n d^2 >= 2.2. Elsewhere p > 0.02: up to n = 140 it is the power of a matrix
(Marsaglia, Tsang and Wang 2003); beyond, P(both) is of Kolmogorov's limit, with Vrbik's (2018) shift,
within 3e-5 of p where p < 0.1 and within 2e-3 anywhere. Simard and L'Ecuyer (2011) compare such methods.

scipy.stats.kstwo gives the same down to 1e-308, and takes seconds to import; this takes none.
"""

from math import ceil, lgamma, log

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array

ONE_SIDED = 2.2  # n d^2 from which on P(both) is nothing
FEW = 140  # draws that the matrix is for
TERMS = np.arange(2, 60)  # of Kolmogorov's series
LN10 = log(10)
NEAREST = 1 - 2.0**-53  # what a distance of 1 is taken for, so that log p stays finite

Floats = NDArray[np.float64]


def kolmogorov_log10_p(statistic: Array, count: Array) -> Floats:
    """log10 of the chance of a distance as large as `statistic`, at most 0; NaN where that is NaN.

    `count` draws each, both of one shape.

    >>> kolmogorov_log10_p(np.array([0.5, 0.5, np.nan]), np.array([2, 5000, 9])).round(1).tolist()
    [-0.3, -1155.7, nan]
    """
    d, n = np.minimum(statistic, NEAREST), np.asarray(count, np.int64)
    steps = np.log(np.arange(1, n.max(initial=1) + 1))
    factorials = np.concatenate([[0.0], np.cumsum(steps)])  # logarithms of n!
    found = [
        _log_p(float(each), int(draws), factorials) / LN10 if np.isfinite(each) else np.nan
        for each, draws in zip(d.ravel(), n.ravel(), strict=True)
    ]
    return np.minimum(np.array(found, np.float64), 0.0).reshape(d.shape)


def _log_p(d: float, n: int, factorials: Floats) -> float:
    if n * d <= 0.5:  # no sample is nearer
        return 0.0
    if d >= 0.5 or n * d * d >= ONE_SIDED:
        return log(2) + _log_one_sided(d, n, factorials)
    if n <= FEW:
        return log(max(1 - _inside(d, n), 1e-300))
    x = n**0.5 * d
    x += 1 / (6 * n**0.5) + (x - 1) / (4 * n)
    both = 2 * np.sum((-1.0) ** TERMS * np.exp(-2 * (TERMS * x) ** 2))
    return log(2 * np.exp(_log_one_sided(d, n, factorials)) - both)


def _log_one_sided(d: float, n: int, factorials: Floats) -> float:
    """log S(n, d)."""
    j = np.arange(int(n * (1 - d)) + 1)
    with np.errstate(divide="ignore"):  # log 0, of a last term that is none
        rest = np.log(np.maximum(1 - d - j / n, 0))
    chosen = factorials[n] - factorials[j] - factorials[n - j]
    terms = chosen + (j - 1) * np.log(d + j / n) + (n - j) * rest
    top = terms.max()
    return float(log(d) + top + np.log(np.exp(terms - top).sum()))


def _inside(d: float, n: int) -> float:
    """P(D_n < d): n! / n^n times the central element of H^n, both scaled by e^n."""
    k = ceil(n * d)
    m, h = 2 * k - 1, k - n * d
    order = np.arange(m)[:, None] - np.arange(m) + 1
    inverse = np.exp([-lgamma(i + 1) for i in range(m + 1)])  # 1 / i!
    matrix = np.where(order >= 0, inverse[np.maximum(order, 0)], 0.0)
    corner = h ** np.arange(1, m + 1) * inverse[1:]
    matrix[:, 0] -= corner
    matrix[-1] -= corner[::-1]
    matrix[-1, 0] += max(2 * h - 1, 0) ** m * inverse[m]
    power = np.linalg.matrix_power(matrix / np.e, n)
    return float(power[k - 1, k - 1] * np.exp(lgamma(n + 1) - n * log(n) + n))
