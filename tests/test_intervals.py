"""Intervals: against statsmodels' formula transcribed, by coverage, and where they are undefined."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from invtool.measures.bootstrap import accuracy_interval, category_weights, percentile_interval
from invtool.measures.intervals import wilson_interval


def transcribed(right: int, total: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The roots of (p - r/n)^2 = z^2 p (1 - p) / n, Wilson's own derivation."""
    p = right / total
    a, b, c = 1 + z**2 / total, -2 * p - z**2 / total, p**2
    root = math.sqrt(max(b * b - 4 * a * c, 0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_solves_its_equation(pair: tuple[int, int]) -> None:
    low, high = wilson_interval(np.array(pair[0]), np.array(pair[1]))
    assert (low, high) == pytest.approx(transcribed(*pair), abs=1e-9)
    assert 0 <= low <= pair[0] / pair[1] + 1e-12 and pair[0] / pair[1] - 1e-12 <= high <= 1


def test_wilson_is_the_same_on_torch() -> None:
    right, total = np.array([0, 3, 10]), np.array([10, 10, 10])
    there = wilson_interval(torch.from_numpy(right), torch.from_numpy(total))
    np.testing.assert_allclose(there.numpy(), wilson_interval(right, total), atol=1e-12)


def test_a_level_is_a_share() -> None:
    with pytest.raises(ValueError, match="level 95"):
        wilson_interval(np.array(1), np.array(2), level=95)


def test_resamples_keep_the_number_of_seen_categories() -> None:
    seen = np.arange(20) < 7
    weights = category_weights(seen, 20, resamples=500, seed=3)
    assert (weights[:, :7].sum(axis=1) == 7).all() and (weights[:, 7:].sum(axis=1) == 13).all()
    assert abs(weights.mean() - 1) < 1e-12
    assert weights[:, 0].var() == pytest.approx(6 / 7, rel=0.25)  # of a multinomial count
    np.testing.assert_array_equal(weights, category_weights(seen, 20, resamples=500, seed=3))
    assert (weights != category_weights(seen, 20, resamples=500, seed=4)).any()


def test_it_covers_what_other_categories_would_give() -> None:
    """Categories differ: the interval over them holds the truth 95 times in 100, images' do not."""
    random = np.random.default_rng(0)
    held = narrow = 0
    for trial in range(200):
        chance = random.beta(2, 2, 40)  # of each of 40 categories; their mean is 1/2
        label = np.repeat(np.arange(40), 25)
        right = random.random(1000) < chance[label]
        low, high = accuracy_interval(
            np.where(right, label, -1)[None], label, resamples=300, seed=trial
        )[0, 0]
        held += low <= 0.5 <= high
        below, above = wilson_interval(right.sum(), np.array(1000))
        narrow += below <= 0.5 <= above
    assert held >= 180
    assert narrow < 160


def test_groups_and_conditions() -> None:
    label = np.repeat(np.arange(6), 4)
    seen = label < 3
    prediction = np.stack([label, np.where(seen, label, 0)])
    found = accuracy_interval(prediction, label, seen)
    np.testing.assert_array_equal(found[0], np.ones((3, 2)))
    np.testing.assert_array_equal(found[1, 1:], [[1, 1], [0, 0]])
    np.testing.assert_array_equal(found[1, 0], [0.5, 0.5])  # as many seen ones in each resample


def test_one_category_has_no_interval() -> None:
    label = np.array([0, 0, 1, 2])
    found = accuracy_interval(label[None], label, label == 0)
    assert np.isnan(found[0, 1]).all() and not np.isnan(found[0, [0, 2]]).any()
    unknown = accuracy_interval(label[None], label)
    assert np.isnan(unknown[0, 1:]).all() and not np.isnan(unknown[0, 0]).any()


def test_the_order_of_images_does_not_matter() -> None:
    random = np.random.default_rng(1)
    label, order = np.repeat(np.arange(8), 5), random.permutation(40)
    prediction = random.integers(0, 8, (2, 40))
    seen = label % 2 == 0
    np.testing.assert_allclose(
        accuracy_interval(prediction, label, seen),
        accuracy_interval(prediction[:, order], label[order], seen[order]),
    )


def test_undefined_resamples_are_left_out() -> None:
    values = np.array([[0.0, np.nan], [1.0, np.nan], [np.nan, 1.0]])
    np.testing.assert_allclose(percentile_interval(values)[0], [0.025, 0.975])
    assert np.isnan(percentile_interval(values)[1]).all()
