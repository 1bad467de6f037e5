"""Seen sets are nested, fair, and a function of the seed alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invtool.data.seen import seen_categories


@given(st.integers(1, 60), st.integers(0, 2**63 - 1), st.data())
def test_a_larger_set_holds_every_smaller_one(
    categories: int, seed: int, data: st.DataObject
) -> None:
    small = data.draw(st.integers(0, categories))
    large = data.draw(st.integers(small, categories))
    few, many = (seen_categories(categories, count, seed) for count in (small, large))
    assert len(few) == small and len(many) == large
    assert set(few) <= set(many) <= set(range(categories))
    assert (np.diff(many) > 0).all()


def test_seeds_choose_other_categories_and_all_alike() -> None:
    sets = [tuple(seen_categories(10, 5, seed)) for seed in range(400)]
    assert len(set(sets)) > 150  # of 252
    times = np.bincount(np.concatenate(sets), minlength=10)
    assert abs(times / 400 - 0.5).max() < 0.1
    assert sets == [tuple(seen_categories(10, 5, seed)) for seed in range(400)]


@pytest.mark.parametrize("count", [-1, 11])
def test_more_than_there_are_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="seen categories of 10"):
        seen_categories(10, count, 0)
