"""Ways of choosing a set: each against plain arithmetic, written here again the slow way."""

from dataclasses import replace

import numpy as np
import pytest

from rayqc.kinds import SELECTIONS
from rayqc.selection.base import Choice
from rayqc.selection.coverage import _distances
from rayqc.selection.measures import set_facts
from rayqc.selection.target import MOST_DIRECTIONS, fit_space


def choice_of(rng, count=60, wanted=12, dimensions=4):
    reference_RD = rng.normal(size=(9, dimensions)) * [3, 2, 1, 0.5]
    return Choice(
        candidate_ND=(rng.normal(size=(count, dimensions)) * 1.5 + 0.3).astype(np.float32),
        reference_RD=reference_RD.astype(np.float32),
        mean_D=reference_RD.mean(0),
        covariance_DD=np.cov(reference_RD.T),
        wanted=wanted,
        seed=3,
    )


def chosen(name, choice):
    return SELECTIONS[name].choose(choice)


@pytest.mark.parametrize("name", SELECTIONS.names)
def test_every_way_gives_as_many_different_rows_and_the_same_again(name, rng):
    choice = choice_of(rng)
    rows = chosen(name, choice)
    assert rows.shape == (choice.wanted,)
    assert len(set(rows.tolist())) == choice.wanted
    assert set(rows.tolist()) <= set(range(60))
    np.testing.assert_array_equal(rows, chosen(name, choice))


def moment_distance(y_KD, target_DD):
    return np.square(y_KD.T @ y_KD / len(y_KD) - target_DD).sum()


def test_covariance_takes_at_each_step_the_one_that_comes_nearest(rng):
    choice = choice_of(rng)
    y_ND = choice.candidate_ND - choice.mean_D
    slow = []
    for _ in range(choice.wanted):
        left = [row for row in range(len(y_ND)) if row not in slow]
        costs = [moment_distance(y_ND[[*slow, row]], choice.covariance_DD) for row in left]
        slow.append(left[int(np.argmin(costs))])
    assert chosen("covariance", choice).tolist() == slow


def test_covariance_comes_nearer_to_the_references_than_chance_and_the_central_ones(rng):
    choice = choice_of(rng, count=500, wanted=50)
    y_ND = choice.candidate_ND - choice.mean_D
    away = {
        name: moment_distance(y_ND[chosen(name, choice)], choice.covariance_DD)
        for name in ("covariance", "random", "central")
    }
    assert away["covariance"] < 0.2 * away["random"]
    assert away["random"] < away["central"]


def similar(a_ND, b_WD, width):
    return np.exp(-np.square(a_ND[:, None] - b_WD[None]).sum(2) / width)


def test_herding_takes_at_each_step_what_the_set_lacks_most(rng):
    choice = choice_of(rng)
    x_ND = choice.candidate_ND
    width = np.median(np.square(x_ND[:, None] - x_ND[None]).sum(2))
    similar_NN, slow = similar(x_ND, x_ND, width), []
    for _ in range(choice.wanted):
        gain_N = similar_NN.mean(1) - similar_NN[slow].sum(0) / (len(slow) + 1)
        gain_N[slow] = -np.inf
        slow.append(int(gain_N.argmax()))
    assert chosen("herding", choice).tolist() == slow


def test_a_herded_set_is_like_its_candidates_as_no_other_is(rng):
    """Distance of means in the kernel's feature space (maximum mean discrepancy), squared."""
    choice = choice_of(rng, count=3000, wanted=50)
    x_ND = choice.candidate_ND

    def away(name):
        set_ND = x_ND[chosen(name, choice)]
        within = similar(set_ND, set_ND, 10).mean()
        return within - 2 * similar(set_ND, x_ND, 10).mean() + similar(x_ND, x_ND, 10).mean()

    assert away("herding") < 0.5 * min(away(name) for name in ("random", "coverage", "central"))


def test_a_set_of_equal_candidates_is_herded_too(rng):
    choice = replace(choice_of(rng), candidate_ND=np.ones((60, 4), np.float32))
    assert chosen("herding", choice).tolist() == list(range(choice.wanted))


