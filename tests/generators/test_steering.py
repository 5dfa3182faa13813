"""Draws are steered to what lacks, and a bound holds whenever one looks."""

import math

import numpy as np
import pytest

from rayqc.generators.steering import Tally, Wanted, given_up, next_draws, share_bounds


def slow_bounds(accepted, drawn, doubt):
    """By the definition, on a fine grid of shares."""
    p = np.linspace(0, 1, 200_001)[1:-1]
    s, f = accepted, drawn - accepted
    mixture = math.lgamma(s + 1) + math.lgamma(f + 1) - math.lgamma(drawn + 2)
    inside = p[mixture - s * np.log(p) - f * np.log1p(-p) < math.log(1 / doubt)]
    return inside.min(), inside.max()


@pytest.mark.parametrize(("accepted", "drawn"), [(0, 1), (1, 1), (0, 500), (3, 400), (250, 500)])
@pytest.mark.parametrize("doubt", [0.05, 0.001])
def test_bounds_are_those_of_the_definition(accepted, drawn, doubt):
    low, high = share_bounds(accepted, drawn, doubt)
    assert (low, high) == pytest.approx(slow_bounds(accepted, drawn, doubt), abs=2e-5)
    assert 0 <= low <= accepted / drawn <= high <= 1


def test_bounds_of_very_many_draws():
    assert share_bounds(10**7 - 1, 10**7, 0.005)[1] == pytest.approx(1, abs=1e-6)
    assert share_bounds(1, 10**7, 0.005)[0] == pytest.approx(0, abs=1e-6)


def test_without_a_draw_nothing_is_known():
    assert share_bounds(0, 0, 0.05) == (0.0, 1.0)


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_a_bound_that_is_looked_at_after_every_draw_rarely_fails(share):
    rng = np.random.default_rng(7)
    runs, wrong = 400, 0
    for _ in range(runs):
        accepted = np.cumsum(rng.random(300) < share)
        looks = [(int(accepted[n - 1]), n) for n in range(1, 301, 7)]
        bounds = [share_bounds(s, n, 0.1) for s, n in looks]
        wrong += any(not low <= share <= high for low, high in bounds)
    # A bound of one look at 10% would fail far more often over so many looks.
    assert wrong / runs < 0.1 + 3 * math.sqrt(0.09 / runs)


def tally(drawn, accepted):
    return Tally(drawn_EK=np.array(drawn), accepted_EK=np.array(accepted))


def test_the_first_round_draws_what_is_wanted_and_shares_it():
    none = tally([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    wanted = Wanted(until=100, budget=None, floor=0.01)
    draws = next_draws(none, wanted, np.array([1.0, 3.0]), np.array([10, 8]))
    assert draws.tolist() == [[30, 30], [80, 80]]


def test_draws_go_to_classes_that_lack_and_generators_that_are_not_given_up():
    found = tally([[100, 2000], [100, 2000]], [[90, 0], [10, 40]])
    wanted = Wanted(until=100, budget=None, floor=0.015)
    assert given_up(found, wanted).tolist() == [[False, True], [False, False]]
    draws = next_draws(found, wanted, np.ones(2), np.array([1, 1]))
    assert draws[:, 0].tolist() == [0, 0]
    assert draws[0, 1] == 0
    assert draws[1, 1] == 2000
    surer = Wanted(until=100, budget=None, floor=0.007)
    assert given_up(found, surer).tolist() == [[False, True], [False, False]]
    draws = next_draws(found, surer, np.ones(2), np.array([1, 1]))
    assert draws[1, 1] == math.ceil(60 / (41 / 2002))


def test_a_round_grows_at_most_fourfold():
    found = tally([[10]], [[0]])
    draws = next_draws(found, Wanted(until=1000, budget=None, floor=0.0), np.ones(1), np.ones(1))
    assert draws.tolist() == [[40]]
    draws = next_draws(found, Wanted(until=1000, budget=None, floor=0.2), np.ones(1), np.ones(1))
    assert draws.tolist() == [[20]]
    found = tally([[25]], [[0]])
    draws = next_draws(found, Wanted(until=1000, budget=None, floor=0.2), np.ones(1), np.ones(1))
    assert draws.tolist() == [[25]]


def test_a_budget_is_never_passed():
    wanted = Wanted(until=100, budget=150, floor=0.01)
    found = tally([[0, 0, 0]], [[0, 0, 0]])
    draws = next_draws(found, wanted, np.ones(1), np.array([1]))
    assert draws.tolist() == [[50, 50, 50]]
    found += tally(draws, [[10, 20, 30]])
    assert not next_draws(found, wanted, np.ones(1), np.array([1])).any()


@pytest.mark.parametrize(("until", "budget"), [(1, 5), (3, 17), (100, 999)])
def test_a_budget_below_the_number_of_cells_is_drawn_whole(until, budget):
    wanted = Wanted(until=until, budget=budget, floor=0.01)
    draws = next_draws(tally(np.zeros((2, 10)), np.zeros((2, 10))), wanted, np.ones(2), np.ones(2))
    assert draws.sum() == budget
    assert np.ptp(draws) <= 1


def test_the_loop_ends_for_any_shares():
    rng = np.random.default_rng(0)
    share = np.array([[0.9, 0.2, 0.0], [0.5, 0.0, 0.0]])
    wanted = Wanted(until=200, budget=None, floor=0.01)
    found = tally(np.zeros((2, 3), int), np.zeros((2, 3), int))
    for _ in range(60):
        draws = next_draws(found, wanted, np.ones(2), np.array([16, 16]))
        if not draws.any():
            break
        found += tally(draws, rng.binomial(draws, share))
    assert not draws.any()
    assert (found.accepted_EK.sum(0) >= 200).tolist() == [True, True, False]
    assert given_up(found, wanted)[:, 2].all()
    needed = next(n for n in range(1, 5000) if share_bounds(0, n, 0.05 / 6)[1] < 0.01)
    assert needed <= found.drawn_EK[0, 2] <= 2 * needed + 16
