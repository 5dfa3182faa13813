"""Calibrated regions: each promise on exchangeable data, storage, and judging again."""

import dataclasses

import numpy as np
import pytest

from rayqc.config.base import JOINT
from rayqc.config.regions import Regions
from rayqc.errors import ConfigError, TooFewReferencesError
from rayqc.pipeline.refilter import warn_beyond
from rayqc.regions.base import Candidates, Stored
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.fitting import choose_promise, fit_calibrated, settings_of
from rayqc.regions.promises.base import guarantee
from rayqc.regions.promises.split import choose_calibration
from rayqc.regions.scorer_tasks import fit_task, folds_of
from rayqc.regions.separation import auroc
from rayqc.regions.statistic_choice import StatisticChoice
from tests.regions.test_scores import shapes

CLASSES = ("up", "level")


def fit(known, promise="empirical", seed=0, **changes):
    wanted = Regions(promise=promise, views=["edges"], **changes)
    settings = settings_of(wanted, channels=1, seen=True)
    seen_rows = []

    def run(tasks):
        for task in tasks:
            assert not set(task.train) & set(task.asked)
            seen_rows.append((set(task.train), set(task.asked)))
        return [fit_task(task, known, 2, settings.scorer, seed) for task in tasks]

    regions, separation = fit_calibrated(known, CLASSES, settings, seed, "digest", run)
    return regions, separation, seen_rows


def calibration(**settings):
    return settings_of(Regions(views=["edges"], **settings), channels=1, seen=False)


@pytest.fixture(scope="module")
def known():
    return shapes(60, np.random.default_rng(1))


@pytest.fixture(scope="module")
def fresh():
    return shapes(400, np.random.default_rng(2))


@pytest.mark.parametrize("promise", ["split", "cv+", "empirical"])
def test_fresh_images_are_kept_and_wrong_ones_found(promise, known, fresh):
    regions, separation, _ = fit(known, promise, seed=3)
    assert regions.guarantee.promise == promise
    assert set(separation) == set(CLASSES)
    assert min(separation.values()) > 0.9
    wrong = dataclasses.replace(fresh, label_N=1 - fresh.label_N)
    noisy_images = np.random.default_rng(3).integers(0, 256, fresh.images_NHWC.shape)
    noisy = dataclasses.replace(fresh, images_NHWC=noisy_images.astype(np.uint8))
    for statistic, bad in (
        ("label", wrong),
        ("quality", noisy),
        ("joint", wrong),
        ("joint", noisy),
    ):
        kept = regions.judge(fresh, statistic)
        # One draw of references: the promise is about the mean over draws.
        assert np.mean(kept.score_N <= 1) > 0.85
        assert np.mean(regions.judge(bad, statistic).score_N <= 1) < 0.5
        np.testing.assert_array_equal(kept.nearest_N, 1 - fresh.label_N)
    decided = regions.judge(noisy, "joint").decided_by_N
    assert np.mean(decided == "quality") > 0.9


def test_no_score_has_seen_what_it_calibrates(known):
    """Split: what calibrates is in no training set. Else: each is asked by a fit without it."""
    _, _, rows = fit(known, "split")
    calibrates = rows[-1][1]
    assert len(calibrates) >= 19
    assert not any(train & calibrates for train, _ in rows)
    _, _, rows = fit(known, "empirical")
    asked = [row for _, part in rows for row in part]
    assert sorted(asked) == list(range(60))


def test_split_holds_its_promise_over_draws():
    """Marginal coverage over 40 draws of references, at 80%: within four standard errors."""
    covered = []
    for draw in range(40):
        rng = np.random.default_rng([9, draw])
        regions, _, _ = fit(shapes(40, rng), "split", seed=draw, coverage=0.8, folds=2)
        covered.append(np.mean(regions.judge(shapes(60, rng), "joint").score_N <= 1))
    error = np.std(covered) / np.sqrt(len(covered))
    assert np.mean(covered) >= 0.8 - 4 * error


def test_the_p_value_of_cv_plus_compares_each_score_with_that_of_its_own_scorer(known, fresh):
    """Barber et al. 2021: a reference counts against the scorer that had not learned from it."""
    regions, _, _ = fit(known, "cv+")
    assert len(regions.scorers) > 1
    some = fresh[:20]
    calibration = regions.calibration
    of_references_M = calibration.odds.evidence(JOINT)
    found = regions.judge(some, JOINT).p_value_N
    of_candidates_JN = np.stack(
        [
            join.odds(scorer(some)).evidence(JOINT)
            for scorer, join in zip(regions.scorers, regions.joins, strict=True)
        ]
    )
    for row in range(len(some)):
        larger = sum(
            of_references_M[m] >= of_candidates_JN[calibration.scorer_M[m], row]
            for m in range(of_references_M.size)
        )
        assert found[row] == pytest.approx((1 + larger) / (of_references_M.size + 1), abs=1e-6)
    assert found.max() <= 1


@pytest.mark.parametrize("promise", ["split", "cv+", "empirical"])
def test_regions_come_back_from_facts_and_arrays(promise, known, fresh):
    regions, _, _ = fit(known, promise)
    again = CalibratedRegions.restore(regions.facts(), regions.arrays())
    for statistic in (*regions.scores, JOINT):
        first, second = (part.judge(fresh, statistic) for part in (regions, again))
        for field in dataclasses.fields(first):
            np.testing.assert_equal(getattr(first, field.name), getattr(second, field.name))


