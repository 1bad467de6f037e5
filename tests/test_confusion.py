"""The quadrants against a loop over images."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.measures import confusion, group_accuracy

CATEGORIES = 5


def loop(prediction, label, seen):
    counts = np.zeros((len(prediction), 2, 2, 2))
    for c, answers in enumerate(prediction):
        for answer, true in zip(answers, label, strict=True):
            t, p = int(true not in seen), int(answer not in seen)
            counts[c, t, p, int(answer == true)] += 1
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(axis=(2, 3), keepdims=True)


@settings(deadline=None)
@given(st.data())
def test_it_is_a_loop_over_images_on_both_engines(data) -> None:
    images = data.draw(st.integers(1, 20))
    categories = st.integers(0, CATEGORIES - 1)
    label = np.array(data.draw(st.lists(categories, min_size=images, max_size=images)))
    rows = st.lists(categories, min_size=images, max_size=images)
    prediction = np.array(data.draw(st.lists(rows, min_size=1, max_size=3)))
    seen = np.array(sorted(data.draw(st.sets(categories))), np.int64)
    wanted = loop(prediction, label, set(seen.tolist()))
    np.testing.assert_allclose(confusion(prediction, label, seen, CATEGORIES), wanted)
    tensors = map(torch.from_numpy, (prediction, label, seen))
    np.testing.assert_allclose(confusion(*tensors, CATEGORIES).numpy(), wanted)
    order = data.draw(st.permutations(range(images)))
    np.testing.assert_allclose(
        confusion(prediction[:, order], label[order], seen, CATEGORIES), wanted
    )


def test_what_is_right_is_the_accuracy() -> None:
    random = np.random.default_rng(0)
    label, prediction = random.integers(0, 5, 90), random.integers(0, 5, (2, 90))
    found = confusion(prediction, label, np.array([1, 3]), 5)
    accuracy = group_accuracy(prediction, label, np.isin(label, [1, 3]))
    np.testing.assert_allclose(found[..., 1].sum(axis=2), accuracy[:, 1:])
    np.testing.assert_allclose(found.sum(axis=(2, 3)), 1)


def test_an_answer_that_is_no_category_is_refused() -> None:
    with pytest.raises(ValueError, match="none of 2 categories"):
        confusion(np.array([[2]]), np.array([0]), np.array([0]), 2)
