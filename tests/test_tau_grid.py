"""I_k at every tau at once: as one measurement a tau, whatever the batches, the order and the engine."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.measures import InvarianceAccumulator, TauGrid, peak, tau_grid
from invtool.stages.invariance_score import TAU_GRID

few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)
UNITS = 7


def responses(seed, images=60, dtype=np.float32):
    rng = np.random.default_rng(seed)
    both = np.maximum(rng.standard_normal((2, images, UNITS)), 0)
    both[..., 0] = 0
    both[1, 3, 1] = both[:, :, 1].max() * TAU_GRID[4]  # at a tau, and so not above it
    return (*both.astype(dtype), rng.random(images) < 0.5)


def at_once(batches, taus=TAU_GRID):
    """The grid over (clean, transformed, seen) batches."""
    grid = TauGrid(peak(*[r for clean, moved, _ in batches for r in (clean, moved)]), taus)
    for batch in batches:
        grid.update(*batch)
    return grid


@given(seeds, st.booleans(), st.sampled_from([np.float16, np.float32, np.float64]))
@few
def test_a_tau_of_the_grid_is_a_measurement_of_its_own(seed, known, dtype):
    clean, moved, seen = responses(seed, dtype=dtype)
    batch = (clean, moved, seen if known else None)
    found = at_once([batch])
    count = tau_grid._from_above(found._count)
    for n, tau in enumerate(TAU_GRID):
        alone = InvarianceAccumulator(peak(clean, moved), tau=tau)
        alone.update(*batch)
        np.testing.assert_allclose(found.invariance()[n], alone.result().invariance, atol=1e-6)
        np.testing.assert_array_equal(count[n], alone.result().active_images)


@given(seeds, st.integers(1, 59), st.booleans())
@few
def test_order_batches_merging_and_engine_do_not_matter(seed, cut, on_torch):
    clean, moved, seen = responses(seed)
    whole = at_once([(clean, moved, seen)])
    order = np.random.default_rng(seed).permutation(len(clean))
    clean, moved, seen = clean[order], moved[order], seen[order]
    highest = peak(clean, moved)
    if on_torch:
        clean, moved, seen, highest = map(torch.from_numpy, (clean, moved, seen, highest))
    first, second = TauGrid(highest, TAU_GRID), TauGrid(highest, TAU_GRID)
    first.update(clean[:cut], moved[:cut], seen[:cut])
    second.update(clean[cut:], moved[cut:], seen[cut:])
    first.merge(second)
    np.testing.assert_allclose(np.asarray(first.invariance()), whole.invariance(), atol=1e-12)
    np.testing.assert_array_equal(np.asarray(first._count), whole._count)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_tiles_and_unit_axes_do_not_show(monkeypatch, size):
    clean, moved, seen = responses(0)
    whole = at_once([(clean, moved, seen)]).invariance()
    monkeypatch.setattr(tau_grid, "IMAGES", 11)
    monkeypatch.setattr(tau_grid, "UNITS", size)
    shape = (len(clean), 1, 1, UNITS)
    cut = at_once([(clean.reshape(shape), moved.reshape(shape), seen)]).invariance()
    np.testing.assert_allclose(cut[:, :, 0, 0], whole, atol=1e-12)


def test_a_negative_unit_is_nan_at_every_tau_and_others_are_not():
    clean, moved, seen = responses(1)
    clean[2, 3] = -1e30
    found = at_once([(clean, moved, seen)]).invariance()
    assert np.isnan(found[:, :, [0, 3]]).all()
    assert not np.isnan(found[0][:, [1, 2, 4, 5, 6]]).any()


@pytest.mark.parametrize("taus", [(0.1, 0.0), (0.0, 0.0), (0.5, 1.0), (-0.1, 0.5), (float("nan"),)])
def test_taus_that_are_no_grid_are_refused(taus):
    with pytest.raises(ValueError, match="ascending ones with 0 <= tau < 1"):
        TauGrid(np.ones(3, np.float32), taus)


def test_what_does_not_fit_is_refused():
    clean, moved, _ = responses(2)
    grid = TauGrid(peak(clean, moved), (0.0, 0.5))
    with pytest.raises(ValueError, match="the same images and units"):
        grid.update(clean, moved[:-1])
    with pytest.raises(ValueError, match="units and taus"):
        grid.merge(TauGrid(peak(clean, moved), (0.0, 0.4)))