@pytest.mark.parametrize("promise", ["split", "cv+", "empirical"])
@pytest.mark.parametrize("coverage", [0.95, 0.8])
def test_judging_again_is_judging(promise, coverage, known, fresh):
    regions, _, _ = fit(known, promise)
    # Another coverage may take another number of references to calibrate, so it is not fitted.
    said = guarantee(promise, regions.guarantee.scores, coverage, regions.folds)
    other = dataclasses.replace(regions, guarantee=said)
    for statistic in (*regions.scores, JOINT):
        judged = regions.judge(fresh, statistic)
        stored = Stored(
            label_N=fresh.label_N,
            statistic_N=np.full(len(fresh), statistic, object),
            distance_N=np.zeros(len(fresh)),
            evidence=judged.evidence,
            p_value_N=judged.p_value_N,
        )
        again, direct = regions.rejudge(stored, coverage), other.judge(fresh, statistic)
        np.testing.assert_allclose(again.score_N, direct.score_N, rtol=1e-4)
        np.testing.assert_array_equal(again.score_N <= 1, direct.score_N <= 1)
        # Scores that lie within rounding of each other may change places.
        assert np.mean(np.abs(again.p_value_N - direct.p_value_N) > 1e-6) < 0.01


def test_a_score_that_regions_lack_is_refused(known, fresh):
    """Regions that an earlier version fitted have the scores of then."""
    regions, _, _ = fit(known)
    with pytest.raises(ConfigError, match="have no score 'sharpness', only label, quality"):
        regions.judge(fresh, "sharpness")
    stored = Stored(
        label_N=fresh.label_N,
        statistic_N=np.full(len(fresh), "sharpness", object),
        distance_N=np.zeros(len(fresh)),
        evidence=regions.judge(fresh, "joint").evidence,
        p_value_N=np.zeros(len(fresh)),
    )
    with pytest.raises(ConfigError, match="have no score 'sharpness'"):
        regions.rejudge(stored, 0.9)


def test_auto_promises_where_references_are_many():
    few, many = np.repeat([0, 1], 20), np.repeat([0, 1], 50)
    auto, split = calibration(promise="auto"), calibration(promise="split")
    assert choose_promise(auto, few, 2, seen=False) == "empirical"
    assert choose_promise(auto, many, 2, seen=False) == "split"
    assert choose_promise(auto, many, 2, seen=True) == "empirical"
    assert choose_promise(auto, many, 3, seen=False) == "empirical"  # one class has none
    # Half of a hundred references are 50 scores, which promise 98% and no more.
    within = calibration(promise="auto", coverage=0.98)
    assert choose_promise(within, many, 2, seen=False) == "split"
    for coverage in (0.99, 1.0):
        beyond = calibration(promise="auto", coverage=coverage)
        assert choose_promise(beyond, many, 2, seen=False) == "empirical"
    with pytest.raises(TooFewReferencesError, match="cannot be kept with the view `latent`"):
        choose_promise(split, many, 2, seen=True)
    with pytest.raises(TooFewReferencesError, match="at least 2 references, found 1"):
        fit(shapes(1, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("settings", "references", "found"),
    [
        ({"promise": "cv+"}, 18, "5 folds and 18 references"),
        ({"promise": "cv+", "coverage": 1.0}, 60, "5 folds and 60 references"),
        ({"promise": "cv+", "folds": 2}, 60, "2 folds and 60 references"),
        ({"promise": "split", "coverage": 0.99}, 100, "found 50"),
    ],
)
def test_what_cannot_be_promised_is_said_before_anything_is_fitted(
    settings, references, found, rng
):
    def run(tasks):
        raise AssertionError("something was fitted")

    known = shapes(references, rng)
    with pytest.raises(TooFewReferencesError, match=found):
        fit_calibrated(known, CLASSES, calibration(**settings), 0, "digest", run)


def test_a_coverage_beyond_what_was_calibrated_is_told(known, caplog):
    regions, _, _ = fit(known, "split")
    scores = regions.guarantee.scores
    assert 19 <= scores < 99
    warn_beyond(regions, 0.95)
    warn_beyond(fit(known)[0], 0.99)  # a tail goes on beyond its scores
    assert not caplog.records
    warn_beyond(regions, 0.99)
    assert f"{scores} scores calibrate, and 99% needs 99: the largest is" in caplog.text
    warn_beyond(regions, 1.0)
    assert "and 100% needs more than there can be" in caplog.text


def test_folds_and_calibration_rows_are_even(rng):
    label = rng.integers(0, 3, 50)
    fold = folds_of(label, 5, seed=0)
    assert np.bincount(fold).tolist() == [10] * 5
    for k in range(3):
        held = np.bincount(fold[label == k], minlength=5)
        assert held.max() - held.min() <= 1
    kept = choose_calibration(label, 0.2, 0.95, seed=0)
    assert kept.sum() == 19  # as many as a promise needs
    assert choose_calibration(np.repeat([0, 1], 200), 0.2, 0.95, 0).sum() == 80


def test_auroc_is_the_chance_of_being_above(rng):
    low, high = rng.integers(0, 5, 40), rng.integers(1, 6, 30)
    slow = np.mean([(h > v) + 0.5 * (h == v) for v in low for h in high])
    assert auroc(low, high) == pytest.approx(slow)


def test_statistics_are_told_by_an_ids_beginning():
    statistics = StatisticChoice(default="joint", by_entry={"aug": "label"})
    assert statistics.of(["aug/1", "augment/1", "x"]).tolist() == ["label", "joint", "joint"]
    assert StatisticChoice(default="quality", by_entry={"a": "label"}).of(
        ["a/1", "b"]
    ).tolist() == [
        "label",
        "quality",
    ]


def test_candidates_are_taken_by_rows(rng):
    some = shapes(6, rng)[np.array([4, 1])]
    assert isinstance(some, Candidates)
    assert len(some) == 2
    assert some.label_N.tolist() == [0, 1]
