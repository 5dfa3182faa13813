"""Label, quality and their join, against slow oracles and at their edges."""

import dataclasses

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from rayqc.regions.base import Candidates
from rayqc.regions.joint import Odds, RawScores, combine, fit_join
from rayqc.regions.scores.label import fit_label, log_odds, restore_label
from rayqc.regions.scores.quality import BEND, LEAST_SPREAD, SHRINK_MEANS, fit_usual
from rayqc.regions.scores.quality_scale import LEAST_NATS, NOISE_SHARE
from rayqc.regions.views.base import LabelSettings


def shapes(count, rng, channels=1):
    """Bars: class 0 upright, class 1 level; with noise."""
    label = np.arange(count) % 2
    images = rng.integers(0, 60, (count, 12, 12, channels))
    for row, k in enumerate(label):
        place = rng.integers(3, 8)
        if k:
            images[row, place : place + 2] += 180
        else:
            images[row, :, place : place + 2] += 180
    latent = rng.normal(size=(count, 3)).astype(np.float32)
    return Candidates(images_NHWC=images.astype(np.uint8), latent_ND=latent, label_N=label)


def test_log_odds_are_the_definition(rng):
    logits = rng.normal(size=(20, 4))
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    label = rng.integers(0, 4, 20)
    p = np.exp(log_p[np.arange(20), label])
    np.testing.assert_allclose(log_odds(log_p, label), np.log((1 - p) / p), rtol=1e-6)
    # Adding a constant, as a mean of log-probabilities does, changes nothing.
    np.testing.assert_allclose(log_odds(log_p + 3, label), log_odds(log_p, label), rtol=1e-6)
    assert log_odds(log_p[:, :1], np.zeros(20, int)).tolist() == [-np.inf] * 20


@pytest.mark.parametrize("views", [("edges",), ("patches",), ("network",), ("edges", "patches")])
def test_the_label_tells_bars_apart(views, rng):
    settings = LabelSettings(views=views, augment=False)
    score = fit_label(shapes(20, rng), 2, settings, seed=0)
    fresh = shapes(60, rng)
    found = log_odds(score.log_probability(fresh), fresh.label_N)
    assert np.mean(found < 0) > 0.8
    restored = restore_label(score.arrays(), 2, channels=1)
    np.testing.assert_array_equal(restored.log_probability(fresh), score.log_probability(fresh))


