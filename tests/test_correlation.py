"""r and rho over networks: as scipy has them, and an interval from networks drawn anew."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from invtool.measures import correlation

NUMBERS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=12).filter(
    lambda pairs: all(len(set(column)) > 1 for column in zip(*pairs, strict=True))
)


@given(NUMBERS)
def test_both_are_what_scipy_finds_with_ties_too(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, float).T
    found = correlation(x, y, resamples=2)
    assert found.pearson == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)
    assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)


@given(NUMBERS, st.randoms())
def test_neither_order_nor_scale_matters(pairs: list[tuple[int, int]], random: object) -> None:
    x, y = np.array(pairs, float).T
    order = np.array(random.sample(range(len(x)), len(x)))  # type: ignore[attr-defined]
    found = correlation(x, y, resamples=2)
    moved = correlation(3 * x[order] + 1, y[order] / 7, resamples=2)
    assert moved.pearson == pytest.approx(found.pearson, abs=1e-9)
    assert moved.spearman == pytest.approx(found.spearman, abs=1e-9)


def test_the_interval_is_that_of_scipy_on_the_same_resamples() -> None:
    random = np.random.default_rng(0)
    x = random.random(12).round(1)
    y = x + random.normal(0, 0.3, 12)
    found = correlation(x, y, resamples=400, seed=3)
    weights = np.random.default_rng([3, 400]).multinomial(12, np.full(12, 1 / 12), size=400)
    drawn = [np.repeat(np.arange(12), w) for w in weights]
    for ends, statistic in (
        (found.pearson_interval, stats.pearsonr),
        (found.spearman_interval, stats.spearmanr),
    ):
        values = [statistic(x[i], y[i]).statistic for i in drawn]
        np.testing.assert_allclose(ends, np.quantile(values, [0.025, 0.975]), atol=1e-9)


def test_the_interval_holds_r_about_as_often_as_it_says() -> None:
    """Coverage of the percentile bootstrap for normal pairs, whose correlation is 0.6."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        x, z = random.normal(size=(2, 40))
        low, high = correlation(x, 0.6 * x + 0.8 * z, resamples=300).pearson_interval
        held += low <= 0.6 <= high
    assert 0.87 <= held / 200 <= 0.99


def test_dots_of_one_network_are_drawn_together() -> None:
    x, y = np.random.default_rng(2).random((2, 6))
    alone = correlation(x, y)
    twice = correlation(np.tile(x, 2), np.tile(y, 2), np.tile(np.arange(6), 2))
    assert twice.networks == alone.networks == 6
    assert twice.pearson == pytest.approx(alone.pearson)
    np.testing.assert_allclose(twice.pearson_interval, alone.pearson_interval, atol=1e-9)
    apart = correlation(np.tile(x, 2), np.tile(y, 2))
    width = np.diff(apart.pearson_interval), np.diff(alone.pearson_interval)
    assert width[0] < width[1]


def test_fewer_than_four_networks_have_no_interval() -> None:
    for count, known in ((3, False), (4, True)):
        found = correlation(np.arange(count), np.arange(count) ** 2)
        assert np.isfinite(found.pearson_interval).all() == known
        assert np.isfinite(found.spearman)
    many_dots = correlation(np.arange(9), np.arange(9) ** 2, np.arange(9) % 3)
    assert np.isnan(many_dots.pearson_interval).all()


def test_what_does_not_vary_has_no_correlation() -> None:
    found = correlation(np.full(6, 0.3), np.arange(6))
    assert np.isnan([found.pearson, found.spearman, *found.pearson_interval]).all()
    assert np.isnan(correlation(np.array([]), np.array([])).pearson)
    assert np.isnan(correlation(np.array([1.0]), np.array([2.0])).spearman)


def test_undefined_dots_are_left_out() -> None:
    x, y = np.array([1, 2, np.nan, 4, 5, 7]), np.array([1, 3, 2, np.nan, 4, 6])
    found = correlation(x, y)
    assert found.networks == 4
    assert found.pearson == correlation(x[[0, 1, 4, 5]], y[[0, 1, 4, 5]]).pearson


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="two numbers a dot are wanted"):
        correlation(np.arange(3), np.arange(4))
