"""Linear against logarithmic rise: known laws are told apart, and chance does not decide."""

import numpy as np
import pytest
from scipy import stats

from invtool.measures.rise import rise

COUNTS = np.repeat([5, 10, 25, 50, 75, 90], 2)


@pytest.mark.parametrize(("law", "sign"), [(lambda k: k, -1), (np.log, 1)])
def test_a_noisy_law_is_recognized(law, sign) -> None:
    x = law(COUNTS.astype(float))
    a = 0.05 + 0.4 * x / x.max() + 0.01 * np.random.default_rng(0).standard_normal(len(x))
    assert sign * rise(COUNTS, a).preference > 2


def test_the_fits_are_scipys() -> None:
    a = np.random.default_rng(1).random(len(COUNTS))
    found = rise(COUNTS, a)
    for law, x in ((found.linear, COUNTS), (found.logarithmic, np.log(COUNTS))):
        wanted = stats.linregress(x, a)
        assert law == pytest.approx((wanted.intercept, wanted.slope, wanted.rvalue**2), abs=1e-12)
    line, log = (1 - law.r2 for law in (found.linear, found.logarithmic))
    assert found.preference == pytest.approx(len(a) * np.log(line / log))


def test_without_seen_categories_or_accuracy_a_network_does_not_count() -> None:
    a = np.linspace(0.1, 0.5, len(COUNTS))
    more = rise(np.append(COUNTS, [0, 100]), np.append(a, [0.9, np.nan]))
    assert more == rise(COUNTS, a)


@pytest.mark.parametrize("seen", [[], [5, 5, 10], [0, 5, 10]])
def test_two_counts_tell_nothing(seen) -> None:
    with pytest.raises(ValueError, match="three different numbers"):
        rise(np.array(seen), np.zeros(len(seen)))


def test_no_rise_at_all_prefers_neither() -> None:
    found = rise(COUNTS, np.full(len(COUNTS), 0.2))
    assert found.preference == 0 and np.isnan(found.linear.r2)
