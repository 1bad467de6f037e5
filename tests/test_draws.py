"""A step draws a category, then one of its images; a seen one is transformed with chance 1/2."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.training.draws import Draws

COUNT = 40_000


def test_categories_are_drawn_alike_and_images_within_them() -> None:
    label = np.array([2, 0, 2, 2, 0, 3])  # of category 1 there is no image
    image, _ = Draws(label, np.zeros(4, bool), seed=5).epoch(0, COUNT)
    share = np.bincount(image, minlength=6) / COUNT
    wanted = np.array([1 / 9, 1 / 6, 1 / 9, 1 / 9, 1 / 6, 1 / 3])
    assert abs(share - wanted).max() < 5 * np.sqrt(0.25 / COUNT)


def test_half_of_the_seen_and_none_of_the_unseen_are_transformed() -> None:
    label = np.arange(40) % 4
    seen = np.array([True, False, True, False])
    image, transformed = Draws(label, seen, seed=1).epoch(3, COUNT)
    shown = seen[label[image]]
    assert not transformed[~shown].any()
    assert abs(transformed[shown].mean() - 0.5) < 5 * np.sqrt(0.25 / shown.sum())
    # The coin knows nothing of the image.
    rate = np.array([transformed[image == i].mean() for i in range(0, 40, 2)])
    assert abs(rate - 0.5).max() < 0.08


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 10_000), st.integers(1, 300))
def test_draws_are_a_function_of_seed_and_epoch(seed: int, epoch: int, count: int) -> None:
    label, seen = np.arange(12) % 3, np.array([True, False, True])
    first, again = (Draws(label, seen, seed).epoch(epoch, count) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first[0].min() >= 0 and first[0].max() < 12


@pytest.mark.parametrize("seed", [0, 2**62, 2**63 - 1, 2**63, 2**64 - 2])
def test_neighbouring_seeds_and_epochs_differ(seed: int) -> None:
    label, seen = np.arange(100) % 10, np.ones(10, bool)
    image = Draws(label, seen, seed).epoch(0, 200)[0]
    assert (image != Draws(label, seen, seed + 1).epoch(0, 200)[0]).mean() > 0.9
    assert (image != Draws(label, seen, seed).epoch(1, 200)[0]).mean() > 0.9


def test_the_seen_sets_size_does_not_change_which_images_are_drawn() -> None:
    label = np.arange(50) % 5
    few, many = (Draws(label, np.arange(5) < k, seed=2).epoch(0, 500) for k in (1, 4))
    np.testing.assert_array_equal(few[0], many[0])
    assert (few[1] <= many[1]).all()  # nested, too
