"""Which units are active, and the choice of tau, against a transcription of the paper's words."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from invtool.measures import activity_floor, chosen_tau

SHARES = st.integers(0, 100).map(lambda percent: percent / 100)
RESPONSES = st.integers(-32, 128).map(lambda sixteenth: sixteenth / 16)
GRID = np.arange(21) / 20


def in_words(tau: Any, kept: Any, intact: Any, cost: float) -> float:
    """One after the other from the highest on, in whole hundredths of a percentage point."""
    for t in reversed(range(len(tau))):
        lost = sum(intact) / len(intact) - sum(kept[:, t]) / len(intact)
        if round(1e4 * lost) <= round(1e4 * cost):
            return float(tau[t])
    return float("nan")


@given(
    kept=arrays(float, (2, 21), elements=SHARES),
    intact=arrays(float, 2, elements=SHARES),
    cost=st.sampled_from([0.0, 0.01, 0.1]),
)
def test_the_choice_is_the_paper_s_and_the_same_in_torch(
    kept: Any, intact: Any, cost: float
) -> None:
    found = chosen_tau(GRID, kept, intact, cost)
    np.testing.assert_equal(found, in_words(GRID, kept, intact, cost))
    np.testing.assert_equal(found, chosen_tau(*map(torch.from_numpy, (GRID, kept, intact)), cost))


def test_a_loss_of_just_the_cost_qualifies() -> None:
    assert 0.5 - 0.49 > 0.01, "rounding that must not decide"
    assert chosen_tau(np.array([0.3]), np.array([[0.49]]), np.array([0.5]), 0.01) == 0.3
    assert np.isnan(chosen_tau(np.array([0.3]), np.array([[0.489]]), np.array([0.5]), 0.01))


def test_a_gap_in_the_grid_does_not_hide_a_higher_tau() -> None:
    kept = np.array([[0.9, 0.5, 0.9, 0.5]])
    assert chosen_tau(np.array([0.0, 0.1, 0.2, 0.3]), kept, np.array([0.9]), 0.01) == 0.2


@given(
    responses=arrays(np.float32, (6, 4), elements=RESPONSES),
    tau=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    scale=st.sampled_from([0.25, 1.0, 8.0]),
)
def test_activity_is_a_share_of_the_peak_whatever_the_unit(
    responses: Any, tau: float, scale: float
) -> None:
    peak = responses.max(axis=0)
    active = responses > activity_floor(peak, tau)
    for image, unit in np.ndindex(*responses.shape):
        r, high = responses[image, unit], peak[unit]
        assert active[image, unit] == (r > 0 and r > np.float32(tau) * high)
    scaled = torch.from_numpy(responses * np.float32(scale))
    np.testing.assert_array_equal(scaled > activity_floor(scaled.amax(0), tau), active)


@pytest.mark.parametrize(("tau", "active"), [(0.0, [True, True, False]), (1.0, [False] * 3)])
def test_the_ends_of_the_grid(tau: float, active: list[bool]) -> None:
    """At 0 all that responds is active; at 1 nothing is, not even the highest response."""
    floor = activity_floor(np.full(3, 4.0), tau)
    assert (np.array([4.0, 0.1, 0.0]) > floor).tolist() == active


def test_a_silent_and_a_negative_unit_are_never_active() -> None:
    responses = np.array([[0.0, -1.0], [0.0, -3.0]])
    for tau in (0.0, 0.5, 1.0):
        assert not (responses > activity_floor(responses.max(axis=0), tau)).any()
