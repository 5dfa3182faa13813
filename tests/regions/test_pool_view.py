"""The label's view `pool`: what it learns, of whom, and how much it has to say."""

import dataclasses

import numpy as np
import pytest
import torch

from rayqc.config.regions import Regions
from rayqc.errors import ConfigError
from rayqc.models.vae import pixels_to_input
from rayqc.regions.base import Candidates
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.fitting import fit_calibrated, settings_of, views_of
from rayqc.regions.scorer_tasks import in_turn
from rayqc.regions.scores.label import LEAST_WEIGHT
from rayqc.regions.separation import auroc
from rayqc.regions.views.base import ViewBatch, ViewTask
from rayqc.regions.views.edges import NAME as EDGES
from rayqc.regions.views.latent import NAME as LATENT
from rayqc.regions.views.pool import (
    FOLDS,
    MOST_REFERENCES,
    PENALTIES,
    folds_by_reference,
    learn,
    learn_from_pool,
    restore,
)
from rayqc.training.softmax import train_softmax

CLASSES = ("left", "middle", "right")


def drawn(count, rng, size=20):
    """Noise for images, and latents of three classes that overlap: few tell little of them."""
    label_N = np.arange(count) % 3
    latent_ND = rng.normal(size=(count, size))
    latent_ND[np.arange(count), label_N] += 2.5
    images_NHWC = rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    return Candidates(
        images_NHWC=images_NHWC, latent_ND=latent_ND.astype(np.float32), label_N=label_N
    )


def batch_of(images):
    return ViewBatch(
        x_NCHW=pixels_to_input(torch.tensor(images.images_NHWC)),
        latent_ND=torch.tensor(images.latent_ND),
        inner={},
    )


def with_wrong_labels(images, share, rng):
    """The images, some of them under another label, and which those are."""
    wrong_N = rng.random(len(images)) < share
    label_N = np.where(wrong_N, (images.label_N + rng.integers(1, 3, len(images))) % 3, -1)
    return dataclasses.replace(images, label_N=np.where(wrong_N, label_N, images.label_N)), wrong_N


def fit(references, pool, promise="empirical"):
    learned = {} if pool is None else {"pool": learn_from_pool(pool, references, 3, LATENT)}
    asked = Regions(promise=promise, views=None, scores=["label"])
    settings = settings_of(asked, channels=1, seen=False, learned=learned)
    views = tuple(view for view in settings.scorer.views if view in ("edges", "latent", "pool"))
    scorer = dataclasses.replace(settings.scorer, views=views)
    settings = dataclasses.replace(settings, scorer=scorer)
    run = in_turn(references, 3, settings.scorer, 0)
    return fit_calibrated(references, CLASSES, settings, 0, "digest", run)[0]


def nearest(images, references):
    """Row of the reference that each image is nearest to."""
    apart_NR = np.square(images.latent_ND[:, None] - references.latent_ND[None]).sum(2)
    return apart_NR.argmin(1)


def test_no_image_is_judged_by_what_learned_from_it(rng):
    """A classifier's answers about its own fold do not change with a label of that fold."""
    pool, references = drawn(120, rng), drawn(30, rng)
    view = learn_from_pool(pool, references, 3, LATENT)
    batch = batch_of(pool)
    fold_N = view.folds(batch.latent_ND)
    assert fold_N.unique().tolist() == list(range(FOLDS))
    of_first = fold_N.numpy() == 0
    label_N, row = pool.label_N.copy(), np.flatnonzero(of_first)[0]
    label_N[row] = (label_N[row] + 1) % 3
    moved = dataclasses.replace(pool, label_N=label_N)
    other = learn_from_pool(moved, references, 3, LATENT).log_probability(batch)
    found = view.log_probability(batch)
    torch.testing.assert_close(other[of_first], found[of_first])
    assert not torch.allclose(other[~of_first], found[~of_first])
    np.testing.assert_allclose(found.exp().sum(1), 1, rtol=1e-5)


