"""Promises against exchangeable data, and bounds against their formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayqc.errors import TooFewReferencesError
from rayqc.regions.conformal import (
    cv_plus_bound,
    least_p_value,
    least_scores,
    p_values,
    rank_of,
    tail_threshold,
    threshold,
)
from rayqc.regions.promises.base import guarantee


@given(st.integers(1, 400), st.floats(0.5, 0.99))
@settings(max_examples=60, deadline=None)
def test_p_values_and_the_threshold_accept_the_same(scores, coverage):
    rng = np.random.default_rng(scores)
    held = rng.normal(size=scores).round(1)  # with ties
    fresh = np.concatenate([rng.normal(size=200).round(1), held])
    by_threshold = fresh <= threshold(held, coverage)
    by_p = p_values(fresh, held) >= least_p_value(scores, coverage) - 1e-12
    np.testing.assert_array_equal(by_threshold, by_p)


@pytest.mark.parametrize(("scores", "coverage"), [(19, 0.95), (50, 0.95), (37, 0.8)])
def test_split_coverage_holds_on_exchangeable_data(scores, coverage):
    rng = np.random.default_rng(scores)
    held = rng.exponential(size=(20_000, scores + 1))
    inside = [row[-1] <= threshold(row[:-1], coverage) for row in held]
    share = np.mean(inside)
    error = 4 * np.sqrt(coverage * (1 - coverage) / len(held))
    assert coverage - error <= share <= coverage + 1 / (scores + 1) + error
    assert rank_of(scores, coverage) <= scores


def test_19_scores_are_the_fewest_that_promise_95_percent():
    assert least_scores(0.95) == 19
    assert least_scores(0.9) == 9
    for coverage in (0.8, 0.9, 0.95, 0.975):
        least = least_scores(coverage)
        assert rank_of(least, coverage) <= least
        assert rank_of(least - 1, coverage) > least - 1
    with pytest.raises(TooFewReferencesError, match="at least 19 .* found 18"):
        guarantee("split", 18, 0.95, 5)
    assert guarantee("split", 19, 0.95, 5).bound == 0.95


def test_too_few_scores_take_the_largest_and_say_so():
    held = np.array([3.0, 1.0, 2.0])
    assert threshold(held, 0.95) == 3.0
    said = guarantee("empirical", 3, 0.95, 5)
    assert said.bound is None
    assert "no promise" in said.says
    assert said.tail
    assert "fewer than 100" in said.says
    assert not guarantee("empirical", 100, 0.95, 5).tail
    assert not guarantee("split", 19, 0.95, 5).tail


@pytest.mark.parametrize("scores", [10, 20, 50])
@pytest.mark.parametrize("spread", [0.3, 1.5])
def test_the_tail_holds_its_share_of_the_next_scores_over_draws(scores, spread):
    """Log-normal scores, the law that the tail is fitted under: 95% of the next lie below it.

    It is never above the largest score, which at 10 scores holds 10 in 11 of the next.
    """
    rng = np.random.default_rng(scores)
    draws = np.exp(rng.normal(scale=spread, size=(4000, scores + 1)))
    found = np.mean([row[-1] <= tail_threshold(row[:-1], 0.95) for row in draws])
    expected = min(0.95, scores / (scores + 1))
    assert expected - 0.035 < found < 0.96


def test_one_odd_score_does_not_set_the_tail():
    rng = np.random.default_rng(3)
    held = np.exp(rng.normal(scale=0.3, size=20))
    odd = np.append(held[:-1], 1e6)
    assert threshold(odd, 0.95) == 1e6
    assert tail_threshold(odd, 0.95) < 3 * tail_threshold(held, 0.95)


def test_the_tail_at_its_edges():
    same = np.full(5, 2.0)
    assert tail_threshold(same, 0.95) == pytest.approx(2.0)
    assert tail_threshold(np.zeros(4), 0.95) == pytest.approx(0.0, abs=1e-12)
    assert tail_threshold(np.array([1e-4, 5.0, 1e-4, 1e-4]), 0.02) >= 0
    held = np.array([1.0, 2.0, 5.0])
    assert tail_threshold(held, 1.0) == 5.0
    assert tail_threshold(held, 0.5) < tail_threshold(held, 0.8) <= 5.0
    assert "fewer" not in guarantee("empirical", 100, 0.95, 5).says


def test_the_cv_plus_bound_is_barbers():
    """Theorem 4 of Barber et al. 2021, written out: 75% at 50 scores in 5 folds, 89% at 1,000."""
    for scores, folds, coverage in ((50, 5, 0.95), (1000, 5, 0.95), (40, 10, 0.9)):
        alpha = 1 - coverage
        first = 2 * (1 - 1 / folds) / (scores / folds + 1)
        second = (1 - folds / scores) / (folds + 1)
        expected = 1 - 2 * alpha - min(first, second)
        assert cv_plus_bound(scores, folds, coverage) == pytest.approx(expected)
    assert round(100 * cv_plus_bound(50, 5, 0.95)) == 75
    assert round(100 * cv_plus_bound(1000, 5, 0.95)) == 89
    assert "75." in guarantee("cv+", 50, 0.95, 5).says
