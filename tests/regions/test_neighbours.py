"""Nearest references and near copies, against a slow search."""

import numpy as np
import pytest

from rayqc.regions import neighbours as module
from rayqc.regions.neighbours import find_neighbours


def test_nearest_is_the_nearest(rng):
    latent, fresh = (rng.normal(size=(n, 5)).astype(np.float32) for n in (40, 30))
    names = [f"r{i}" for i in range(40)]
    found = find_neighbours(names, latent, np.arange(40) % 2, np.zeros((2, 5)), np.ones(2))
    away = np.linalg.norm(fresh[:, None] - latent[None], axis=2)
    nearest = found.nearest(fresh)
    np.testing.assert_array_equal(nearest.reference_N, away.argmin(1))
    np.testing.assert_allclose(nearest.distance_N, away.min(1), rtol=1e-4)
    assert [place for place, _ in found.ranked(fresh[0], 3)] == np.argsort(away[0])[:3].tolist()
    between = np.linalg.norm(latent[:, None] - latent[None], axis=2)
    np.fill_diagonal(between, np.inf)
    assert found.copy_distance == pytest.approx(np.quantile(between.min(1), 0.05), rel=1e-4)
    assert found.nearest(latent).distance_N.max() < found.copy_distance


def test_edges(rng, monkeypatch):
    latent = rng.normal(size=(1, 3))
    alone = find_neighbours(["a"], latent, np.zeros(1, int), np.zeros((1, 3)), np.zeros(1))
    assert alone.copy_distance == -1
    assert alone.nearest(np.zeros((0, 3), np.float32)).distance_N.shape == (0,)
    monkeypatch.setattr(module, "MOST_REFERENCES", 10)
    monkeypatch.setattr(module, "BATCH", 7)
    label_R = np.repeat([0, 1], [98, 2])
    many = find_neighbours(
        [str(i) for i in range(100)],
        rng.normal(size=(100, 3)),
        label_R,
        np.zeros((2, 3)),
        np.zeros(2),
    )
    assert many.ids[-2:] == ("98", "99")
    assert len(many.ids) == 10
    between = np.linalg.norm(many.latent_RD[:, None] - many.latent_RD[None], axis=2)
    np.fill_diagonal(between, np.inf)  # of more references than are compared at once
    assert many.copy_distance == pytest.approx(np.quantile(between.min(1), 0.05), rel=1e-4)