def test_an_image_is_in_the_fold_of_its_nearest_reference(rng):
    references, images = drawn(33, rng), drawn(200, rng)
    folds = folds_by_reference(torch.tensor(references.latent_ND), references.label_N)
    fold_R = folds(torch.tensor(references.latent_ND)).numpy()
    by_class = [np.bincount(fold_R[references.label_N == k], minlength=FOLDS) for k in range(3)]
    assert all(counts.max() - counts.min() <= 1 for counts in by_class)
    found_N = folds(torch.tensor(images.latent_ND)).numpy()
    np.testing.assert_array_equal(found_N, fold_R[nearest(images, references)])


def test_references_that_are_alike_are_in_one_fold(rng):
    references = drawn(12, rng)
    twice = dataclasses.replace(
        references,
        images_NHWC=np.concatenate([references.images_NHWC] * 2),
        latent_ND=np.concatenate([references.latent_ND] * 2),
        label_N=np.concatenate([references.label_N] * 2),
    )
    folds = folds_by_reference(torch.tensor(twice.latent_ND), twice.label_N)
    assert len(folds.fold_R) == 12
    found = folds(torch.tensor(twice.latent_ND))
    assert found[:12].tolist() == found[12:].tolist()


def test_folds_are_told_by_so_many_references_at_most(rng):
    many = drawn(MOST_REFERENCES + 50, rng)
    folds = folds_by_reference(torch.tensor(many.latent_ND), many.label_N)
    assert len(folds.fold_R) == MOST_REFERENCES


def test_copies_of_the_references_teach_nothing_that_only_references_know(rng):
    """Labels by chance: what copies say of their own references says nothing of fresh images."""
    references, fresh = drawn(40, rng, size=200), drawn(400, rng, size=200)
    rows = rng.integers(0, 40, 1_000)
    near = references.latent_ND[rows] + 0.1 * rng.normal(size=(1_000, 200))
    label_N = rng.integers(0, 3, 40)
    references = dataclasses.replace(references, label_N=label_N)
    pool = dataclasses.replace(
        drawn(1_000, rng), latent_ND=near.astype(np.float32), label_N=label_N[rows]
    )
    told = learn_from_pool(pool, references, 3, LATENT).log_probability(batch_of(references))
    assert np.mean(told.argmax(1).numpy() == label_N) < 0.6
    regions = fit(references, pool)
    assert np.mean(regions.judge(fresh, "label").score_N <= 1) > 0.85


@pytest.mark.parametrize("promise", ["empirical", "split"])
def test_mixtures_of_references_teach_nothing_that_only_references_know(promise, rng):
    """They lie nearest to one reference, and hold another; labels by chance again."""
    references, fresh = drawn(120, rng, size=400), drawn(400, rng, size=400)
    label_N = rng.integers(0, 3, 120)
    references = dataclasses.replace(references, label_N=label_N)
    first = rng.integers(0, 120, 1_000)
    second = np.array([rng.choice(np.flatnonzero(label_N == label_N[row])) for row in first])
    share = rng.uniform(0.3, 0.7, (1_000, 1))
    mixed = share * references.latent_ND[first] + (1 - share) * references.latent_ND[second]
    pool = dataclasses.replace(
        drawn(1_000, rng), latent_ND=mixed.astype(np.float32), label_N=label_N[first]
    )
    told = learn_from_pool(pool, references, 3, LATENT).log_probability(batch_of(references))
    assert np.mean(told.argmax(1).numpy() == label_N) < 0.6
    regions = fit(references, pool, promise)
    assert np.mean(regions.judge(fresh, "label").score_N <= 1) > 0.85


