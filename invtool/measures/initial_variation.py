r"""The normalized total variation that a convolution has before it is trained, and how far it strays.

Let the weights of a layer of N filters (outputs times inputs) of height h and width w be independent
and alike, a and b two of them. Every difference of neighbors has the mean E|a - b|, and a filter has
h (w - 1) + w (h - 1) of them, over h w weights of mean E|a|. So the ratio of the means is

    E TV / E ||W||_1 = c k,   c = (h (w - 1) + w (h - 1)) / (h w),   k = E|a - b| / E|a|

c is 12/9 for 3x3: 2 directions, 6 differences each, over 9 weights. k does not depend on the scale:

    normal            a - b is normal too, of sqrt 2 times the deviation         k = sqrt 2 = 1.414
    uniform, [-1, 1]  E|a - b| = 2/3 and E|a| = 1/2                                k = 4/3
    truncated normal  at +-t deviations, t = 2, with Z = 2 Phi(t) - 1:
                      E|a| = 2 (phi(0) - phi(t)) / Z, and as |a - b| = 2 max(a, b) - a - b,
                      E|a - b| = 4 E[a F(a)] = (4 / Z^2) (erf(t) / (2 sqrt pi) - Z phi(t))   k = 1.392

and 3x3 layers have 1.886, 1.778 and 1.857; the paper found "approximately 1.87" with the last. The
ratio of sums is the ratio of means up to a term in 1/N, far below its own deviation, which is

    sd = sqrt(var(T - c k L) / N) / E L,   T and L: total variation and sum of one filter

Var(T - c k L), which has no short form, is simulated, and so are all moments of filters that were
smoothed, whose weights are not independent. Those of one output are scaled together, so that
the norm of all its inputs is kept.

Source: deformation, footnote 1 of section 4.1 and footnote 2 of section 4.2.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.measures.total_variation import filter_variation

LAWS = ("truncated-normal", "normal", "uniform")
CUT = 2.0  # standard deviations where the normal is truncated
# Weights that are simulated: of 14,563 filters of 3x3 for a deviation, of 116,508 for a mean too.
DEVIATION, MEAN = 1 << 17, 1 << 20
INPUTS = 64  # of an output that are simulated, at most: the scale of so many hardly varies
Random = np.random.Generator


def initial_variation(
    shape: tuple[int, int, int, int], law: str, *, sigma: float = 0.0, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation, over initializations, of a layer's normalized total variation.

    `shape` is (output, input, height, width); `sigma`, in pixels, of the Gaussian that the filters
    were convolved with, 0: none. A mean is exact; that of smoothed filters has a standard error of
    0.001. That of a deviation is under 2 % of it.

    >>> mean, deviation = initial_variation((32, 3, 3, 3), "truncated-normal")
    >>> round(mean, 3), round(deviation, 3)
    (1.857, 0.035)
    """
    outputs, inputs, height, width = shape
    if height * width == 1:
        return 0.0, 0.0
    together = min(inputs, INPUTS) if sigma else 1
    moments = _filters(height, width, law, sigma, seed)
    whole = moments.shape[1] // together * together
    variation, size, before, after = moments[:, :whole].reshape(4, -1, together).sum(axis=-1)
    scale = np.sqrt(before / after)
    variation, size = scale * variation, scale * size
    mean = float(variation.mean() / size.mean()) if sigma else expected(height, width, law)
    deviation = float(np.std(variation - mean * size) / size.mean())
    return mean, deviation / math.sqrt(outputs * inputs / together)


@lru_cache(maxsize=64)
def _filters(height: int, width: int, law: str, sigma: float, seed: int) -> NDArray[np.float64]:
    """Total variation, sum, and square norm before and after smoothing, of simulated filters (4, filter)."""
    count = max((MEAN if sigma else DEVIATION) // (height * width), 1000)
    weight = draw(np.random.default_rng(seed), (count, height, width), law)
    blurred = smoothed(weight, sigma) if sigma else weight
    norms = ((values**2).sum(axis=(1, 2)) for values in (weight, blurred))
    return np.stack([*filter_variation(blurred), *norms])


def expected(height: int, width: int, law: str) -> float:
    """c k of the equation, for independent weights.

    >>> [round(expected(3, 3, law), 3) for law in LAWS]
    [1.857, 1.886, 1.778]
    """
    neighbors = height * (width - 1) + width * (height - 1)
    return neighbors / (height * width) * _difference(law)


def _difference(law: str) -> float:
    """k = E|a - b| / E|a|."""
    if law == "normal":
        return math.sqrt(2)
    if law == "uniform":
        return 4 / 3
    inside = math.erf(CUT / math.sqrt(2))  # Z
    at_0, at_t = (math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (0.0, CUT))
    two = 4 / inside**2 * (math.erf(CUT) / (2 * math.sqrt(math.pi)) - inside * at_t)
    return two / (2 * (at_0 - at_t) / inside)


def draw(rng: Random, shape: tuple[int, ...], law: str) -> NDArray[np.float64]:
    """Weights of that law, in units of its own scale."""
    if law == "uniform":
        return rng.uniform(-1, 1, shape)
    values: NDArray[np.float64] = rng.standard_normal(shape)
    while law == "truncated-normal" and (beyond := np.abs(values) > CUT).any():
        values[beyond] = rng.standard_normal(int(beyond.sum()))
    return values


def smoothed(weight: NDArray[Any], sigma: float) -> NDArray[np.float64]:
    """Filters (..., height, width) convolved with exp(-d^2 / 2 sigma^2), zeros around them.

    >>> smoothed(np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), 0.5).round(2)[1]
    array([0.14, 1.  , 0.14])
    """
    down, right = (
        np.exp(-((np.arange(side)[:, None] - np.arange(side)) ** 2) / (2 * sigma**2))
        for side in weight.shape[-2:]
    )
    blurred: NDArray[np.float64] = down @ weight @ right
    return blurred
