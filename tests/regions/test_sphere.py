"""The paper's sphere, against slow oracles and at its edges."""

import numpy as np
import pytest

from rayqc.errors import ArtefactError, EncoderMismatchError, TooFewReferencesError
from rayqc.regions import load_regions, save_regions
from rayqc.regions.sphere import (
    SphereRegions,
    centers,
    class_sums,
    expected_coverage,
    fit_spheres,
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
    judged = regions.judge(latent, label)
    for k in range(3):
        assert np.mean(judged.score_N[label == k] <= 1) >= 0.95
    candidate = rng.normal(size=(5, 4)).astype(np.float32)
    own = np.array([0, 1, 2, 0, 1])
    judged = regions.judge(candidate, own)
    for row in range(5):
        away = [np.linalg.norm(candidate[row] - regions.centers_KD[k]) for k in range(3)]
        np.testing.assert_allclose(judged.distance_N[row], away[own[row]], rtol=1e-6)
        np.testing.assert_allclose(
            judged.score_N[row], away[own[row]] / regions.radius_K[own[row]], atol=1e-5
        )
        assert judged.nearest_K[row] == np.argmin(away)


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
    judged = regions.judge(np.array([[0.0, 0.0], [0.1, 0.0]]), np.array([0, 0]))
    assert judged.score_N.tolist() == [1.0, np.inf]


def test_what_is_not_finite_is_never_accepted():
    regions = fitted(np.eye(3).repeat(2, 0), np.array([0, 0, 1, 1, 2, 2]))
    bad = np.array([[np.nan, 0, 0], [np.inf, 0, 0]])
    with np.errstate(invalid="ignore"):
        assert not (regions.judge(bad, np.array([0, 1])).score_N <= 1).any()


@pytest.mark.parametrize("n", [5, 10, 20, 100])
def test_expected_coverage_is_what_exchangeable_distances_give(n, rng):
    """Held for distances themselves; a center fitted on the same points holds less."""
    holds = []
    for _ in range(4000):
        distance = rng.random(n + 1)
        holds.append(distance[-1] <= radius_at_coverage(distance[:-1], 0.95))
    assert abs(np.mean(holds) - expected_coverage(n, 0.95)) < 0.02
    assert round(100 * expected_coverage(n, 0.95)) == {5: 83, 10: 91, 20: 90, 100: 94}[n]


@pytest.fixture
def kept(tmp_path, rng):
    regions = fitted(rng.normal(size=(30, 4)), np.arange(30) % 3)
    folder = Folder(str(tmp_path))
    save_regions(folder, regions)
    return folder, regions


def test_regions_read_back_the_same(kept):
    folder, regions = kept
    found = load_regions(folder, "digest", 4)
    assert isinstance(found, SphereRegions)
    for name in ("classes", "coverage", "encoder_digest", "kind"):
        assert getattr(found, name) == getattr(regions, name)
    np.testing.assert_array_equal(found.centers_KD, regions.centers_KD)
    np.testing.assert_array_equal(found.radius_K, regions.radius_K)
    np.testing.assert_array_equal(found.count_K, regions.count_K)


def test_regions_of_another_encoder_version_or_shape_are_refused(kept):
    folder, _ = kept
    with pytest.raises(
        EncoderMismatchError,
        match="regions were fitted with encoder digest, this run uses 0123456789ab",
    ):
        load_regions(folder, "0123456789abcdef", 4)
    with pytest.raises(ArtefactError, match=r"shape \(3, 4\), expected \(3, 5\)"):
        load_regions(folder, "digest", 5)
    facts = read_json(folder, "regions.json")
    for change, message in (
        ({"format_version": 7}, "format version 7, this rayqc reads sphere of 1"),
        ({"kind": "cube"}, "holds cube regions"),
        ({"regions_digest": "beef"}, "damaged or swapped"),
    ):
        write_json(folder, "regions.json", {**facts, **change})
        with pytest.raises(ArtefactError, match=message):
            load_regions(folder, "digest", 4)
