"""Votes against a loop over the crops, and crops against what they are cut from."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.measures import majority
from invtool.transforms.cropping import crop, moved


def elected(answers, probability):
    """The rules, one after the other, of one image: answers (crop,), probability (crop, class)."""
    counted = Counter(answers)
    first = [k for k in counted if counted[k] == max(counted.values())]
    total = {k: sum(p[k] for p in probability) for k in first}
    return min(k for k in first if total[k] == max(total.values()))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(1, 6), st.integers(1, 5), st.integers(0, 999))
def test_the_vote_is_a_loop_over_the_crops(images, crops, classes, seed):
    probability = np.random.default_rng(seed).integers(0, 4, (images, crops, classes)) / 4.0
    answers = probability.argmax(2)
    votes = (answers[:, :, None] == np.arange(classes)).sum(1)
    expected = [elected(*pair) for pair in zip(answers.tolist(), probability.tolist(), strict=True)]
    total = probability.sum(1)
    assert majority(votes, total).tolist() == expected
    assert majority(torch.tensor(votes), torch.tensor(total)).tolist() == expected


def test_sums_that_rounding_could_reorder_are_equal():
    votes, total = np.array([[0, 1, 1]]), np.array([[9.0, 1.0, 1.0 + 1e-6]])
    assert majority(votes, total).tolist() == [2]
    assert majority(votes, total, rounding=1e-4).tolist() == [1]


def test_votes_and_probabilities_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="not of the same images"):
        majority(np.zeros((1, 2)), np.zeros((1, 3)))


def crops(image, size):
    """Ten crops of each of a hundred images that look the same."""
    return torch.cat([crop(image.expand(100, -1, -1, -1), size, number=n) for n in range(10)])


def test_every_window_of_a_larger_image_is_drawn_alike_often():
    image = torch.arange(12.0 * 10).view(1, 1, 12, 10)
    drawn = Counter(tuple(one.flatten().tolist()) for one in crops(image, (10, 8)))
    windows = {
        tuple(image[0, 0, top : top + 10, left : left + 8].flatten().tolist())
        for top in range(3)
        for left in range(3)
    }
    assert set(drawn) == windows
    assert max(abs(count - 1000 / 9) for count in drawn.values()) < 40  # four standard deviations


def test_an_image_without_room_gets_an_eighth_of_its_edge_on_each_side():
    image = torch.arange(32.0 * 40).view(1, 1, 32, 40)
    wide = np.pad(image[0, 0].numpy(), ((4, 4), (0, 0)), mode="edge")  # only its height lacks room
    windows = {
        wide[top : top + 32, left : left + 32].tobytes() for top in range(9) for left in range(9)
    }
    drawn = {one.numpy().tobytes() for one in crops(image, (32, 32))}
    assert drawn == windows


def test_a_crop_belongs_to_seed_image_and_number_whatever_comes_with_it():
    images = torch.rand(9, 2, 16, 16)
    for number in (0, 1, 7):
        whole = crop(images, (16, 16), number=number, seed=3)
        part = crop(images[4:6], (16, 16), number=number, seed=3, index=torch.tensor([4, 5]))
        assert torch.equal(whole[4:6], part)
    assert not torch.equal(whole, crop(images, (16, 16), number=8, seed=3))
    assert not torch.equal(whole, crop(images, (16, 16), number=7, seed=4))


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="at least 9 x 9"):
        crop(torch.zeros(1, 1, 8, 9), (9, 9))


def test_an_image_of_one_pixel_stays_itself_when_moved():
    assert moved(torch.full((1, 1, 1, 1), 7.0)).flatten().tolist() == [7.0]