def test_equal_seeds_give_equal_scores_and_one_class_is_always_itself(rng):
    known, fresh = shapes(12, rng, channels=3), shapes(8, rng, channels=3)
    settings = LabelSettings(views=("edges", "patches"), flip=True)
    first, second = (fit_label(known, 2, settings, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.log_probability(fresh), second.log_probability(fresh))
    alone = Candidates(
        images_NHWC=known.images_NHWC, latent_ND=known.latent_ND, label_N=np.zeros(12, int)
    )
    single = fit_label(alone, 1, LabelSettings(), seed=0)
    assert (log_odds(single.log_probability(alone), alone.label_N) == -np.inf).all()


def test_the_latent_is_a_view(rng):
    known, fresh = shapes(30, rng), shapes(30, rng)
    for part in (known, fresh):
        part.latent_ND[:, 0] = 4.0 * part.label_N
    score = fit_label(known, 2, LabelSettings(views=("latent",)), seed=0)
    assert (log_odds(score.log_probability(fresh), fresh.label_N) < 0).all()


def test_quality_against_the_definition(rng):
    statistics, label = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    statistics[:, 4] = 1.0  # constant among the references
    found = fit_usual(statistics, label, 3)
    bend = lambda d: BEND * np.arcsinh(d / BEND)  # noqa: E731
    means = []
    for k in range(3):
        mine = statistics[label == k]
        pulled = mine.sum(0) + SHRINK_MEANS * statistics.mean(0)
        means.append(pulled / (len(mine) + SHRINK_MEANS))
    count = np.bincount(label)
    deviation = np.array(
        [
            (s - means[k]) * np.sqrt((count[k] + 1) / (count[k] - 1))
            for s, k in zip(statistics, label, strict=True)
        ]
    )
    spread = np.sqrt(deviation.var(0) + LEAST_SPREAD**2)
    covariance = LedoitWolf(assume_centered=True).fit(bend(deviation / spread)).covariance_
    fresh = rng.normal(size=(10, 5))
    own = rng.integers(0, 3, 10)
    for row in range(10):
        away = bend((fresh[row] - means[own[row]]) / spread)
        slow = np.sqrt(away @ np.linalg.inv(covariance) @ away)
        assert found.distance(fresh[[row]], own[[row]])[0] == pytest.approx(slow, rel=1e-6)


def scores_of(log_probability_NK, quality_N, noise_N, label_N):
    """Raw scores of label and quality."""
    return RawScores(
        by_score={
            "label": {"log_probability_NK": log_probability_NK},
            "quality": {"distance_N": quality_N, "noise_N": noise_N},
        },
        label_N=label_N,
    )


def raw(rng, count=60, classes=4):
    return scores_of(
        log_probability_NK=rng.normal(size=(count, classes)),
        quality_N=np.exp(rng.normal(size=count)),
        noise_N=np.full(count, np.exp(8.0)),
        label_N=rng.integers(0, classes, count),
    )


def test_evidence_is_the_log_of_one_and_the_odds(rng):
    odds = Odds(by_score={"label": rng.normal(size=30) * 3, "quality": rng.normal(size=30) * 3})
    label, quality = np.exp(odds.by_score["label"]), np.exp(odds.by_score["quality"])
    np.testing.assert_allclose(odds.evidence("label"), np.log(1 + label))
    np.testing.assert_allclose(odds.evidence("quality"), np.log(1 + quality))
    np.testing.assert_allclose(odds.evidence("joint"), np.log((1 + label) * (1 + quality)))
    for statistic in ("label", "quality", "joint"):
        parts = {"label": odds.evidence("label"), "quality": odds.evidence("quality")}
        np.testing.assert_allclose(combine(parts, statistic), odds.evidence(statistic))


def test_a_score_that_is_not_struck_adds_nothing_to_one_that_is():
    odds = Odds(by_score={"label": np.array([6.0, 6.0]), "quality": np.array([-3.0, -200.0])})
    joint = odds.evidence("joint")
    assert joint[0] - joint[1] < 0.05


def test_the_join_turns_wrong_labels_into_odds_above_those_of_right_ones(rng):
    scores = raw(rng, count=200)
    log_probability_NK = scores.by_score["label"]["log_probability_NK"]
    log_probability_NK[np.arange(200), scores.label_N] += 3
    join = fit_join(scores, 4)
    assert join.scales["label"].slope > 0
    wrong = dataclasses.replace(scores, label_N=(scores.label_N + 1) % 4)
    right_N, wrong_N = (join.odds(part).by_score["label"] for part in (scores, wrong))
    assert np.mean(wrong_N > 0) > 0.7
    assert np.mean(right_N > 0) < 0.3


def test_quality_odds_look_at_the_unusual_only(rng):
    join = fit_join(raw(rng, count=500), 4)
    usual = scores_of(
        log_probability_NK=np.zeros((3, 4)),
        quality_N=np.array([1e-3, 0.2, 400.0]),
        noise_N=np.full(3, 1.0),
        label_N=np.zeros(3, int),
    )
    found = join.odds(usual).by_score["quality"]
    assert found[0] == found[1] == -join.scales["quality"].even()
    assert found[2] > 5


def test_even_odds_lie_halfway_to_white_noise(rng):
    join = fit_join(raw(rng, count=500), 4)
    scale = join.scales["quality"]
    assert scale.noise == pytest.approx(8, rel=0.1)  # of a unit normal's spreads
    middle = np.exp(scale.mean_K[0] + NOISE_SHARE * scale.noise * scale.spread_K[0])
    halfway = scores_of(
        log_probability_NK=np.zeros((1, 4)),
        quality_N=np.array([middle]),
        noise_N=np.ones(1),
        label_N=np.zeros(1, int),
    )
    beyond = (NOISE_SHARE * scale.noise) ** 2 / 2
    expected = beyond - np.log(beyond)
    assert join.odds(halfway).by_score["quality"][0] == pytest.approx(expected, rel=1e-2)
    nearest = dataclasses.replace(scale, noise_share=1e-9)
    assert nearest.even() == pytest.approx(np.log(LEAST_NATS))


def test_one_odd_reference_hardly_moves_the_scale(rng):
    scores = raw(rng, count=100)
    quality = scores.by_score["quality"]
    odd = scores_of(
        scores.by_score["label"]["log_probability_NK"],
        np.where(np.arange(100) == 7, 1e9, quality["distance_N"]),
        quality["noise_N"],
        scores.label_N,
    )
    before, after = (fit_join(part, 4).scales["quality"] for part in (scores, odd))
    np.testing.assert_allclose(after.spread_K, before.spread_K, rtol=0.2)
