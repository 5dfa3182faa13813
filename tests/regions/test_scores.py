"""Label, quality and their join, against slow oracles and at their edges."""

import dataclasses

import numpy as np
import pytest
from scipy.special import stdtr
from scipy.stats import t as student
from sklearn.covariance import LedoitWolf

from rayqc.config.regions import Regions
from rayqc.errors import ConfigError
from rayqc.images.detail import OwnSize
from rayqc.regions.base import Altered, Candidates
from rayqc.regions.fitting import settings_of
from rayqc.regions.joint import Odds, RawScores, combine, fit_join
from rayqc.regions.own_references import own_references
from rayqc.regions.scores.alteration import fit_alteration, restore_alteration
from rayqc.regions.scores.base import MOST_ODDS
from rayqc.regions.scores.detail import fit_detail, restore_detail
from rayqc.regions.scores.distance_scale import EVEN_NATS, FREEDOM, fit_distance_scale
from rayqc.regions.scores.label import (
    LEAST_SHRINKAGE,
    LEAST_WEIGHT,
    PENALTY,
    fit_label,
    fit_label_scale,
    log_odds,
    restore_label,
    restore_label_scale,
    shrinkage_of,
    softened,
)
from rayqc.regions.scores.nearness import fit_nearness, restore_nearness
from rayqc.regions.scores.seams import fit_seams, restore_seams
from rayqc.regions.scores.texture import fit_texture, restore_texture
from rayqc.regions.separation import auroc
from rayqc.regions.usual import BEND, LEAST_SPREAD, SHRINK_MEANS, fit_usual
from rayqc.regions.views.base import ScorerSettings


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
    settings = ScorerSettings(views=views, augment=False)
    score = fit_label(shapes(20, rng), 2, settings, seed=0)
    fresh = shapes(60, rng)
    found = log_odds(score.log_probability(fresh).sum(1), fresh.label_N)
    assert np.mean(found < 0) > 0.8
    restored = restore_label(score.arrays(), 2, channels=1)
    np.testing.assert_array_equal(restored.log_probability(fresh), score.log_probability(fresh))


