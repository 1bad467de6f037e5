"""Normalized distance of representations: written out in float64, its rules, and both engines."""

from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist, squareform

from invtool.measures import (
    PairDistances,
    cosine_distance,
    distance,
    median_of_pairs,
    relative_sensitivity,
    sensitivity,
    square,
    squares,
)

SIZES = {"images": st.integers(2, 6), "units": st.integers(1, 300), "seed": st.integers(0, 99)}


def responses(images: int, units: int, seed: int) -> np.ndarray:
    """As of a layer after a ReLU: many zeros, and a mean that all images share."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(1, 1, (images, units)), 0).astype(np.float32) + np.float32(0.01)


@settings(max_examples=30, deadline=None)
@given(**SIZES)
def test_cosine_distance_is_scipys(images: int, units: int, seed: int) -> None:
    a, b = responses(images, units, seed), responses(images, units, seed + 1)
    expected = np.diag(cdist(a.astype(np.float64), b.astype(np.float64), "cosine"))
    ratio = np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    allowed = 1e-6 * (1 + ratio + 1 / ratio)
    assert (np.abs(cosine_distance(a, b) - expected) < allowed).all()
    on_torch = cosine_distance(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    assert (np.abs(on_torch - expected) < allowed).all()


@settings(max_examples=30, deadline=None)
@given(**SIZES, kind=st.sampled_from(["cosine", "euclidean"]))
def test_distances_of_pairs_are_scipys(images: int, units: int, seed: int, kind: str) -> None:
    a = responses(images, units, seed) + np.float32(0.3)  # no norm far below the others
    expected = squareform(pdist(a.astype(np.float64), kind))
    for engine in (a, torch.from_numpy(a)):
        pairs = PairDistances()
        pairs.update(engine)
        norm = square(engine)
        found = np.asarray(distance(kind, pairs.squared, norm[:, None], norm[None, :]))
        far = ~np.eye(images, dtype=bool)
        assert np.allclose(
            found[far], expected[far], rtol=1e-4, atol=2e-3 if kind == "euclidean" else 1e-5
        )
        assert median_of_pairs(found) == pytest.approx(
            np.median(expected[np.triu_indices(images, 1)]), rel=1e-3, abs=1e-5
        )


def test_units_may_come_in_parts_and_from_several_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("invtool.measures.pair_distances.RUN", 7)
    a = responses(5, 100, 0)
    whole, first, second = PairDistances(), PairDistances(), PairDistances()
    whole.update(a)
    first.update(a[:, :40])
    second.update(a[:, 40:])
    first.merge(second)
    assert np.allclose(first.squared, whole.squared, rtol=1e-5)
    assert np.allclose(whole.squared, squareform(pdist(a.astype(float))) ** 2, rtol=1e-5)


def test_responses_that_nearly_coincide_keep_their_digits() -> None:
    """1 - cos loses them all: it is a multiple of 6e-8 in float32, and the distance 5e-9."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(4, 1000)).astype(np.float32)
    b = (a + 1e-4 * rng.normal(size=a.shape)).astype(np.float32)
    x, y = a.astype(np.float64), b.astype(np.float64)
    expected = 1 - (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    assert (expected < 1e-8).all()
    assert np.allclose(cosine_distance(a, b), expected, rtol=0.02)
    plain = 1 - (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert not np.allclose(plain, expected, rtol=0.02)


def test_a_mean_that_all_images_share_costs_pairs_no_digits() -> None:
    rng = np.random.default_rng(0)
    a = (100 + rng.normal(size=(6, 5000))).astype(np.float32)
    pairs = PairDistances()
    pairs.update(a)
    expected = squareform(pdist(a.astype(np.float64))) ** 2
    assert np.allclose(pairs.squared, expected, rtol=1e-5)
    plain = square(a)[:, None] + square(a) - 2 * (a @ a.T)
    far = ~np.eye(6, dtype=bool)
    assert not np.allclose(plain[far], expected[far], rtol=1e-5)


@given(scale=st.floats(0.01, 100), other=st.floats(0.01, 100))
def test_cosine_distance_does_not_depend_on_length(scale: float, other: float) -> None:
    a, b = responses(3, 40, 0).astype(float), responses(3, 40, 1).astype(float)
    assert np.allclose(cosine_distance(scale * a, other * b), cosine_distance(a, b), atol=1e-9)


def test_a_silent_image_is_undefined_and_left_out() -> None:
    a = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    far = cosine_distance(a, np.ones((3, 2)))
    assert np.isnan(far[0])
    assert sensitivity(far, 0.5) == pytest.approx(2 * far[1:].mean())
    norm = square(a)
    pairs = PairDistances()
    pairs.update(a)
    assert median_of_pairs(distance("cosine", pairs.squared, norm[:, None], norm[None])) == 1


def test_what_cannot_be_divided_by_is_nan() -> None:
    assert np.isnan(sensitivity([0.1, 0.2], 0))
    assert np.isnan(sensitivity([0.1, 0.2], np.nan))
    assert np.isnan(sensitivity([np.nan, np.nan], 1))
    assert np.isnan(relative_sensitivity([0.1], [0.0]))
    assert np.isnan(median_of_pairs(np.full((3, 3), np.nan)))
    assert np.isnan(median_of_pairs(np.zeros((1, 1))))
    assert sensitivity([0.0], 1) == 0


def test_known_squares_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module(
        "invtool.measures.cosine_distance"
    )  # the package has a function so named
    monkeypatch.setattr(module, "CACHED", 8)
    a, b = responses(4, 30, 0), responses(4, 30, 1)
    for known in (None, square(a)):
        difference, first, second = squares(a, b, known)
        assert np.allclose(difference, ((a - b) ** 2).sum(1), rtol=1e-5)
        assert np.allclose(first, (a**2).sum(1), rtol=1e-5)
        assert np.allclose(second, (b**2).sum(1), rtol=1e-5)
