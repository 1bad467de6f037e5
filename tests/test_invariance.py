"""I_k and the top 1 % score: by hand, against the paper's formulas in plain loops, and by property."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.measures import (
    InvarianceAccumulator,
    invariance,
    peak,
    top1_score,
    top_images,
)
from invtool.measures.invariance import InvarianceResult

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
TAU = 0.1


def responses(seed, images=40, units=6, dtype=np.float32):
    """Post-ReLU responses to images and to their transforms, one unit of them silent."""
    rng = np.random.default_rng(seed)
    both = np.maximum(rng.standard_normal((2, images, units)), 0)
    both[..., 0] = 0
    return (*both.astype(dtype), rng.random(images) < 0.5)


def equation_1(clean, transformed, tau, seen=None):
    """Section 2.2 as printed, a unit and an image at a time, in double precision."""
    images, units = clean.shape
    members = [range(images)]
    members += [[], []] if seen is None else [np.flatnonzero(seen), np.flatnonzero(~seen)]
    scores = np.full((3, units), np.nan)
    counts = np.zeros((3, units), int)
    for k in range(units):
        highest = float(max(clean[:, k].max(), transformed[:, k].max()))
        for g, group in enumerate(members):
            h = []
            for x in group:
                if highest == 0:
                    continue
                f, f_moved = float(clean[x, k]) / highest, float(transformed[x, k]) / highest
                if f > tau or f_moved > tau:
                    h.append(1 - abs((f_moved - f) / (f_moved + f)))
            counts[g, k] = len(h)
            if h:
                scores[g, k] = math.fsum(h) / len(h)
    return scores, counts


def measured(batches, *, tau=TAU):
    """The accumulator over (clean, transformed, seen) batches, and the units active an image."""
    total = InvarianceAccumulator(
        peak(*[r for clean, moved, _ in batches for r in (clean, moved)]), tau=tau
    )
    active = [total.update(*batch) for batch in batches]
    return total.result(), active


def test_equal_responses_are_invariant_and_disjoint_ones_are_not():
    clean = np.array([[1.0, 1.0], [2.0, 0.0]])
    transformed = np.array([[1.0, 0.0], [2.0, 2.0]])
    assert invariance(clean, transformed)[0].tolist() == [1.0, 0.0]


def test_a_silent_unit_is_nan_in_every_group():
    clean, moved, seen = responses(0)
    found = invariance(clean, moved, seen=seen)
    assert np.isnan(found[:, 0]).all()
    assert not np.isnan(found[:, 1:]).any()


def test_a_unit_with_a_negative_response_is_nan_and_is_told():
    clean, moved, seen = responses(1)
    clean[3, 2] = -0.5
    result, _ = measured([(clean, moved, seen)])
    assert result.negative.tolist() == [False, False, True, False, False, False]
    assert np.isnan(result.invariance[:, 2]).all()


def test_a_negative_response_does_not_overflow_at_tau_0():
    clean, moved, _ = responses(1)
    clean[3, 2] = moved[3, 2] = -1e9
    found = invariance(clean, moved)[0]
    assert np.isnan(found).tolist() == [True, False, True, False, False, False]


def test_every_tile_is_shown_with_what_it_adds():
    clean, moved, seen = responses(3, images=70, units=1100)
    half, active = np.full_like(clean, np.nan), np.full_like(clean, np.nan)

    def each(rows, units, h, member):
        half[rows, units], active[rows, units] = h, member

    total = InvarianceAccumulator(peak(clean, moved), tau=TAU)
    total.update(clean, moved, seen, each)
    result = total.result()
    np.testing.assert_array_equal(active.sum(axis=0), result.active_images[0])
    with np.errstate(invalid="ignore"):
        mean = 2 * half.sum(axis=0, dtype=np.float64) / active.sum(axis=0)
    np.testing.assert_allclose(mean, result.invariance[0], atol=1e-6)


def test_an_empty_group_is_nan_and_never_0():
    clean, moved, _ = responses(2)
    nobody = np.zeros(len(clean), np.uint8)
    assert np.isnan(invariance(clean, moved, seen=nobody)[1]).all()
    assert np.isnan(invariance(clean, moved)[1:]).all()


def test_a_response_at_tau_is_not_above_it():
    clean = np.array([[1.0], [0.5]])
    result, active = measured([(clean, clean, None)], tau=0.5)
    assert result.active_images[0].tolist() == [1]
    assert active[0].tolist() == [1, 0]


@given(seeds, st.sampled_from([0.0, 0.05, 0.5]))
@few
def test_equals_the_paper_in_plain_loops(seed, tau):
    clean, moved, seen = responses(seed)
    scores, counts = equation_1(clean, moved, tau, seen)
    result, _ = measured([(clean, moved, seen)], tau=tau)
    np.testing.assert_allclose(result.invariance, scores, atol=1e-6)
    np.testing.assert_array_equal(result.active_images, counts)


def test_tiles_do_not_show():
    clean, moved, seen = responses(3, images=150, units=1100)
    scores, counts = equation_1(clean, moved, TAU, seen)
    result, (active,) = measured([(clean, moved, seen)])
    np.testing.assert_allclose(result.invariance, scores, atol=1e-6)
    np.testing.assert_array_equal(result.active_images, counts)
    highest = np.maximum(clean, moved)
    wanted = (highest > np.float32(TAU) * highest.max(axis=0)).sum(axis=1)
    np.testing.assert_array_equal(active, wanted)


@given(seeds, st.floats(1e-6, 1e6))
@few
def test_a_unit_may_be_scaled(seed, factor):
    clean, moved, seen = responses(seed, dtype=np.float64)
    factors = np.linspace(1, factor, clean.shape[1])
    np.testing.assert_allclose(
        invariance(clean * factors, moved * factors, tau=TAU, seen=seen),
        invariance(clean, moved, tau=TAU, seen=seen),
        rtol=1e-12,
    )


@given(seeds)
@few
def test_clean_and_transformed_may_be_swapped(seed):
    clean, moved, seen = responses(seed)
    np.testing.assert_array_equal(
        invariance(clean, moved, tau=TAU, seen=seen), invariance(moved, clean, tau=TAU, seen=seen)
    )


@given(seeds)
@few
def test_the_order_of_the_images_does_not_matter(seed):
    clean, moved, seen = responses(seed)
    order = np.random.default_rng(seed).permutation(len(clean))
    np.testing.assert_allclose(
        invariance(clean[order], moved[order], tau=TAU, seen=seen[order]),
        invariance(clean, moved, tau=TAU, seen=seen),
        atol=1e-6,
    )


@given(seeds, st.integers(1, 39))
@few
def test_batches_and_merges_do_not_matter(seed, cut):
    clean, moved, seen = responses(seed)
    whole, (active,) = measured([(clean, moved, seen)])
    parts = [slice(None, cut), slice(cut, None)]
    batches = [(clean[p], moved[p], seen[p]) for p in parts]
    split, actives = measured(batches)
    first, second = (InvarianceAccumulator(peak(clean, moved), tau=TAU) for _ in parts)
    first.update(*batches[0])
    second.update(*batches[1])
    second.merge(first)
    for result in (split, second.result()):
        np.testing.assert_allclose(result.invariance, whole.invariance, atol=1e-6)
        np.testing.assert_array_equal(result.active_images, whole.active_images)
    np.testing.assert_array_equal(np.concatenate(actives), active)


@given(seeds)
@few
def test_half_precision_is_computed_in_single(seed):
    clean, moved, seen = responses(seed, dtype=np.float16)
    wide = invariance(clean.astype(np.float32), moved.astype(np.float32), tau=TAU, seen=seen)
    np.testing.assert_array_equal(invariance(clean, moved, tau=TAU, seen=seen), wide)


@given(seeds, st.sampled_from([np.float16, np.float32, np.float64]))
@few
def test_torch_equals_numpy(seed, dtype):
    clean, moved, seen = responses(seed, dtype=dtype)
    there, active = measured([tuple(map(torch.from_numpy, (clean, moved, seen)))])
    here, active_here = measured([(clean, moved, seen)])
    for name in InvarianceResult._fields:
        np.testing.assert_allclose(
            getattr(there, name).numpy(), getattr(here, name), atol=1e-6, err_msg=name
        )
    np.testing.assert_array_equal(active[0].numpy(), active_here[0])
    np.testing.assert_array_equal(
        top1_score(*map(torch.from_numpy, (clean, moved))).numpy(), top1_score(clean, moved)
    )


def test_bfloat16_tensors_are_taken():
    clean, moved, _ = responses(4)
    low = [torch.from_numpy(r).to(torch.bfloat16) for r in (clean, moved)]
    np.testing.assert_allclose(
        invariance(*low).numpy(), invariance(*(r.float().numpy() for r in low)), atol=1e-6
    )


def test_unit_axes_are_kept():
    clean, moved, seen = responses(5)
    shape = (len(clean), 1, 2, 3)
    flat = invariance(clean, moved, tau=TAU, seen=seen)
    square = invariance(clean.reshape(shape), moved.reshape(shape), tau=TAU, seen=seen)
    np.testing.assert_array_equal(square, flat.reshape(3, 1, 2, 3))
    assert top1_score(clean.reshape(shape), moved.reshape(shape)).shape == (1, 2, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_values_that_are_not_finite_are_refused_with_their_unit(value, side):
    both = responses(6)
    both[side][7, 4] = value
    with pytest.raises(ValueError, match="unit 4 has a response that is not finite"):
        invariance(*both[:2])


@pytest.mark.parametrize("tau", [-0.1, 1.0, math.nan])
def test_tau_outside_its_range_is_refused(tau):
    with pytest.raises(ValueError, match="0 <= tau < 1"):
        invariance(*responses(7)[:2], tau=tau)


def test_what_does_not_fit_is_refused():
    clean, moved, _ = responses(8)
    with pytest.raises(ValueError, match="the same images and units"):
        invariance(clean, moved[:-1])
    with pytest.raises(ValueError, match="not of the same images and units"):
        top1_score(clean, moved[:, :2])
    with pytest.raises(ValueError, match="do not have units"):
        top_images(clean).score(moved[:, :2])
    one, other = InvarianceAccumulator(peak(clean)), InvarianceAccumulator(peak(clean) + 1)
    with pytest.raises(ValueError, match="same peak"):
        one.merge(other)
    with pytest.raises(ValueError, match="units and tau"):
        one.merge(InvarianceAccumulator(peak(clean), tau=0.5))
    with pytest.raises(ValueError, match="no images"):
        top_images(clean[:0])


def top_percent(clean, transformed):
    """The older score as its docstring words it, a unit at a time."""
    best = math.ceil(0.01 * len(clean))
    scores = np.full(clean.shape[1], np.nan)
    for k, (f, f_moved) in enumerate(zip(clean.T, transformed.T, strict=True)):
        threshold = sorted(f, reverse=True)[best - 1]
        fires = [x for x in range(len(f)) if f[x] >= threshold and f[x] > 0]
        if fires:
            kept = [x for x in fires if f_moved[x] >= threshold and f_moved[x] > 0]
            scores[k] = len(kept) / len(fires)
    return scores


@given(seeds, st.sampled_from([1, 7, 100, 101, 1300]), st.sampled_from([0.0, 1.0, 2.5]))
@few
def test_the_top_score_equals_its_definition(seed, images, silence):
    rng = np.random.default_rng(seed)
    clean = np.maximum(rng.standard_normal((images, 5)) - silence, 0).round(1)
    moved = np.maximum(clean + 0.3 * rng.standard_normal(clean.shape), 0).round(1)
    np.testing.assert_array_equal(top1_score(clean, moved), top_percent(clean, moved))


@given(seeds, st.sampled_from([1, 299, 1300, 2001]), st.sampled_from([1, 3, 50]))
@few
def test_the_top_images_are_those_of_sorting(seed, images, values):
    """With few distinct values nearly everything ties; the short cut must not notice."""
    clean = np.random.default_rng(seed).integers(-1, values, (images, 8)).astype(np.float32)
    lowest = np.sort(clean, axis=0)[images - math.ceil(images / 100)]
    wanted = (clean >= lowest) & (clean > 0)
    for top in (top_images(clean), top_images(torch.from_numpy(clean))):
        pairs = set(zip(top.image.tolist(), top.unit.tolist(), strict=True))
        assert pairs == set(zip(*map(list, np.nonzero(wanted)), strict=True))