def test_equal_seeds_give_equal_scores_and_one_class_is_always_itself(rng):
    known, fresh = shapes(12, rng, channels=3), shapes(8, rng, channels=3)
    settings = ScorerSettings(views=("edges", "patches"), flip=True)
    first, second = (fit_label(known, 2, settings, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.log_probability(fresh), second.log_probability(fresh))
    alone = Candidates(
        images_NHWC=known.images_NHWC, latent_ND=known.latent_ND, label_N=np.zeros(12, int)
    )
    single = fit_label(alone, 1, ScorerSettings(), seed=0)
    assert single.log_probability(alone).shape == (12, 0, 1)
    scale = fit_label_scale(single.raw(alone), alone.label_N, 1)
    assert (scale.log_odds(single.raw(alone), alone.label_N) == -MOST_ODDS).all()


def test_the_latent_is_a_view(rng):
    known, fresh = shapes(30, rng), shapes(30, rng)
    for part in (known, fresh):
        part.latent_ND[:, 0] = 4.0 * part.label_N
    score = fit_label(known, 2, ScorerSettings(views=("latent",)), seed=0)
    assert (log_odds(score.log_probability(fresh)[:, 0], fresh.label_N) < 0).all()


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


def scores_of(log_probability_NVK, quality_N, label_N):
    """Raw scores of label and quality."""
    return RawScores(
        by_score={
            "label": {"log_probability_NVK": log_probability_NVK},
            "quality": {"distance_N": quality_N},
        },
        label_N=label_N,
    )


def raw(rng, count=60, classes=4):
    return scores_of(
        log_probability_NVK=rng.normal(size=(count, 3, classes)),
        quality_N=np.exp(rng.normal(size=count)),
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


def test_what_is_measured_twice_is_one_term_of_the_joint(rng):
    names = ("label", "quality", "detail", "seams", "nearness", "texture", "alteration")
    odds = Odds(by_score={name: rng.normal(size=30) * 3 for name in names})
    label, *pixels_and_features = np.exp(list(odds.by_score.values()))
    expected = (1 + label) * (1 + sum(pixels_and_features[:3])) * (1 + sum(pixels_and_features[3:]))
    np.testing.assert_allclose(odds.evidence("joint"), np.log(expected))


def test_the_largest_evidence_stays_finite():
    odds = Odds(by_score={"quality": np.array([MOST_ODDS]), "detail": np.array([MOST_ODDS])})
    np.testing.assert_allclose(odds.evidence("joint"), MOST_ODDS + np.log(2))


def test_a_score_that_is_not_struck_adds_nothing_to_one_that_is():
    odds = Odds(by_score={"label": np.array([6.0, 6.0]), "quality": np.array([-3.0, -200.0])})
    joint = odds.evidence("joint")
    assert joint[0] - joint[1] < 0.05


def test_the_join_turns_wrong_labels_into_odds_above_those_of_right_ones(rng):
    scores = raw(rng, count=200)
    log_probability_NVK = scores.by_score["label"]["log_probability_NVK"]
    log_probability_NVK[np.arange(200), :, scores.label_N] += 3
    join = fit_join(scores, 4)
    wrong = dataclasses.replace(scores, label_N=(scores.label_N + 1) % 4)
    right_N, wrong_N = (join.odds(part).by_score["label"] for part in (scores, wrong))
    even = softened(np.zeros(1), join.scales["label"].softness)
    assert np.mean(wrong_N > even) > 0.9
    assert np.mean(right_N > even) < 0.1


def test_a_view_that_sees_nothing_has_no_say(rng):
    """One view of three tells classes apart: the others are weighed down, not averaged in."""
    scores = raw(rng, count=200, classes=2)
    log_probability_NVK = scores.by_score["label"]["log_probability_NVK"]
    log_probability_NVK[:, [0, 2]] *= 5
    log_probability_NVK[np.arange(200), 1, scores.label_N] += 6
    scale = fit_join(scores, 2).scales["label"]
    assert scale.weight_V[1] > 10 * max(scale.weight_V[[0, 2]])
    assert scale.weight_V.min() > 0
    weighted = scale.weighted(scores.by_score["label"])
    expected = sum(scale.weight_V[v] * log_probability_NVK[:, v] for v in range(3))
    np.testing.assert_allclose(weighted, expected)
    assert np.mean(weighted.argmax(1) == scores.label_N) > 0.99


def test_the_weights_of_views_are_the_best_there_are(rng):
    """No step from the weights found lowers the loss, as a grid around them shows."""
    scores = raw(rng, count=300)
    log_probability_NVK = scores.by_score["label"]["log_probability_NVK"]
    log_probability_NVK[np.arange(300), :2, scores.label_N] += 1.5
    found = fit_join(scores, 4).scales["label"]

    def loss(weight_V, offset):
        total = PENALTY * np.sum(weight_V**2)
        for shift, sign in ((0, 1), (1, -1), (2, -1), (3, -1)):
            label = (scores.label_N + shift) % 4
            odds = offset + sum(
                w * log_odds(log_probability_NVK[:, v], label) for v, w in enumerate(weight_V)
            )
            total += np.logaddexp(0, sign * odds).mean() / (1 if shift == 0 else 3)
        return total

    least = loss(found.weight_V, found.offset)
    for step in np.vstack([np.eye(4), -np.eye(4)]) * 0.03:
        weight_V = np.maximum(found.weight_V + step[:3], LEAST_WEIGHT)
        assert loss(weight_V, found.offset + step[3]) >= least - 1e-6


def test_odds_of_a_distance_are_its_surprise_under_students_tail(rng):
    scores = raw(rng, count=500)
    scale = fit_join(scores, 4).scales["quality"]
    z = np.array([-2.0, 0.0, 1.0, 6.0, 50.0])
    distance = np.exp(scale.mean_K[0] + scale.spread_K[0] * z) - 1e-3
    odds = scale.log_odds({"distance_N": distance}, np.zeros(5, int))
    expected = -student.logsf(z[:4], FREEDOM) - EVEN_NATS
    np.testing.assert_allclose(odds[:4], expected, rtol=1e-6)
    assert np.isfinite(odds[4])
    assert (np.diff(odds) > 0).all()


def test_two_terms_of_distances_are_even_farther_out_than_one(rng):
    """Quality alone is even where one genuine image in 12 lies farther, beside texture one in 55.

    Detail is in quality's term, so beside it quality stays. The label is softened half as much.
    """
    scores = raw(rng, count=200)
    scores.by_score["label"]["log_probability_NVK"][np.arange(200), :, scores.label_N] += 20
    distance = {"distance_N": np.exp(rng.normal(size=200))}

    def fitted(*beside):
        by_score = scores.by_score | dict.fromkeys(beside, distance)
        return fit_join(RawScores(by_score=by_score, label_N=scores.label_N), 4).scales

    alone, detail, texture, both = (
        fitted(*beside) for beside in ((), ("detail",), ("texture",), ("texture", "nearness"))
    )
    assert alone["quality"].even == detail["quality"].even == detail["detail"].even == 2.5
    assert texture["quality"].even == texture["texture"].even == both["nearness"].even == 4.0
    z = student.isf(1 / 55, FREEDOM)
    far = np.exp(texture["quality"].mean_K[0] + texture["quality"].spread_K[0] * z) - 1e-3
    even = texture["quality"].log_odds({"distance_N": np.array([far])}, np.zeros(1, int))
    assert even[0] == pytest.approx(0, abs=0.01)
    assert alone["label"].softness == pytest.approx(2 * texture["label"].softness)
    assert texture["label"].softness > 1


def test_a_pool_made_otherwise_all_over_does_not_drown_the_label(rng):
    """Distances five spreads away, and spread themselves: wrong labels still stand out."""
    scores = raw(rng, count=400)
    scores.by_score["label"]["log_probability_NVK"][np.arange(400), :, scores.label_N] += 3
    join = fit_join(scores, 4)
    away = np.exp(rng.normal(5, 1, 400))
    moved = scores_of(scores.by_score["label"]["log_probability_NVK"], away, scores.label_N)
    wrong = dataclasses.replace(moved, label_N=(moved.label_N + 1) % 4)
    right_N, wrong_N = (join.odds(part).evidence("joint") for part in (moved, wrong))
    alone = [join.odds(part).evidence("label") for part in (moved, wrong)]
    assert auroc(right_N, wrong_N) > auroc(*alone) - 0.05


def test_softened_odds_have_the_softened_evidence():
    odds = np.array([-300.0, -40.0, -8.0, 0.0, 8.0, 300.0])
    np.testing.assert_allclose(softened(odds, 1.0), odds, atol=1e-9)
    soft = softened(odds, 4.0)
    np.testing.assert_allclose(np.logaddexp(0, soft[1:]), 4 * np.logaddexp(0, odds[1:] / 4))
    assert (np.diff(soft) > 0).all()
    assert soft[2] > -1 and soft[-1] == 300


def test_good_labels_are_told_from_better_ones_in_a_pool_made_otherwise(rng):
    """The label tells two halves of a pool apart far below even; distances say a little of all."""
    scores = raw(rng, count=400)
    log_probability_NVK = scores.by_score["label"]["log_probability_NVK"]
    log_probability_NVK[np.arange(400), :, scores.label_N] += 12
    join = fit_join(scores, 4)
    assert join.scales["label"].softness > 2
    doubtful_NVK = log_probability_NVK.copy()
    doubtful_NVK[np.arange(400), :, scores.label_N] -= 5
    away = np.exp(rng.normal(1, 0.5, 400))
    better, worse = (
        join.odds(scores_of(log_p_NVK, away, scores.label_N))
        for log_p_NVK in (log_probability_NVK, doubtful_NVK)
    )
    found = auroc(better.evidence("joint"), worse.evidence("joint"))
    join.scales["label"] = dataclasses.replace(join.scales["label"], softness=1.0)
    straight = [
        join.odds(scores_of(log_p_NVK, away, scores.label_N)).evidence("joint")
        for log_p_NVK in (log_probability_NVK, doubtful_NVK)
    ]
    assert found > auroc(*straight) + 0.1


def test_a_label_scale_is_read_as_it_was_written(rng):
    scores = raw(rng, count=100)
    fitted = fit_join(scores, 4).scales["label"]
    scale = dataclasses.replace(fitted, weight_V=np.array([2.0, 1.0, 0.5]), shrinkage=0.8)
    read = restore_label_scale(scale.facts(), scale.arrays())
    found, label_N = scores.by_score["label"], scores.label_N
    np.testing.assert_array_equal(read.log_odds(found, label_N), scale.log_odds(found, label_N))
    assert read.shrinkage == 0.8


def test_what_few_images_tell_is_shrunk():
    # Chi square is 2 * 100 * (log 2 - 0.2) = 98.6.
    assert shrinkage_of(100, 0.2, 3) == pytest.approx(1 - 3 / 98.629, abs=1e-4)
    assert shrinkage_of(100, 0.2, 3) > shrinkage_of(10, 0.2, 3) > shrinkage_of(10, 0.4, 3)
    assert shrinkage_of(10, np.log(2), 3) == shrinkage_of(10, 0.9, 3) == LEAST_SHRINKAGE


def test_a_label_that_tells_nothing_is_no_noise_beside_other_scores(rng):
    """Of twenty references of two classes whose labels were guessed by three views."""

    def guessed(count):
        logit_NV = 2 * rng.normal(size=(count, 3))
        both = np.stack([logit_NV, -logit_NV], axis=2) / 2
        return {"log_probability_NVK": both - np.logaddexp(*np.moveaxis(both, 2, 0))[..., None]}

    spreads = []
    for _ in range(20):
        scale = fit_label_scale(guessed(20), np.arange(20) % 2, 2)
        believed = dataclasses.replace(scale, shrinkage=1.0)
        fresh, label_N = guessed(200), np.arange(200) % 2
        spreads.append(
            [np.logaddexp(0, each.log_odds(fresh, label_N)).std() for each in (scale, believed)]
        )
    shrunk, straight = np.median(spreads, axis=0)
    assert shrunk < straight / 2


def test_one_odd_reference_hardly_moves_the_scale(rng):
    scores = raw(rng, count=100)
    quality = scores.by_score["quality"]
    odd = scores_of(
        scores.by_score["label"]["log_probability_NVK"],
        np.where(np.arange(100) == 7, 1e9, quality["distance_N"]),
        scores.label_N,
    )
    before, after = (fit_join(part, 4).scales["quality"] for part in (scores, odd))
    np.testing.assert_allclose(after.spread_K, before.spread_K, rtol=0.2)


def test_nearness_is_the_mean_distance_to_the_three_nearest_of_the_own_class(rng):
    known, fresh = shapes(40, rng), shapes(10, rng)
    settings = ScorerSettings(seen=False)
    score = fit_nearness(known, 2, settings, seed=0)
    found = score.raw(fresh)["distance_N"]
    for row in range(10):
        own = known.latent_ND[known.label_N == fresh.label_N[row]]
        away = np.sort(np.linalg.norm(own - fresh.latent_ND[row], axis=1))[:3]
        assert found[row] == pytest.approx(away.mean(), rel=1e-5)
    restored = restore_nearness(score.arrays(), 2, 1)
    np.testing.assert_array_equal(restored.raw(fresh)["distance_N"], found)
    assert fit_nearness(known, 2, ScorerSettings(seen=True), seed=0) is None
    of_class_0 = fit_nearness(known[known.label_N == 0], 2, settings, seed=0)
    assert np.isfinite(of_class_0.raw(fresh)["distance_N"]).all()  # class 1 has no reference


def with_detail(candidates, rng, spread=1.0):
    """The same, with statistics of nine tiles; one tile of each image is far off."""
    detail = rng.normal(scale=spread, size=(len(candidates), 9, 5))
    detail[:, 4] += 40.0
    own_size = OwnSize(detail_NTS=detail.astype(np.float32))
    return dataclasses.replace(candidates, own_size=own_size)


def test_detail_looks_at_the_usual_half_of_the_tiles(rng):
    settings = ScorerSettings()
    known = with_detail(shapes(40, rng), rng)
    score = fit_detail(known, 2, settings, seed=0)
    fresh = with_detail(shapes(50, rng), rng)
    noisy = with_detail(shapes(50, rng), rng, spread=4.0)
    found, far = (score.raw(part)["distance_N"] for part in (fresh, noisy))
    assert auroc(found, far) > 0.99
    tiles = fresh.own_size.detail_NTS[3]
    alone = np.sort(score.usual.distance(tiles, np.repeat(fresh.label_N[3], 9)))[:5]
    assert found[3] == pytest.approx(np.exp(np.log(alone + 1e-3).mean()), rel=1e-6)
    restored = restore_detail(score.arrays(), 2, 1)
    np.testing.assert_array_equal(restored.raw(fresh)["distance_N"], found)
    assert fit_detail(shapes(40, rng), 2, settings, seed=0) is None


def with_seams(candidates, rng, pasted=0.0):
    """The same, with statistics of straight edges; what is pasted has one along a whole row."""
    seams = rng.normal(scale=0.3, size=(len(candidates), 6))
    seams[:, :3] += pasted
    return dataclasses.replace(candidates, own_size=OwnSize(seams_NS=seams.astype(np.float32)))


def test_a_class_without_references_is_measured_from_all(rng):
    """The nearest of all would be nearer than a class's own, whose fresh images then lie far."""
    value_RD = rng.normal(size=(50, 8)).astype(np.float32)
    fresh_ND = rng.normal(size=(40, 8)).astype(np.float32)
    all_others = own_references(value_RD[1:], np.arange(1, 50), 50)
    found = all_others.distance(value_RD[:1], np.array([0]))
    apart = np.linalg.norm(value_RD[1:] - value_RD[0], axis=1)
    np.testing.assert_allclose(found, apart.mean(), rtol=1e-5)
    # So out-of-fold distances of single references are those of fresh images, on the average.
    out_of_fold = [
        own_references(np.delete(value_RD, row, 0), np.delete(np.arange(50), row), 50).distance(
            value_RD[row : row + 1], np.array([row])
        )[0]
        for row in range(50)
    ]
    own = own_references(value_RD, np.arange(50), 50)
    of_fresh = own.distance(fresh_ND, np.arange(40))
    assert np.mean(out_of_fold) == pytest.approx(of_fresh.mean(), rel=0.1)


def test_of_one_reference_distances_are_plain_ones():
    """Not zero, as by the inverse of no covariance: then no other image would be told from it."""
    usual = fit_usual(np.zeros((1, 3)), np.array([0]), 1)
    distance = usual.distance(np.array([[0.0, 0, 0], [0.3, 0, 0.15]]), np.array([0, 0]))
    assert distance[0] == 0
    assert distance[1] == pytest.approx(np.hypot(2, 1), rel=0.02)


def test_seams_are_told_in_both_directions(rng):
    """Straighter edges than those of the class, and none where the class has some."""
    settings = ScorerSettings()
    score = fit_seams(with_seams(shapes(40, rng), rng), 2, settings, seed=0)
    fresh = with_seams(shapes(50, rng), rng)
    found = score.raw(fresh)["distance_N"]
    for pasted in (-2.0, 2.0):
        odd = with_seams(shapes(50, rng), rng, pasted)
        assert auroc(found, score.raw(odd)["distance_N"]) > 0.99
    restored = restore_seams(score.arrays(), 2, 1)
    np.testing.assert_array_equal(restored.raw(fresh)["distance_N"], found)
    assert fit_seams(shapes(40, rng), 2, settings, seed=0) is None
    with pytest.raises(ValueError, match="come without seams"):
        score.raw(shapes(3, rng))


def with_altered(candidates, rng, copies=4):
    """The same, with altered copies, which lie elsewhere by one number of each kind of features."""
    of_C = np.arange(len(candidates)).repeat(copies)
    middle = rng.normal(size=(len(candidates), 6)).astype(np.float32)
    altered = {
        "latent": rng.normal(size=(of_C.size, 3)) + np.array([0, 4, 0]),
        "middle": rng.normal(size=(of_C.size, 6)) + 4 * np.eye(6)[0],
    }
    features = {name: value.astype(np.float32) for name, value in altered.items()}
    return dataclasses.replace(
        candidates,
        inner={"middle": middle},
        altered=Altered(features=features, of_C=of_C, other_C=of_C),
    )


def test_altered_images_are_told_from_genuine_ones(rng):
    settings = ScorerSettings(seen=False)
    references = with_altered(shapes(40, rng), rng)
    score = fit_alteration(references, 2, settings, seed=0)
    fresh = with_altered(shapes(60, rng), rng, copies=1)
    latent, middle = fresh.altered.features["latent"], fresh.altered.features["middle"]
    half = dataclasses.replace(fresh, latent_ND=latent)
    odd = dataclasses.replace(half, inner={"middle": middle})
    genuine, altered, by_one = (score.raw(part)["distance_N"] for part in (fresh, odd, half))
    assert auroc(genuine, altered) > 0.999
    assert auroc(genuine, by_one) > 0.95
    assert np.isfinite(altered).all()
    restored = restore_alteration(score.arrays(), 2, 1)
    np.testing.assert_array_equal(restored.raw(odd)["distance_N"], altered)
    assert fit_alteration(shapes(40, rng), 2, settings, seed=0) is None


def test_how_far_an_image_lies_among_genuine_ones_does_not_depend_on_how_well_they_are_told(rng):
    """However sure the classifier is, the scale sees all of its log odds."""
    settings = ScorerSettings(seen=False)
    far = with_altered(shapes(200, rng), rng)
    moved = {name: value + 30 for name, value in far.altered.features.items()}
    far = dataclasses.replace(far, altered=dataclasses.replace(far.altered, features=moved))
    score = fit_alteration(far, 2, settings, seed=0)
    raw = score.raw(with_altered(shapes(200, rng), rng))
    log_N = np.log(raw["distance_N"])
    scale = fit_distance_scale(raw, np.zeros(200, int), 1)
    z_N = (log_N - log_N.mean()) / log_N.std()
    expected_N = -np.log(stdtr(4, -z_N))
    surprise_N = scale.log_odds(raw, np.zeros(200, int)) + scale.even
    assert 10 * log_N.mean() < -10, "nats: sure of them"
    np.testing.assert_allclose(surprise_N, expected_N, atol=0.35)


def test_a_copy_with_parts_of_a_held_out_reference_is_held_out(rng):
    """Otherwise a genuine image would be told as altered, by what is known of itself."""
    references = with_altered(shapes(6, rng), rng, copies=2)
    other_C = references.altered.of_C.copy()
    other_C[[1, 5]] = 3, 0  # copies of references 0 and 2
    altered = dataclasses.replace(references.altered, other_C=other_C)
    references = dataclasses.replace(references, altered=altered)
    kept = references[np.array([2, 0, 5])].altered
    assert kept.of_C.tolist() == [1, 0, 0, 2, 2]
    assert kept.other_C.tolist() == [1, 0, 1, 2, 2]
    for name, value_CF in altered.features.items():
        np.testing.assert_array_equal(kept.features[name], value_CF[[0, 4, 5, 10, 11]])
    assert references[np.array([3])].altered.of_C.tolist() == [0, 0]
    by_mask = references[np.arange(6) % 2 == 0].altered
    assert by_mask.of_C.tolist() == [0, 1, 1, 2, 2]


def with_middle(candidates, rng, shift=0.0):
    """The same, with six middle features: they know the class, and one counts in tenths."""
    middle = rng.normal(size=(len(candidates), 6)) + candidates.label_N[:, None] * 5
    middle[:, 2] = (middle[:, 2] + shift) / 10
    return dataclasses.replace(candidates, inner={"middle": middle.astype(np.float32)})


def test_texture_measures_each_feature_in_its_own_spread(rng):
    """A shift of a feature of small numbers is seen, and the distance is in mean deviations."""
    settings = ScorerSettings(seen=False)
    known = with_middle(shapes(60, rng), rng)
    score = fit_texture(known, 2, settings, seed=0)
    fresh, shifted = (with_middle(shapes(60, rng), rng, shift) for shift in (0.0, 8.0))
    found, far = (score.raw(part)["distance_N"] for part in (fresh, shifted))
    assert auroc(found, far) > 0.95
    assert 0.2 < np.median(found) < 2
    restored = restore_texture(score.arrays(), 2, 1)
    np.testing.assert_array_equal(restored.raw(fresh)["distance_N"], found)


def test_texture_is_left_out_where_the_encoder_has_no_middle(rng):
    known = with_middle(shapes(12, rng), rng)
    assert fit_texture(shapes(12, rng), 2, ScorerSettings(seen=False), seed=0) is None
    assert fit_texture(known, 2, ScorerSettings(seen=True), seed=0) is None
    score = fit_texture(known, 2, ScorerSettings(seen=False), seed=0)
    with pytest.raises(ValueError, match="without middle features"):
        score.raw(shapes(3, rng))
    one = fit_texture(known[known.label_N == 0], 2, ScorerSettings(seen=False), seed=0)
    assert np.isfinite(one.raw(known)["distance_N"]).all()
    blank = known.blank()
    assert not blank.inner["middle"].any()
    assert blank.inner["middle"].shape == known.inner["middle"].shape


def test_texture_sees_what_differs_where_a_class_hardly_differs(rng):
    """Two channels go together in every class: that one of them goes alone is seen."""

    def together(count, apart=0.0):
        first = rng.normal(size=count)
        second = first + rng.normal(0, 0.05, count) + apart * rng.choice([-1, 1], count)
        images = shapes(count, rng)
        inner = {"middle": np.stack([first, second], axis=1).astype(np.float32)}
        return dataclasses.replace(images, inner=inner)

    score = fit_texture(together(60), 2, ScorerSettings(seen=False), seed=0)
    found, far = (score.raw(together(200, apart))["distance_N"] for apart in (0.0, 0.7))
    assert auroc(found, far) > 0.95


def test_texture_of_one_reference_a_class_still_tells_far_from_near(rng):
    images = shapes(60, rng)
    pair = np.array([np.flatnonzero(images.label_N == k)[0] for k in (0, 1)])
    known = with_middle(images[pair], rng)
    score = fit_texture(known, 2, ScorerSettings(seen=False), seed=0)
    near, far = (with_middle(images, rng, shift) for shift in (0.0, 100.0))
    found = [score.raw(part)["distance_N"] for part in (near, far)]
    assert all(np.isfinite(part).all() for part in found)
    assert np.median(found[1]) > np.median(found[0])


def with_places(candidates, rng):
    """The same, with a hundred features of which three know the class."""
    values = rng.normal(size=(len(candidates), 100))
    values[:, :3] += 4 * candidates.label_N[:, None]
    return dataclasses.replace(candidates, inner={"places": values.astype(np.float32)})


def test_the_view_places_tells_classes_by_features_of_an_inner_layer(rng):
    settings = ScorerSettings(views=("places",), seen=False)
    known, fresh = (with_places(shapes(60, rng), rng) for _ in range(2))
    score = fit_label(known, 2, settings, seed=0)
    own_N = log_odds(score.log_probability(fresh)[:, 0], fresh.label_N)
    wrong_N = log_odds(score.log_probability(fresh)[:, 0], 1 - fresh.label_N)
    assert auroc(own_N, wrong_N) > 0.95
    restored = restore_label(score.arrays(), 2, 1)
    np.testing.assert_array_equal(restored.log_probability(fresh), score.log_probability(fresh))
    with pytest.raises(ValueError, match="without features of places"):
        score.log_probability(shapes(3, rng))


def test_places_is_a_view_where_the_encoder_gives_them_alone():
    own = ("edges", "patches", "network")
    assert settings_of(Regions(), 3, False, ["middle", "places"]).scorer.views == (
        *own,
        "latent",
        "places",
    )
    assert settings_of(Regions(), 3, False).scorer.views == (*own, "latent")
    # An encoder that was trained on the references has seen them, inside as well.
    assert settings_of(Regions(), 3, True, ["places"]).scorer.views == own
    assert settings_of(Regions(views=["edges"]), 3, False, ["places"]).scorer.views == ("edges",)
    asked = Regions(views=["edges", "places"])
    assert settings_of(asked, 3, False, ["places"]).scorer.views == ("edges", "places")
    with pytest.raises(ConfigError, match="places needs an encoder whose inner layers"):
        settings_of(asked, 3, False)
