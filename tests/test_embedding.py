"""What is laid around an object, against a transcription; and objects at random places."""

from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d

from invtool.transforms import embed, parse
from invtool.transforms.embedding import plane_around, shrunk, window
from invtool.transforms.inpainting import inpainted


def transcription(image, margin):
    """Rounds of normalized convolution with a mask, on a plane whose border nothing reaches."""
    far = margin + 13
    known = np.pad(np.ones_like(image), far)
    plane = np.pad(image, far)
    taps = np.array([comb(12, tap) for tap in range(13)], float)
    kernel = np.outer(taps, taps)
    inner = (slice(13, -13),) * 2
    while not known[inner].all():
        total, weight = (convolve2d(x, kernel, "same") for x in (plane * known, known))
        new = (known == 0) & (weight > 0)
        plane = np.where(new, total / np.where(new, weight, 1), plane)
        known = np.where(new, 1, known)
    return plane[inner]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 20), st.integers(0, 99))
def test_inpainting_is_repeated_normalized_convolution(height, width, margin, seed):
    image = np.random.default_rng(seed).random((height, width)) * 255
    filled = inpainted(torch.tensor(image)[None, None], margin)[0, 0].numpy()
    assert np.abs(filled - transcription(image, margin)).max() < 1e-9


def test_far_from_the_object_too_where_few_modes_of_its_border_are_left():
    image = np.random.default_rng(0).random((17, 8)) * 255
    wanted = transcription(image, 94)
    for dtype, most in ((torch.float64, 1e-9), (torch.float32, 1e-3)):
        filled = inpainted(torch.tensor(image, dtype=dtype)[None, None], 94)[0, 0].numpy()
        assert np.abs(filled - wanted).max() < most


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(0, 19), st.floats(-3, 3))
def test_inpainting_is_linear_keeps_constants_and_the_object(size, margin, factor):
    image, other = torch.rand(2, 1, 2, size, size + 3, dtype=torch.float64)
    filled = inpainted(image, margin)
    assert torch.allclose(
        inpainted(image + factor * other, margin), filled + factor * inpainted(other, margin)
    )
    assert torch.allclose(inpainted(torch.ones_like(image), margin), torch.tensor(1.0).double())
    assert torch.equal(window(filled, margin, margin, image.shape[2:]), image)


def test_a_wider_plane_holds_the_narrower_one():
    image = torch.rand(2, 3, 20, 26, dtype=torch.float64)
    wide, narrow = inpainted(image, 31), inpainted(image, 8)
    assert torch.allclose(wide[..., 23:-23, 23:-23], narrow)


def test_an_image_is_filled_alike_to_the_bit_in_any_batch():
    image = torch.rand(7, 3, 33, 40) * 255
    alone = torch.cat([inpainted(part, 30) for part in image.split(1)])
    assert torch.equal(inpainted(image, 30), alone)


def test_fills():
    image = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    edge, mean, black, color = (
        plane_around(image, 1, fill, torch.tensor([9.0]))[0, 0].tolist()
        for fill in ("edge", "mean", "black", "color")
    )
    assert edge[0] == [1, 1, 2, 2]
    assert edge[3] == [3, 3, 6, 6]
    assert mean[0] == [3, 3, 3, 3]
    assert black[0] == [0, 0, 0, 0]
    assert color[2] == [9, 3, 6, 9]
    with pytest.raises(ValueError, match="no fill 'red'"):
        plane_around(image, 1, "red")
    with pytest.raises(ValueError, match="margin is a number of pixels from 0"):
        inpainted(image, -1)


@pytest.mark.parametrize("fill", ["inpaint", "edge", "mean"])
def test_a_large_image_is_filled_as_a_small_one(monkeypatch, fill):
    image = torch.rand(6, 3, 40, 40, dtype=torch.float64) * 255
    together = embed(image, size=14, fill=fill, seed=2)
    monkeypatch.setattr("invtool.transforms.embedding.IN_CACHE", 1)
    assert torch.allclose(embed(image, size=14, fill=fill, seed=2), together)
    index = torch.tensor([4])
    alone = embed(image[4:5], size=14, fill=fill, seed=2, index=index)
    assert torch.equal(alone, embed(image, size=14, fill=fill, seed=2)[4:5])


@pytest.mark.parametrize("fill", ["inpaint", "black", "edge", "mean"])
def test_an_embedded_image_is_the_shrunk_one_somewhere_inside(fill):
    image = torch.rand(20, 3, 24, 36) * 255
    moved = embed(image, size=12, fill=fill, seed=4)
    small = shrunk(image, 12, 18)
    places = set()
    for one, object_ in zip(moved, small, strict=True):
        found = [
            (down, right)
            for down in range(13)
            for right in range(19)
            if torch.equal(window(one, down, right, (12, 18)), object_)
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 15
    downs, rights = zip(*places, strict=True)
    assert min(downs) < 4 < 8 < max(downs)
    assert min(rights) < 6 < 12 < max(rights)


def test_places_are_uniform_and_belong_to_seed_and_image():
    image = torch.ones(4000, 1, 4, 4)
    moved = embed(image, size=1 / 4, fill="black", seed=1)
    where = moved.flatten(1).argmax(1)
    counts = torch.bincount(where, minlength=16)
    assert ((moved > 0.5).flatten(1).sum(1) == 1).all()
    assert ((counts - 250).abs() < 80).all()  # 5 standard deviations
    index = torch.tensor([17, 3])
    assert torch.equal(embed(image[:2], size=0.25, fill="black", seed=1, index=index), moved[index])
    assert not torch.equal(embed(image, size=0.25, fill="black", seed=2), moved)


def test_a_size_in_pixels_or_as_a_share_and_one_that_does_not_fit():
    image = torch.rand(3, 3, 32, 32)
    assert torch.equal(embed(image, size=8), embed(image, size=0.25))
    assert torch.equal(embed(image, size=1), image)
    assert torch.equal(embed(image, size=32), image)
    with pytest.raises(ValueError, match="size 40 is more than the 32 pixels of height"):
        parse("embed:size=40")(image)
