"""Thresholds of a sweep against curves whose answer is known, and against an independent transcription."""

from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from invtool.measures import (
    SIDES,
    accuracy_threshold_interval,
    falls,
    highest,
    leaves,
    threshold,
    threshold_interval,
)

DEGREES = np.linspace(-90, 90, 13)


def straightforward(left: np.ndarray, magnitude: np.ndarray, identity: float, side: str) -> float:
    """By the definition, in a loop."""
    found = [
        abs(v - identity)
        for v, gone in zip(magnitude, left, strict=True)
        if gone
        and not (side == "below" and v > identity)
        and not (side == "above" and v < identity)
    ]
    return min(found, default=np.nan)


@pytest.mark.parametrize(("side", "wanted"), [("", 30), ("below", 60), ("above", 30)])
def test_a_curve_that_comes_back_is_left_where_it_first_goes(side: str, wanted: float) -> None:
    """A symmetric object: away at 30 to 45 degrees, back at 60, away again at 75."""
    left = np.isin(DEGREES, [-60, 30, 45, 75])
    assert threshold(left, DEGREES, 0.0, side) == wanted


@pytest.mark.parametrize("side", ["", *SIDES])
def test_never_left_is_nan_and_wrong_from_the_start_is_0(side: str) -> None:
    assert np.isnan(threshold(np.zeros(13, bool), DEGREES, 0.0, side))
    assert threshold(np.ones(13, bool), DEGREES, 0.0, side) == 0


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(bool, (3, 7)), st.integers(0, 6), st.sampled_from(["", *SIDES]))
def test_both_engines_do_as_the_definition(left: np.ndarray, own: int, side: str) -> None:
    magnitude = np.linspace(0.25, 3, 7)
    identity = float(magnitude[own])
    wanted = [straightforward(row, magnitude, identity, side) for row in left]
    found = threshold(left, magnitude, identity, side)
    np.testing.assert_array_equal(found, wanted)
    of_torch = threshold(torch.from_numpy(left), torch.from_numpy(magnitude), identity, side)
    np.testing.assert_array_equal(of_torch.numpy(), wanted)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.permutations(range(5)))
def test_the_mean_prediction_does_not_hang_on_the_order_of_images(seed: int, order: list) -> None:
    softmax = np.random.default_rng(seed).dirichlet(np.ones(3), (5, 4))
    wanted = [int(np.argmax([softmax[:, v, a].sum() for a in range(3)])) != 1 for v in range(4)]
    assert leaves(softmax, 1).tolist() == wanted
    assert leaves(softmax[order], 1).tolist() == wanted
    assert leaves(torch.from_numpy(softmax), 1).tolist() == wanted


def test_the_interval_is_that_of_resampled_images(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    softmax = random.dirichlet([3, 2, 1], (6, 5))
    magnitude, resamples = np.array([-2.0, -1, 0, 1, 2]), 41
    found = threshold_interval(softmax, 0, magnitude, 0.0, resamples=resamples, seed=7)
    drawn = np.random.default_rng([7, resamples, 0])
    values = []
    for count in drawn.multinomial(6, [1 / 6] * 6, resamples):
        rows = np.repeat(softmax, count, axis=0).mean(axis=0)
        values.append(straightforward(rows.argmax(1) != 0, magnitude, 0.0, ""))
    ordered = np.sort(np.nan_to_num(values, nan=np.inf))
    wanted = [ordered[int(np.ceil(q * resamples)) - 1] for q in (0.025, 0.975)]
    np.testing.assert_array_equal(np.nan_to_num(found[0], nan=np.inf), wanted)
    monkeypatch.setattr(import_module("invtool.measures.threshold"), "CHUNK", 1)
    parts = threshold_interval(softmax, 0, magnitude, 0.0, resamples=resamples, seed=7)
    np.testing.assert_array_equal(parts, found)


def test_images_that_agree_have_an_interval_of_no_width_and_one_image_none() -> None:
    softmax = np.tile(np.array([[[0.9, 0.1], [0.2, 0.8]]]), (4, 1, 1))
    magnitude = np.array([0.0, 1.0])
    assert threshold_interval(softmax, 0, magnitude, 0.0)[0].tolist() == [1, 1]
    assert np.isnan(threshold_interval(softmax[:1], 0, magnitude, 0.0)).all()
    assert np.isnan(threshold_interval(softmax, 0, magnitude, 0.0, resamples=0)).all()


def test_accuracy_falls_under_a_share_of_its_own() -> None:
    assert falls(np.array([0.72, 0.71999]), np.array(0.8), 0.9).tolist() == [False, True]
    assert falls(np.zeros(2), np.array(0.0), 0.9).tolist() == [True, True]


def test_the_accuracys_interval_draws_its_own_with_it() -> None:
    """Images that are right everywhere or nowhere: the share kept is 1 in every resample."""
    right = np.repeat(np.array([[True], [True], [False]]), 5, axis=1)
    found = accuracy_threshold_interval(right, right[:, 2], DEGREES[4:9], 0.0, 1.0, resamples=50)
    assert np.isnan(found[:, 1]).all()  # beyond the range, but where none is right: 0
    lost = right.copy()
    lost[:, 4] = False
    found = accuracy_threshold_interval(lost, right[:, 2], DEGREES[4:9], 0.0, 0.9, resamples=50)
    assert found[2, 1] == 30
    assert np.isnan(found[1, 1])


def test_of_a_grid_there_is_a_threshold_for_each_second_magnitude() -> None:
    right = np.ones((4, 2, 3), bool)  # (image, magnitude_2, magnitude)
    right[:, 1, 2] = False
    magnitude = np.array([0.0, 1, 2])
    found = accuracy_threshold_interval(right, right[:, 0, 0], magnitude, 0.0, 0.9, resamples=9)
    assert found.shape == (3, 2, 2)
    assert np.isnan(found[0, 0]).all()
    assert found[0, 1].tolist() == [2, 2]


def test_others_are_the_highest_of_the_rest() -> None:
    softmax = np.array([[0.5, 0.1, 0.4, 0.0], [0.1, 0.15, 0.05, 0.7]])
    first, others = highest(softmax, 2)
    assert first.tolist() == [3, 0]
    assert others.tolist() == [0.4, 0.15]
    first, others = highest(softmax, 4)
    assert np.isnan(others).all()
    assert highest(np.full((2, 3), 1 / 3), 2)[0].tolist() == [0, 1]
