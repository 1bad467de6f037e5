"""Uniformity of positions and sizes: scipy's numbers, to any depth, and corrections for many tests."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from invtool.measures import (
    corrected_log10_p,
    either_log10_p,
    grid_uniformity,
    kolmogorov_log10_p,
    placement,
    uniformity,
)
from invtool.measures.corrections import METHODS


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 50, 140, 141, 500, 5000])
def test_p_is_scipys_wherever_scipy_has_one(n: int) -> None:
    d = np.append(np.linspace(0.4 / n, min(1 - 1e-9, (300 / n) ** 0.5), 301), [0.25, 0.5])
    wanted = stats.kstwo.sf(d, n)
    found = 10 ** kolmogorov_log10_p(d, np.full(len(d), n))
    off = np.abs(found - wanted) / np.where(wanted > 0, wanted, 1)
    assert off.max() < (2e-6 if n <= 140 else 2e-3)
    assert off[wanted < 0.1].max(initial=0) < 3e-5
    assert off[wanted < 1e-4].max(initial=0) < 1e-6


@pytest.mark.parametrize(("d", "n"), [(0.9, 4000), (0.5, 100_000), (1.0, 700)])
def test_a_p_that_no_float_holds_has_a_logarithm(d: float, n: int) -> None:
    """By Smirnov's sum, term by term, with scipy's gamma function."""
    (found,) = kolmogorov_log10_p(np.array([d]), np.array([n]))
    d = min(d, 1 - 2**-53)
    j = np.arange(int(n * (1 - d)) + 1)
    chosen = special.gammaln(n + 1) - special.gammaln(j + 1) - special.gammaln(n - j + 1)
    with np.errstate(divide="ignore"):
        terms = chosen + special.xlog1py(n - j, -d - j / n) + special.xlogy(j - 1, d + j / n)
    wanted = (np.log(2 * d) + special.logsumexp(terms)) / np.log(10)
    assert found == pytest.approx(wanted, rel=1e-9)
    assert np.isfinite(found)
    assert 10**found == 0


def test_the_statistic_is_scipys_in_each_category() -> None:
    rng = np.random.default_rng(0)
    value, category = rng.beta(2, 1, 400), rng.integers(0, 5, 400)
    found = uniformity(value, category, 6)
    for c in range(5):
        wanted = stats.kstest(value[category == c], "uniform")
        assert found.statistic[c] == pytest.approx(wanted.statistic, abs=1e-12)
        assert 10 ** found.log10_p[c] == pytest.approx(wanted.pvalue, rel=1e-5)
    assert found.number.tolist() == [*np.bincount(category).tolist(), 0]
    assert np.isnan(found.statistic[5])


def test_all_in_one_place_is_as_far_as_that_place_allows() -> None:
    found = uniformity(np.repeat([0.5, 0.9, 1.0], 10), np.repeat([0, 1, 2], 10), 3)
    np.testing.assert_allclose(found.statistic, [0.5, 0.9, 1.0])
    even = uniformity((np.arange(10) + 0.5) / 10, np.zeros(10, int), 1)
    assert even.statistic[0] == pytest.approx(0.05)
    assert even.log10_p[0] == 0


def test_one_value_is_not_tested_and_nan_does_not_count() -> None:
    found = uniformity(np.array([0.1, 0.2, np.nan, 0.3]), np.array([0, 1, 1, 1]), 3)
    assert np.isnan(found.log10_p).tolist() == [True, False, True]
    assert found.number.tolist() == [1, 2, 0]
    assert np.isnan(uniformity(np.zeros(0), np.zeros(0, int), 1).statistic).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_neither_order_nor_mirror_changes_anything(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    value, category = rng.integers(0, 9, n) / 8, rng.integers(0, 3, n)
    found, order = uniformity(value, category, 3), rng.permutation(n)
    again = uniformity(value[order], category[order], 3)
    mirrored = uniformity(1 - value, category, 3)
    for one, other, mirror in zip(found, again, mirrored, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, mirror, atol=1e-9)


def test_p_of_uniform_values_is_uniform() -> None:
    """Were it not, 1e-10 would mean nothing."""
    rng = np.random.default_rng(0)
    category = np.repeat(np.arange(1000), 30)
    log10_p = [uniformity(rng.random(30_000), category, 1000).log10_p for _ in range(2)]
    assert stats.kstest(10 ** log10_p[0], "uniform").pvalue > 0.01
    both = 10 ** either_log10_p(np.stack(log10_p))
    assert np.mean(both < 0.1) == pytest.approx(0.1, abs=0.03)


def test_objects_that_stand_anywhere_are_central_but_rightly_placed() -> None:
    """Large objects, each place where they fit as likely as any other."""
    rng = np.random.default_rng(0)
    extent = rng.uniform(0.6, 0.9, 2000)
    edge = rng.random(2000) * (1 - extent)
    one = np.zeros(2000, int)
    assert uniformity(edge + extent / 2, one, 1).log10_p[0] < -100
    assert uniformity(placement(edge, extent), one, 1).log10_p[0] > -2


@pytest.mark.parametrize("axes", [1, 2])
def test_the_tail_of_chi_square_is_scipys_and_goes_on_below_it(axes: int) -> None:
    rng = np.random.default_rng(0)
    for n, power in ((200, 1), (200, 2), (1000, 3), (9000, 9)):
        value = rng.random((n, axes)) ** power
        found = grid_uniformity(value, np.zeros(n, int), 1)
        wanted = stats.chi2.logsf(found.statistic[0], 5**axes - 1) / np.log(10)
        if np.isfinite(wanted):
            assert found.log10_p[0] == pytest.approx(wanted, rel=1e-9)
        else:
            assert -np.inf < found.log10_p[0] < -300
    even = (np.arange(200) % 25)[:, None] // [[1, 5]] % 5 / 5 + 0.1
    assert grid_uniformity(even, np.zeros(200, int), 1).log10_p[0] == pytest.approx(0, abs=1e-12)


def test_a_diagonal_is_seen_on_the_grid_alone() -> None:
    v = np.random.default_rng(0).random(500)
    one, diagonal = np.zeros(500, int), np.stack([v, v], -1)
    assert uniformity(v, one, 1).log10_p[0] > -2
    assert grid_uniformity(diagonal, one, 1).log10_p[0] < -100


def test_a_grid_of_too_few_values_says_nothing() -> None:
    value = np.full((249, 2), 0.5)
    found = grid_uniformity(value, np.repeat([0, 1], [124, 125]), 3)
    assert np.isnan(found.log10_p).tolist() == [True, False, True]
    value[-1, 0] = np.nan
    assert np.isnan(grid_uniformity(value, np.repeat([0, 1], [124, 125]), 2).log10_p).all()


def test_placement_is_nan_only_where_there_is_one_place() -> None:
    found = placement(np.array([0.0, 0.0, 0.25, 1e-12]), np.array([1.0, 0.99, 0.5, 1 - 1e-12]))
    np.testing.assert_array_equal(found, [np.nan, 0, 0.5, np.nan])


@pytest.mark.parametrize("method", METHODS)
def test_corrections_are_those_of_their_definitions(method: str) -> None:
    p = np.random.default_rng(1).random(30) ** 6
    p[[3, 9]], p[5] = np.nan, 1.0
    known = p[~np.isnan(p)]
    ranks, m = stats.rankdata(known), len(known)
    wanted = {
        "none": known,
        "bonferroni": np.minimum(m * known, 1),
        "holm": np.array(
            [min(1, max((m - r + 1) * q for q, r in zip(known, ranks, strict=True) if q <= own))
             for own in known]
        ),
        "fdr": stats.false_discovery_control(known),
    }[method]  # fmt: skip
    found = corrected_log10_p(np.log10(p), method)
    np.testing.assert_allclose(10 ** found[~np.isnan(p)], wanted, rtol=1e-12)
    assert np.isnan(found[[3, 9]]).all()


def test_corrections_reach_below_what_a_float_holds() -> None:
    found = corrected_log10_p(np.array([-500.0, -400.0]))
    np.testing.assert_allclose(found, [-500 + np.log10(2), -400])
    assert np.isnan(corrected_log10_p(np.array([np.nan]))).all()
    with pytest.raises(ValueError, match="holm, bonferroni, fdr, none are wanted"):
        corrected_log10_p(np.zeros(1), "sidak")


def test_the_measures_do_without_scipy() -> None:
    code = """
import sys, numpy as np
from invtool.measures import uniformity
uniformity(np.linspace(0, 1, 200) ** 2, np.zeros(200, int), 1)
assert "scipy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
