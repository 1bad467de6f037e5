"""Intervals and test of the median of I_k: against plain transcriptions, by coverage, on known data."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from invtool.measures import (
    CategorySums,
    category_weights,
    defined_median,
    invariance,
    median_spread,
    spread_units,
)
from invtool.measures.medians import MedianSpread

IMAGES, UNITS, CATEGORIES = 60, 7, 6


def responses(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    clean, moved = (
        np.maximum(random.standard_normal((IMAGES, UNITS)), 0).astype(np.float32) for _ in range(2)
    )
    clean[:, 0] = moved[:, 0] = 0  # a silent unit
    return clean, moved, random.permutation(np.arange(IMAGES) % CATEGORIES)


def sums(seed: int = 0, tau: float = 0.1) -> CategorySums:
    clean, moved, category = responses(seed)
    made = CategorySums(np.maximum(clean, moved).max(axis=0), tau=tau, categories=CATEGORIES)
    made.update(clean, moved, category)
    return made


@pytest.mark.parametrize("tau", [0.0, 0.1, 0.5])
def test_sums_of_categories_are_a_loop_over_images(tau: float) -> None:
    clean, moved, category = responses()
    total, count = np.zeros((CATEGORIES, UNITS)), np.zeros((CATEGORIES, UNITS))
    top = np.maximum(clean, moved).max(axis=0)
    for a, b, c in zip(clean, moved, category, strict=True):
        for k in range(UNITS):
            if max(a[k], b[k]) > np.float32(tau) * top[k] and max(a[k], b[k]) > 0:
                total[c, k] += 1 - abs(b[k] - a[k]) / (b[k] + a[k])
                count[c, k] += 1
    made = sums(tau=tau)
    np.testing.assert_allclose(made.total, total, atol=1e-5)
    np.testing.assert_array_equal(made.count, count)


def test_all_categories_together_are_the_invariance() -> None:
    clean, moved, category = responses()
    made, seen = sums(), category < 3
    wanted = invariance(clean, moved, tau=0.1, seen=seen)
    found = median_spread(made.total, made.count, np.arange(CATEGORIES) < 3, resamples=9)
    np.testing.assert_allclose(found.median, np.nanmedian(wanted, axis=1), atol=1e-6)
    assert found.difference == pytest.approx(found.median[1] - found.median[2])


@settings(deadline=None, max_examples=20)
@given(st.integers(1, IMAGES - 1), st.booleans(), st.randoms())
def test_batches_order_merging_and_engine_do_not_matter(cut, on_torch, random) -> None:
    clean, moved, category = responses()
    order = np.array(random.sample(range(IMAGES), IMAGES))
    clean, moved, category = clean[order], moved[order], category[order]
    peak = np.maximum(clean, moved).max(axis=0)
    if on_torch:
        clean, moved, peak = map(torch.from_numpy, (clean, moved, peak))
    parts = [CategorySums(peak, tau=0.1, categories=CATEGORIES) for _ in range(2)]
    for part, rows in zip(parts, (slice(0, cut), slice(cut, None)), strict=True):
        part.update(clean[rows], moved[rows], category[rows])
    parts[0].merge(parts[1])
    np.testing.assert_allclose(parts[0].total, sums().total, atol=1e-5)
    np.testing.assert_array_equal(parts[0].count, sums().count)


def test_the_interval_is_a_loop_over_resamples() -> None:
    made, seen = sums(), np.arange(CATEGORIES) < 3
    found = median_spread(made.total, made.count, seen, resamples=50, seed=4)
    weights = category_weights(seen, CATEGORIES, resamples=50, seed=4)
    values = []
    for w in weights:
        with np.errstate(invalid="ignore"):
            drawn = [(w * g) @ made.total / ((w * g) @ made.count) for g in (seen, ~seen)]
        values.append([np.nanmedian(d) for d in drawn])
    bounds = np.quantile(values, [0.025, 0.975], axis=0).T
    np.testing.assert_allclose(found.interval[1:], bounds)
    apart = np.quantile(np.subtract(*np.transpose(values)), [0.025, 0.975])
    np.testing.assert_allclose(found.difference_interval, apart)


def synthetic(random: np.random.Generator, apart: float) -> MedianSpread:
    """20 categories of which 8 are seen; I_k varies among categories, and by `apart` with seeing."""
    seen = random.permutation(20) < 8
    count = random.integers(5, 30, (20, 15)).astype(float)
    mean = 0.5 + 0.1 * random.standard_normal((20, 1)) + apart * seen[:, None]
    return median_spread(count * mean, count, seen, resamples=199, seed=int(random.integers(1e9)))


def test_p_is_uniform_where_nothing_differs_and_small_where_it_does() -> None:
    random = np.random.default_rng(0)
    p = np.array([synthetic(random, 0).coincide for _ in range(300)])
    for level in (0.05, 0.25, 0.5, 0.75):
        assert abs((p <= level).mean() - level) < 0.09
    assert np.median([synthetic(random, 0.2).coincide for _ in range(20)]) < 0.02


def test_the_interval_of_the_difference_covers_it() -> None:
    random = np.random.default_rng(1)
    found = [synthetic(random, 0.1).difference_interval for _ in range(100)]
    assert sum(low <= 0.1 <= high for low, high in found) >= 85


def test_what_is_undefined_is_nan() -> None:
    made = sums()
    unknown = median_spread(made.total, made.count, None, resamples=20)
    assert np.isnan(unknown.median[1:]).all() and not np.isnan(unknown.interval[0]).any()
    assert np.isnan([unknown.difference, unknown.coincide, *unknown.difference_interval]).all()
    one = median_spread(made.total, made.count, np.arange(CATEGORIES) < 1, resamples=20)
    assert np.isnan(one.interval[1]).all() and not np.isnan(one.median[1])
    none = median_spread(made.total, made.count, np.arange(CATEGORIES) < 3, resamples=0)
    assert np.isnan(none.interval).all() and np.isnan(none.coincide)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=1, max_size=9))
def test_the_median_is_numpys(values: list[float]) -> None:
    held = [v for v in values if v == v]
    found = float(defined_median(np.array(values)))
    assert found == pytest.approx(np.median(held)) if held else np.isnan(found)


@given(st.integers(1, 5000), st.integers(1, 300))
def test_sampled_units_are_spread(units: int, most: int) -> None:
    found = spread_units(units, most)
    assert len(found) == min(units, most) and len(set(found)) == len(found)
    assert found[0] == 0 and found[-1] < units and np.ptp(np.diff(found, append=units)) <= 1
