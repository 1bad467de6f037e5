"""The density of values that live between two borders, and the five numbers beside it.

    p(y) = 1/n  sum_i  sum_m  [ G_h(y - y_i + 2 m) + G_h(y + y_i + 2 m) ],   m = ..., -1, 0, 1, ...

with y in [0, 1], G_h the normal density of standard deviation h: a Gaussian kernel whose tails are
reflected at 0 and at 1, so that no mass lies where no value can. The sum is the heat equation with closed
ends (Botev, Grotowski and Kroese, Annals of Statistics 38, 2010, eq. 6): on a histogram that is
mirrored once, it is one product of Fourier coefficients, and so takes as long for 100 values as for 10^6.
h = 0.9 min(sd, IQR / 1.34) n^(-1/5) (Silverman 1986, eq. 3.31), at least two bins of the histogram.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
BINS = 512


@dataclass(frozen=True)
class Summary:
    """Count, extent and quartiles of the values that are defined; NaN where there are none."""

    n: int
    undefined: int
    low: float
    first: float
    median: float
    third: float
    high: float


def summary(values: Values) -> Summary:
    """The number of values, of NaNs, and minimum, quartiles and maximum of the rest.

    >>> summary(np.array([0.0, 0.25, 0.5, 0.75, 1.0, np.nan]))
    Summary(n=5, undefined=1, low=0.0, first=0.25, median=0.5, third=0.75, high=1.0)
    """
    defined = finite(values)
    quantiles = [float("nan")] * 5
    if defined.size:
        quantiles = np.quantile(defined, [0.0, 0.25, 0.5, 0.75, 1.0]).tolist()
    return Summary(defined.size, np.size(values) - defined.size, *quantiles)


def density(values: Values, limit: float = 1.0) -> tuple[Values, Values]:
    """Where (position,) and how densely (position,) the values lie in [0, limit]; integrates to 1.

    NaN is left out. Without any value the density is 0 everywhere; equal values make a bump as narrow as
    the grid allows, so a caller who wants a line must ask `summary` first.

    >>> positions, p = density(np.array([0.2, 0.4, 0.6]))
    >>> round(float(p.mean()), 6)
    1.0
    """
    centers = (np.arange(BINS) + 0.5) / BINS
    shares = np.clip(finite(values) / limit, 0.0, 1.0)
    if not shares.size:
        return centers * limit, np.zeros(BINS)
    counts = np.bincount(np.minimum((shares * BINS).astype(np.intp), BINS - 1), minlength=BINS)
    mirrored = np.concatenate([counts, counts[::-1]])
    waves = np.arange(BINS + 1)
    spectrum = np.fft.rfft(mirrored) * np.exp(-0.5 * (np.pi * bandwidth(shares) * waves) ** 2)
    smooth = np.maximum(np.fft.irfft(spectrum)[:BINS], 0.0)
    return centers * limit, smooth * (BINS / shares.size / limit)


def bandwidth(shares: Values) -> float:
    """The kernel's standard deviation for values in [0, 1] without NaN."""
    first, third = np.quantile(shares, [0.25, 0.75]).tolist()
    spreads = [s for s in (float(shares.std()), (third - first) / 1.34) if s > 0]
    narrow: float = 0.9 * min(spreads, default=0.0) * float(shares.size) ** -0.2
    return max(narrow, 2.0 / BINS)


def finite(values: Values) -> Values:
    """The values that are defined, in double precision, in one row."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    return flat[np.isfinite(flat)]
