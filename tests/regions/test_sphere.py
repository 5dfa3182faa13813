"""The paper's sphere, against slow oracles and at its edges."""

import numpy as np
import pytest

from rayqc.errors import ArtefactError, EncoderMismatchError, TooFewReferencesError
from rayqc.regions import Candidates, load_regions, save_regions
from rayqc.regions.base import Stored
from rayqc.regions.neighbours import find_neighbours
from rayqc.regions.sphere import (
    SphereRegions,
    centers,
    class_sums,
    coarse,
    expected_coverage,
    fit_spheres,
    order_statistics,
    own_distances,
    radius_at_coverage,
)
from rayqc.storage import Folder, read_json, write_json

CLASSES = ("a", "b", "c")


def fitted(latent, label, coverage=0.95, classes=CLASSES):
    sums = class_sums(latent, label, len(classes))
    distance = own_distances(latent, label, centers(sums, classes))
    by_class = [distance[label == k] for k in range(len(classes))]
    return fit_spheres(sums, by_class, classes, coverage, "digest")


def candidates(latent, label):
    """Candidates of whose images a sphere takes no notice."""
    latent = np.asarray(latent, np.float32)
    blank = np.zeros((len(latent), 8, 8, 1), np.uint8)
    return Candidates(images_NHWC=blank, latent_ND=latent, label_N=np.asarray(label))


def test_radius_is_the_smallest_that_encloses_95_percent(rng):
    for n in (1, 5, 19, 20, 40, 100):
        distance = rng.random(n)
        slow = min(r for r in distance if np.mean(distance <= r) >= 0.95)
        assert radius_at_coverage(distance, 0.95) == slow, n
    with pytest.raises(TooFewReferencesError, match="found 0 reference images, need at least 1"):
        radius_at_coverage(np.zeros(0), 0.95)


def test_regions_against_the_definition(rng):
    latent = rng.normal(size=(90, 4)).astype(np.float32)
    label = rng.integers(0, 3, 90)
    regions = fitted(latent, label)
    for k in range(3):
        mine = latent[label == k].astype(np.float64)
        center = mine.mean(0)
        np.testing.assert_allclose(regions.centers_KD[k], center)
        distance = np.sqrt(((mine - center) ** 2).sum(1))
        slow = min(r for r in distance if np.mean(distance <= r) >= 0.95)
        np.testing.assert_allclose(regions.radius_K[k], slow)
    judged = regions.judge(candidates(latent, label))
    for k in range(3):
        assert np.mean(judged.score_N[label == k] <= 1) >= 0.95
    candidate = rng.normal(size=(5, 4)).astype(np.float32)
    own = np.array([0, 1, 2, 0, 1])
    judged = regions.judge(candidates(candidate, own))
    for row in range(5):
        away = [np.linalg.norm(candidate[row] - regions.centers_KD[k]) for k in range(3)]
        np.testing.assert_allclose(
            judged.score_N[row], away[own[row]] / regions.radius_K[own[row]], atol=1e-5
        )
        others = [k for k in range(3) if k != own[row]]
        assert judged.nearest_N[row] == min(others, key=away.__getitem__)


def test_sums_of_blocks_are_the_sums_of_all(rng):
    latent, label = rng.normal(size=(50, 3)), rng.integers(0, 3, 50)
    whole = class_sums(latent, label, 3)
    parts = class_sums(latent[:20], label[:20], 3) + class_sums(latent[20:], label[20:], 3)
    np.testing.assert_allclose(parts.sum_KD, whole.sum_KD)
    np.testing.assert_array_equal(parts.count_K, whole.count_K)


def test_a_class_without_references_is_named():
    with pytest.raises(TooFewReferencesError, match="class c: found 0"):
        centers(class_sums(np.zeros((2, 2)), np.array([0, 1]), 3), CLASSES)


def test_one_reference_takes_its_own_point_only():
    latent = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 3.0]])
    regions = fitted(latent, np.array([0, 1, 2]))
    assert regions.radius_K.tolist() == [0, 0, 0]
    judged = regions.judge(candidates([[0.0, 0.0], [0.1, 0.0]], [0, 0]))
    assert judged.score_N.tolist() == [1.0, np.inf]


def test_what_is_not_finite_is_never_accepted():
    regions = fitted(np.eye(3).repeat(2, 0), np.array([0, 0, 1, 1, 2, 2]))
    bad = np.array([[np.nan, 0, 0], [np.inf, 0, 0]])
    with np.errstate(invalid="ignore"):
        assert not (regions.judge(candidates(bad, [0, 1])).score_N <= 1).any()


@pytest.mark.parametrize("n", [5, 10, 20, 100])
def test_expected_coverage_is_what_exchangeable_distances_give(n, rng):
    """Held for distances themselves; a center fitted on the same points holds less."""
    holds = []
    for _ in range(4000):
        distance = rng.random(n + 1)
        holds.append(distance[-1] <= radius_at_coverage(distance[:-1], 0.95))
    assert abs(np.mean(holds) - expected_coverage(n, 0.95)) < 0.02
    assert round(100 * expected_coverage(n, 0.95)) == {5: 83, 10: 91, 20: 90, 100: 94}[n]


def test_coarse_distances_are_rounded_up_a_little(rng):
    distance = np.concatenate([rng.gamma(50, 0.2, 5000), [0.0, 1.0, 2.5]])
    found = coarse(distance)
    assert found.dtype == np.float32
    assert (found >= distance.astype(np.float32)).all()
    assert (found <= distance * (1 + 2**-13)).all()
    assert np.unique(found).size < np.unique(distance).size


