"""Spheres reduced on a real Ray: exact for few references, to a thousandth of rank for many."""

import numpy as np
import pyarrow as pa
import pytest
import ray.data

from rayqc.distributed import reduce
from rayqc.experiments.baselines import fit_sphere
from rayqc.regions import Candidates
from rayqc.regions.sphere import radius_at_coverage

CLASSES = ("few", "many", "several")
COUNTS = (40, 30_000, 6_000)


@pytest.fixture(scope="module")
def latents():
    rng = np.random.default_rng(0)
    label = rng.permutation(np.repeat(np.arange(3), COUNTS))
    latent = rng.normal(size=(len(label), 100)).astype(np.float32) * (1 + label[:, None])
    return latent, label


def reduced(latents, order=None):
    latent, label = latents
    order = np.arange(len(label)) if order is None else order
    column = pa.FixedSizeListArray.from_arrays(latent.ravel(), 100)
    ids = [f"{row:09d}" for row in range(len(label))]
    table = pa.table({"id": ids, "label": label, "latent": column})
    blocks = [table.slice(start, 8192) for start in range(0, len(label), 8192)]
    data = ray.data.from_blocks([blocks[i] for i in order if i < len(blocks)])
    return reduce.reduce_spheres(data, CLASSES, 0.95, "digest", "sphere")


def exact(latents):
    latent, label = latents
    nothing = np.zeros((len(label), 1, 1, 1), np.uint8)
    known = Candidates(images_NHWC=nothing, latent_ND=latent, label_N=label)
    return fit_sphere(known, CLASSES, 0.95, "sphere")


def test_few_are_exact(ray_session, latents):
    found, wanted = reduced(latents), exact(latents)
    np.testing.assert_allclose(found.radius_K, wanted.radius_K, rtol=1e-12)
    assert found.distance_M.size == wanted.distance_M.size


def test_many_are_counted_in_any_order(ray_session, latents, monkeypatch):
    monkeypatch.setattr(reduce, "MANY", 5_000)
    found, wanted = reduced(latents), exact(latents)
    np.testing.assert_array_equal(reduced(latents, [3, 1, 4, 0, 2]).radius_K, found.radius_K)
    assert np.bincount(found.label_M).tolist() == [40, 5_000, 5_000]
    assert found.radius_K[0] == pytest.approx(wanted.radius_K[0], rel=1e-12)
    for k in range(3):
        distance = wanted.distance_M[wanted.label_M == k]
        kept = found.distance_M[found.label_M == k]
        for coverage in (0.5, 0.9, 0.95, 0.99):
            radius, wide = (radius_at_coverage(one, coverage) for one in (kept, distance))
            assert abs(np.mean(distance <= radius) - np.mean(distance <= wide)) <= 0.001
