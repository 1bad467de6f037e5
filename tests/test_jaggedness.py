"""Measures of how an answer changes with the place of its image, against transcriptions by loops."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.measures import (
    absolute_change,
    changes,
    image_interval,
    jaggedness,
    nonshiftability,
    shift_consistency,
    steps,
)

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(0, 10**6))


def some(images, positions, seed):
    """Answers among three classes, and which positions there are: an image's first ones."""
    random = np.random.default_rng(seed)
    count = random.integers(0, positions + 1, images)
    return random.integers(0, 3, (images, positions)), np.arange(positions) < count[:, None]


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_counts_of_changes(sizes):
    answer, shown = some(*sizes)
    for i, (row, there) in enumerate(zip(answer, shown, strict=True)):
        held = row[there]
        expected = sum(int(a != b) for a, b in pairwise(held))
        inside = sum(int((a == 1) != (b == 1)) for a, b in pairwise(held))
        assert changes(answer, shown)[i] == expected
        assert jaggedness(answer == 1, shown)[i] == inside
        assert steps(shown)[i] == max(len(held) - 1, 0)


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_consistency_is_the_chance_of_all_pairs(sizes):
    answer, shown = some(*sizes)
    for row, there, found in zip(answer, shown, shift_consistency(answer, shown), strict=True):
        held = row[there]
        expected = np.mean([[a == b for a in held] for b in held]) if len(held) else np.nan
        assert found == pytest.approx(expected, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_absolute_change_is_a_mean_over_steps(sizes):
    answer, shown = some(*sizes)
    probability = np.where(shown, answer / 3, np.nan)
    for row, there, found in zip(answer, shown, absolute_change(probability), strict=True):
        held = row[there] / 3
        expected = np.mean([abs(a - b) for a, b in pairwise(held)]) if len(held) > 1 else np.nan
        assert found == pytest.approx(expected, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(5)))
def test_no_measure_depends_on_the_order_of_images_and_all_on_none_of_direction(seed, order):
    answer, _ = some(5, 8, seed)
    for measure in (changes, jaggedness, shift_consistency, absolute_change):
        assert np.allclose(measure(answer)[order], measure(answer[order]))
        assert np.allclose(measure(answer[:, ::-1]), measure(answer))


def test_an_image_that_never_changes_and_one_that_always_does():
    answer = np.array([[4, 4, 4, 4, 4], [0, 1, 0, 1, 0]])
    assert jaggedness(answer == 0).tolist() == [0, 4]
    assert shift_consistency(answer).tolist() == [1, 13 / 25]
    assert absolute_change(answer).tolist() == [0, 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 7), st.integers(1, 5), st.integers(0, 10**6))
def test_nonshiftability_against_loops(images, positions, channels, seed):
    random = np.random.default_rng(seed)
    sums = random.normal(size=(images, positions, channels)) + random.integers(-1, 3)
    highest = random.random((images, channels)) - 0.1
    found = nonshiftability(sums, highest, share=0.3, threshold=0.4)
    for i in range(images):
        for c in range(channels):
            series = sums[i, :, c]
            changed = sum(abs(b - a) > 0.3 * abs(series.mean()) for a, b in pairwise(series))
            strong = highest[i, c] > max(0, 0.4 * highest[i].max())
            assert found[i, c] == pytest.approx(changed if strong else np.nan, nan_ok=True)


def test_a_constant_sum_is_shiftable_and_silent_maps_do_not_count():
    sums = np.ones((1, 9, 3)) * [5.0, 0.0, -3.0]
    assert nonshiftability(sums).tolist() == [[0, 0, 0]]
    assert np.isnan(nonshiftability(sums, np.array([[1.0, 0.0, -1.0]]))[0, 1:]).all()


def test_the_bootstrap_over_images():
    random = np.random.default_rng(0)
    value = random.random((2, 400))
    found = image_interval(value, np.ones_like(value))
    error = 1.96 * value.std(1) / 20
    assert found == pytest.approx(
        np.stack([value.mean(1) - error, value.mean(1) + error], 1), abs=3e-3
    )
    assert (image_interval(value, np.ones_like(value)) == found).all()
    assert (image_interval(value, np.ones_like(value), seed=1) != found).any()
    assert np.isnan(image_interval(value[:, :1], np.ones((2, 1)))).all()
    assert np.isnan(image_interval(value, np.zeros_like(value))).all()
    same = image_interval(np.full((1, 30), 2.0), np.full((1, 30), 4.0))
    assert same.tolist() == [[0.5, 0.5]]