def test_order_statistics_enclose_their_shares(rng):
    value, count = rng.permutation(50).astype(float), rng.integers(1, 9, 50)
    every = np.sort(np.repeat(value, count))
    found = order_statistics(value, count, 7)
    slow = [min(v for v in value if np.mean(every <= v) >= i / 7 - 1e-12) for i in range(1, 8)]
    assert found.tolist() == slow


@pytest.fixture
def kept(tmp_path, rng):
    regions = fitted(rng.normal(size=(30, 4)), np.arange(30) % 3)
    folder = Folder(str(tmp_path))
    latent = rng.normal(size=(30, 4))
    names = [f"r{i}" for i in range(30)]
    neighbours = find_neighbours(
        names, latent, np.arange(30) % 3, regions.centers_KD, regions.radius_K
    )
    save_regions(folder, regions, neighbours)
    return folder, regions


def test_regions_read_back_the_same(kept):
    folder, regions = kept
    whole = load_regions(folder, "digest", 4)
    found = whole.regions
    assert whole.neighbours.ids[3] == "r3"
    assert isinstance(found, SphereRegions)
    for name in ("classes", "coverage", "encoder_digest", "kind"):
        assert getattr(found, name) == getattr(regions, name)
    np.testing.assert_array_equal(found.centers_KD, regions.centers_KD)
    np.testing.assert_array_equal(found.radius_K, regions.radius_K)
    np.testing.assert_array_equal(found.distance_M, regions.distance_M)


def test_regions_of_another_encoder_version_or_shape_are_refused(kept):
    folder, _ = kept
    with pytest.raises(
        EncoderMismatchError,
        match="regions were fitted with encoder digest, this run uses 0123456789ab",
    ):
        load_regions(folder, "0123456789abcdef", 4)
    with pytest.raises(ArtefactError, match=r"shape \(3, 4\), expected latent dimension 5"):
        load_regions(folder, "digest", 5)
    facts = read_json(folder, "regions.json")
    for change, message in (
        (
            {"format_version": 7},
            "format version 7, this rayqc reads sphere, sphere_loo, calibrated of 6, 8, 9, 10",
        ),
        (
            {"format_version": 11},
            "format version 11, this rayqc reads sphere, sphere_loo, calibrated of 6, 8, 9, 10",
        ),
        ({"kind": "cube"}, "holds cube regions"),
        ({"regions_digest": "beef"}, "damaged or swapped"),
    ):
        write_json(folder, "regions.json", {**facts, **change})
        with pytest.raises(ArtefactError, match=message):
            load_regions(folder, "digest", 4)


def test_regions_of_the_format_before_are_read(kept):
    folder, regions = kept
    write_json(folder, "regions.json", {**read_json(folder, "regions.json"), "format_version": 6})
    found = load_regions(folder, "digest", 4).regions
    np.testing.assert_array_equal(found.radius_K, regions.radius_K)


def test_regions_of_a_checkout_between_releases_are_refused(kept, monkeypatch):
    folder, regions = kept
    whole = load_regions(folder, "digest", 4)
    facts = {key: value for key, value in regions.facts().items() if key != "coverage"}
    monkeypatch.setattr(SphereRegions, "facts", lambda self: facts)
    save_regions(folder, regions, whole.neighbours)
    with pytest.raises(
        ArtefactError, match="written by another rayqc: it has no 'coverage'; run .rayqc fit"
    ):
        load_regions(folder, "digest", 4)


def test_leave_one_out_distances_are_those_to_the_others_center(rng):
    latent, label = rng.normal(size=(40, 3)), np.arange(40) % 2
    sums = class_sums(latent, label, 2)
    distance = own_distances(latent, label, centers(sums, CLASSES[:2]))
    regions = fit_spheres(
        sums, [distance[label == k] for k in range(2)], CLASSES[:2], 0.95, "d", "sphere_loo"
    )
    for k in range(2):
        mine = latent[label == k]
        slow = [np.linalg.norm(x - np.delete(mine, i, 0).mean(0)) for i, x in enumerate(mine)]
        np.testing.assert_allclose(regions.distance_M[regions.label_M == k], slow)
        assert regions.radius_K[k] == pytest.approx(radius_at_coverage(np.array(slow), 0.95))
    with pytest.raises(TooFewReferencesError, match="class a has 1"):
        fit_spheres(
            class_sums(latent[:2], label[:2], 2),
            [np.zeros(1)] * 2,
            CLASSES[:2],
            0.95,
            "d",
            "sphere_loo",
        )


def test_another_coverage_is_judged_from_stored_distances(rng):
    latent, label = rng.normal(size=(60, 3)), np.arange(60) % 3
    narrow, wide = fitted(latent, label, 0.6), fitted(latent, label, 0.9)
    fresh = candidates(rng.normal(size=(50, 3)), rng.integers(0, 3, 50))
    away = np.linalg.norm(fresh.latent_ND - wide.centers_KD[fresh.label_N], axis=1)
    none = np.full(50, np.nan)
    stored = Stored(
        label_N=fresh.label_N,
        statistic_N=np.full(50, "joint"),
        distance_N=away,
        evidence={"label": none, "quality": none},
        p_value_N=none,
    )
    np.testing.assert_allclose(
        wide.rejudge(stored, 0.6).score_N, narrow.judge(fresh).score_N, rtol=1e-4
    )
