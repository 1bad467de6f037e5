r"""Percentile bootstrap over categories (Efron and Tibshirani 1993, sections 8.3 and 13.3).

    s*_b = statistic of the sums  S*_b = sum over categories c of w_bc S_c
    w_b ~ multinomial(C_g; 1/C_g, ..., 1/C_g) over the C_g categories of each group g

Robustness *across categories* is a claim about categories, and images of one category resemble each
other. So categories are drawn, with replacement and with all their images, and not images: what
counts is S_c, a sum over the images of category c. Seen categories are drawn among the seen and
unseen among the unseen, so that a resample has as many of each; those of all are both together.
The interval runs between the quantiles of s*; with fewer than two categories there is none.
Where no claim about categories is made, as of how an answer changes with its image's place, images
are drawn instead (`image_interval`).
"""

import numpy as np
from numpy.typing import NDArray

from invtool.measures.arrays import Array, namespace
from invtool.measures.groups import GROUPS, group_indicator
from invtool.measures.intervals import LEVEL

RESAMPLES = 1000
DRAWS = 1 << 16  # of images, counted at once


def category_weights(
    seen: Array | None, categories: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """How often each resample holds each category, (resample, category); the same for a seed.

    `seen` is (category,), not 0 where the category was transformed in training; None draws from
    all of them alike.

    >>> weights = category_weights(np.array([1, 1, 0, 0, 0]), 5, resamples=4)
    >>> weights[:, :2].sum(axis=1), weights[:, 2:].sum(axis=1)
    (array([2., 2., 2., 2.]), array([3., 3., 3., 3.]))
    """
    random = np.random.default_rng([seed, resamples])
    kind = np.zeros(categories, bool) if seen is None else np.asarray(seen) != 0
    weights = np.zeros((resamples, categories))
    for members in (np.flatnonzero(kind), np.flatnonzero(~kind)):
        if len(members):
            even = np.full(len(members), 1 / len(members))
            weights[:, members] = random.multinomial(len(members), even, size=resamples)
    return weights


def percentile_interval(values: Array, level: float = LEVEL) -> NDArray[np.float64]:
    """Quantiles (1 - level) / 2 and (1 + level) / 2 of resampled values (resample, ...), (..., bound).

    NaN, an undefined statistic, is left out; NaN where more than half of the resamples are.

    >>> percentile_interval(np.linspace(0, 1, 101)).round(3)
    array([0.025, 0.975])
    """
    values = np.asarray(values, np.float64)
    rare = np.isnan(values).mean(axis=0) > 0.5
    filled = np.where(rare, 0.0, values)
    ends = np.nanquantile(filled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.moveaxis(np.where(rare, np.nan, ends), 0, -1)


def accuracy_interval(
    prediction: Array,
    label: Array,
    seen: Array | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Bootstrap interval of `group_accuracy`, (condition, group, bound); arguments as there.

    NaN for a group of fewer than two categories.

    >>> label = np.repeat(np.arange(6), 10)
    >>> prediction = np.where(np.arange(60) % 10 < 8, label, -1)[None]  # 80 % of every category
    >>> accuracy_interval(prediction, label)[0, 0]
    array([0.8, 0.8])
    """
    label, right = np.asarray(label), np.asarray(prediction) == np.asarray(label)
    present, number = np.unique(label, return_inverse=True)
    # Counted, as a (category, image) matrix of members takes gigabytes for ImageNet.
    kind = None if seen is None else np.bincount(number, np.asarray(seen) != 0) > 0
    weights = category_weights(kind, len(present), resamples=resamples, seed=seed)
    groups = group_indicator(kind, len(present), weights, namespace(weights))  # (group, category)
    hits = np.stack([np.bincount(number, row) for row in right], axis=1)  # (category, condition)
    images = np.bincount(number)  # (category,)
    bounds = np.full((len(right), len(GROUPS), 2), np.nan)
    for g, inside in enumerate(groups):
        if inside.sum() > 1:
            drawn = weights * inside
            bounds[:, g] = percentile_interval(drawn @ hits / (drawn @ images)[:, None], level)
    return bounds


def image_interval(
    numerator: Array,
    denominator: Array,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Bootstrap interval of sum(numerator) / sum(denominator) over images, (measure, bound).

    Both are (measure, image); images are drawn with replacement, for all measures alike. NaN for
    fewer than two images.

    >>> image_interval(np.array([[1.0, 1.0, 0.0, 0.0] * 25]), np.ones((1, 100))).round(1)
    array([[0.4, 0.6]])
    """
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    images = top.shape[1]
    if images < 2 or resamples < 1:
        return np.full((len(top), 2), np.nan)
    random = np.random.default_rng([seed, resamples])
    ratio = np.empty((resamples, len(top)))
    at_once = max(1, DRAWS // images)  # a matrix of all takes gigabytes for 50,000 images
    for rows in np.split(ratio, range(at_once, resamples, at_once)):
        drawn = random.integers(images, size=(len(rows), images))
        drawn += images * np.arange(len(rows))[:, None]
        count = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        whole = count @ bottom.T  # (resample, measure)
        rows[:] = np.where(whole > 0, count @ top.T / np.where(whole > 0, whole, 1), np.nan)
    return percentile_interval(ratio, level)
