"""Accuracy by condition and group: by hand, by an own transcription, and where a group is empty."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.measures import GROUPS, group_accuracy, group_indicator


def by_counting(prediction, label, seen):
    """The definition, image by image."""
    table = np.full((len(prediction), 3), np.nan)
    for c, answers in enumerate(prediction):
        for g, members in enumerate(
            [range(len(label)), np.flatnonzero(seen), np.flatnonzero(~seen)]
        ):
            if len(members):
                table[c, g] = sum(int(answers[i] == label[i]) for i in members) / len(members)
    return table


def test_the_groups_are_all_seen_and_unseen():
    assert GROUPS == ("all", "seen", "unseen")


def test_within_and_across_category_accuracy_by_hand():
    label, seen = np.array([0, 0, 1, 1, 1]), np.array([1, 1, 0, 0, 0], dtype=np.uint8)
    prediction = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]])
    assert group_accuracy(prediction, label, seen) == pytest.approx(
        np.array([[1, 1, 1], [2 / 5, 1 / 2, 1 / 3]])
    )


@pytest.mark.parametrize(("seen", "empty"), [([1, 1], 2), ([0, 0], 1)])
def test_an_empty_group_is_nan_and_never_0(seen, empty):
    found = group_accuracy(np.array([[0, 0]]), np.array([0, 1]), np.array(seen))
    assert np.flatnonzero(np.isnan(found[0])).tolist() == [empty]


def test_without_seen_only_all_images_are_known():
    found = group_accuracy(np.array([[0, 0]]), np.array([0, 1]))
    np.testing.assert_array_equal(found, [[0.5, np.nan, np.nan]])


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_equals_counting_on_numpy_and_on_torch(seed, images):
    rng = np.random.default_rng(seed)
    prediction = rng.integers(0, 3, (2, images))
    label, seen = rng.integers(0, 3, images), rng.random(images) < 0.5
    wanted = by_counting(prediction, label, seen)
    np.testing.assert_allclose(group_accuracy(prediction, label, seen), wanted, atol=1e-12)
    tensors = map(torch.from_numpy, (prediction, label, seen))
    np.testing.assert_allclose(group_accuracy(*tensors).numpy(), wanted, atol=1e-12)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit 3 labels"):
        group_accuracy(np.zeros((2, 4), int), np.zeros(3, int))
    with pytest.raises(ValueError, match="seen has shape"):
        group_indicator(np.zeros(2), 3, np.zeros(1), np)