def test_coverage_lazily_is_coverage_greedily(rng):
    choice = choice_of(rng)
    drawn = np.random.default_rng(choice.seed).permutation(60)
    places = np.concatenate([choice.reference_RD, choice.candidate_ND[drawn]])
    away_NW = _distances(choice.candidate_ND, places)
    np.testing.assert_allclose(
        away_NW,
        np.linalg.norm(choice.candidate_ND[:, None] - places[None], axis=2),
        atol=2e-3,
    )
    slow, nearest_W = [], away_NW.max(0)
    for _ in range(choice.wanted):
        gain_N = np.maximum(nearest_W - away_NW, 0).sum(1)
        gain_N[slow] = -1
        slow.append(int(gain_N.argmax()))
        nearest_W = np.minimum(nearest_W, away_NW[slow[-1]])
    assert chosen("coverage", choice).tolist() == slow


def test_central_takes_the_nearest_to_the_mean(rng):
    choice = choice_of(rng)
    away_N = np.linalg.norm(choice.candidate_ND - choice.mean_D, axis=1)
    assert set(chosen("central", choice)) == set(np.argsort(away_N)[:12])


def test_the_space_has_the_references_largest_directions(rng):
    latent_RL = rng.normal(size=(40, 50)) * np.geomspace(10, 0.1, 50)
    label_R = np.arange(40) % 4
    space = fit_space(latent_RL, label_R, 4)
    assert space.direction_LD.shape == (50, MOST_DIRECTIONS)
    np.testing.assert_allclose(
        space.direction_LD.T @ space.direction_LD, np.eye(MOST_DIRECTIONS), atol=1e-9
    )
    np.testing.assert_allclose(space.project(latent_RL), space.reference_RD, atol=1e-4)
    np.testing.assert_allclose(
        space.mean_KD[2], space.reference_RD[label_R == 2].mean(0), atol=1e-4
    )


def test_few_references_share_a_spread_and_many_have_their_own(rng):
    wide = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) * 5])
    label_R = np.repeat([0, 1], 300)
    own = fit_space(wide, label_R, 2).covariance_KDD
    assert np.trace(own[1]) > 10 * np.trace(own[0])
    few = np.concatenate([np.arange(3), np.arange(300, 303)])
    shared = fit_space(wide[few], label_R[few], 2).covariance_KDD
    np.testing.assert_array_equal(shared[0], shared[1])


def test_the_spread_of_few_references_is_not_too_small(rng):
    """The mean of three takes a third of their spread with it, which is given back."""
    traces = [
        np.trace(fit_space(rng.normal(size=(30, 5)), np.arange(30) % 10, 10).covariance_KDD[0])
        for _ in range(200)
    ]
    assert np.mean(traces) == pytest.approx(5, rel=0.05)


def test_a_set_of_the_references_covers_them_and_a_heap_does_not(rng):
    reference_RD = rng.normal(size=(30, 3)).astype(np.float32)
    same = set_facts(reference_RD.copy(), reference_RD, 0)
    assert (same["precision"], same["recall"], same["coverage"]) == (1, 1, 1)
    heap = set_facts(np.tile(reference_RD[:1], (30, 1)), reference_RD, 0)
    assert heap["recall"] < 0.1
    assert heap["coverage"] < 0.5
    assert heap["different"] == pytest.approx(1, abs=1e-6)
    assert same["different"] > 3
    far = set_facts(reference_RD + 100, reference_RD, 0)
    assert (far["precision"], far["recall"], far["density"], far["coverage"]) == (0, 0, 0, 0)
    assert set_facts(reference_RD[:1], reference_RD, 0)["different"] == 1


@pytest.mark.parametrize("scale", [1, 100])
@pytest.mark.parametrize("copies", [0.69, 0.75, 0.9])
def test_herding_takes_of_copies_what_candidates_hold_of_them(copies, scale, rng):
    candidate_ND = rng.normal(size=(1000, 4)).astype(np.float32) + 3
    of_copies = rng.random(1000) < copies
    candidate_ND[of_copies] = candidate_ND[of_copies][0]
    choice = replace(choice_of(rng), candidate_ND=candidate_ND * np.float32(scale), wanted=100)
    rows = chosen("herding", choice)
    assert len({*rows.tolist()}) == 100
    assert of_copies[rows].mean() == pytest.approx(copies, abs=0.13)
    if scale > 1:
        same = replace(choice, candidate_ND=candidate_ND)
        np.testing.assert_array_equal(rows[:20], chosen("herding", same)[:20])