def test_folds_of_references_that_an_image_may_be_made_of_are_near(rng):
    references, images = drawn(33, rng), drawn(200, rng)
    folds = folds_by_reference(torch.tensor(references.latent_ND), references.label_N)
    fold_R = folds(torch.tensor(references.latent_ND)).numpy()
    apart_NR = np.sqrt(np.square(images.latent_ND[:, None] - references.latent_ND).sum(2))
    between_RR = np.sqrt(np.square(references.latent_ND[:, None] - references.latent_ND).sum(2))
    np.fill_diagonal(between_RR, np.inf)
    made_of_NR = apart_NR < between_RR.min(1)
    made_of_NR[np.arange(200), apart_NR.argmin(1)] = True
    near_NK = folds.near(torch.tensor(images.latent_ND)).numpy()
    for near_K, made_of_R in zip(near_NK, made_of_NR, strict=True):
        assert set(np.flatnonzero(near_K)) == set(fold_R[made_of_R])
    assert 1 < made_of_NR.sum(1).mean() < 2
    one = folds_by_reference(torch.tensor(references.latent_ND[:1]), references.label_N[:1])
    assert one.near(torch.tensor(images.latent_ND)).numpy().tolist() == [[True] + [False] * 4] * 200


def test_it_learns_as_hard_as_the_labels_of_the_pool_allow(rng):
    """Of the penalties, the one under which images that were not learned from are told best."""
    chosen = []
    for share in (0.0, 0.4):
        references = drawn(30, rng, size=400)
        pool, _ = with_wrong_labels(drawn(240, rng, size=400), share, rng)
        latent_ND, label_N = torch.tensor(pool.latent_ND), torch.tensor(pool.label_N)
        folds = folds_by_reference(torch.tensor(references.latent_ND), references.label_N)
        fold_N = folds(latent_ND).numpy()
        losses, heads_by_penalty = [], []
        for penalty in PENALTIES:
            heads = [
                train_softmax(latent_ND[rest_N], label_N[rest_N], 3, penalty)
                for rest_N in ~folds.near(latent_ND).T
            ]
            right_N = [
                heads[fold](latent_ND[row]).log_softmax(0)[label_N[row]]
                for row, fold in enumerate(fold_N)
            ]
            losses.append(-float(sum(right_N)))
            heads_by_penalty.append(heads)
        best = int(np.argmin(losses))
        found = learn_from_pool(pool, references, 3, LATENT)
        for head, expected in zip(found.heads, heads_by_penalty[best], strict=True):
            torch.testing.assert_close(head.weight_FK, expected.weight_FK)
        chosen.append(PENALTIES[best])
    assert chosen[1] > chosen[0]


def test_where_all_of_a_pool_is_of_one_fold_nothing_is_said_of_it(rng):
    references = drawn(30, rng)
    alike = np.repeat(references.latent_ND[:1], 40, axis=0)
    pool = dataclasses.replace(drawn(40, rng), latent_ND=alike)
    view = learn_from_pool(pool, references, 3, LATENT)
    told = view.log_probability(batch_of(references[:1]))
    np.testing.assert_allclose(told.exp(), 1 / 3, rtol=1e-5)


@pytest.mark.parametrize("looks_at", [LATENT, EDGES])
def test_it_comes_back_from_its_arrays(looks_at, rng):
    view = learn_from_pool(drawn(60, rng), drawn(15, rng), 3, looks_at)
    again = restore(view.arrays(), 3, 1)
    assert again is not None
    assert again.looks_at == looks_at
    batch = batch_of(drawn(9, rng))
    torch.testing.assert_close(again.log_probability(batch), view.log_probability(batch))
    assert restore({"edges.weight_FK": np.zeros((1, 3))}, 3, 1) is None


def test_more_wrong_labels_are_found_where_most_are_right(rng):
    references, fresh = drawn(30, rng), drawn(300, rng)
    pool, wrong_N = with_wrong_labels(drawn(1_500, rng), 0.3, rng)
    found = {}
    for name, learned_from in (("alone", None), ("pool", pool)):
        regions = fit(references, learned_from)
        score_N = regions.judge(pool, "label").score_N
        found[name] = auroc(score_N[~wrong_N], score_N[wrong_N])
        assert np.mean(regions.judge(fresh, "label").score_N <= 1) > 0.9
    assert found["pool"] > found["alone"] + 0.05


def test_a_pool_whose_labels_say_nothing_has_no_say(rng):
    references, fresh = drawn(60, rng), drawn(600, rng)
    wrong = dataclasses.replace(fresh, label_N=(fresh.label_N + 1) % 3)
    pool = drawn(1_500, rng)
    shuffled = dataclasses.replace(pool, label_N=rng.permutation(pool.label_N))
    found = {}
    for name, learned_from in {"alone": None, "shuffled": shuffled, "pool": pool}.items():
        regions = fit(references, learned_from)
        scores = [regions.judge(images, "label").score_N for images in (fresh, wrong)]
        found[name] = auroc(*scores)
    assert found["shuffled"] == pytest.approx(found["alone"], abs=0.005)
    assert found["pool"] > found["alone"] + 0.01
    views = list(regions.scorers[0].scores["label"].views)
    opposite = dataclasses.replace(pool, label_N=(pool.label_N + 1) % 3)
    regions = fit(references, opposite)
    weights = regions.joins[0].scales["label"].weight_V
    assert weights[views.index("pool")] == pytest.approx(LEAST_WEIGHT)


@pytest.mark.parametrize("promise", ["empirical", "cv+"])
def test_regions_keep_it(promise, rng):
    pool = drawn(150, rng)
    regions = fit(drawn(30, rng), pool, promise)
    again = CalibratedRegions.restore(regions.facts(), regions.arrays())
    judged, restored = (part.judge(pool, "label") for part in (regions, again))
    np.testing.assert_array_equal(judged.score_N, restored.score_N)


def test_it_needs_another_view_beside_it():
    views = ["edges", "pool"]
    assert views_of(views, seen=True, inner=(), learned=["pool"]) == ("edges", "pool")
    assert views_of(views, seen=True, inner=()) == ("edges",)
    with pytest.raises(ConfigError, match="name another view beside it"):
        views_of(["pool"], seen=True, inner=())


def test_without_images_of_the_pool_it_is_not_learned(rng):
    images = drawn(9, rng)
    settings = settings_of(Regions(), channels=1, seen=False)
    assert "pool" not in settings.scorer.views
    task = ViewTask(
        images_NHWC=images.images_NHWC,
        latent_ND=images.latent_ND,
        inner={},
        label_N=images.label_N,
        classes=3,
        settings=settings.scorer,
        seed=0,
    )
    with pytest.raises(ValueError, match="no images of it were given"):
        learn(task)


@pytest.mark.parametrize("left", [0, 3])
def test_a_class_that_the_pool_hardly_holds_is_not_turned_away(left, rng):
    references, pool, fresh = drawn(60, rng), drawn(600, rng), drawn(900, rng)
    own = np.flatnonzero(pool.label_N == 1)
    pool = pool[np.sort(np.concatenate([np.flatnonzero(pool.label_N != 1), own[:left]]))]
    view = learn_from_pool(pool, references, 3, LATENT)
    found_NK = view.log_probability(batch_of(fresh)).numpy()
    assert np.isfinite(found_NK).all()
    np.testing.assert_array_equal(found_NK[:, 1], found_NK.max(1))
    others = fresh.label_N != 1
    told = found_NK[others, fresh.label_N[others]] > found_NK[others, 2 - fresh.label_N[others]]
    assert told.mean() > 0.9
    again = restore(view.arrays(), 3, 1)
    np.testing.assert_array_equal(again.log_probability(batch_of(fresh)).numpy(), found_NK)
    accepted = fit(references, pool).judge(fresh, "label").score_N <= 1
    alone = fit(references, None).judge(fresh, "label").score_N <= 1
    assert accepted[~others].mean() >= alone[~others].mean() - 0.02


def test_a_pool_of_one_class_teaches_nothing(rng):
    pool = drawn(300, rng)
    view = learn_from_pool(pool[pool.label_N == 1], drawn(30, rng), 3, LATENT)
    found_NK = view.log_probability(batch_of(drawn(20, rng))).numpy()
    np.testing.assert_allclose(found_NK, -np.log(3), rtol=1e-5)
