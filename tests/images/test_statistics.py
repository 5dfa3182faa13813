"""Image statistics: what each should notice, and their edges."""

import numpy as np
import pytest

from rayqc.images import faults
from rayqc.images.statistics import image_statistics, told_apart


@pytest.mark.parametrize(("size", "channels", "count"), [(8, 1, 35), (28, 1, 35), (32, 3, 40)])
def test_shape_and_finiteness(size, channels, count, rng):
    images = rng.integers(0, 256, (5, size, size, channels), dtype=np.uint8)
    images[0], images[1] = 0, 255
    found = image_statistics(images)
    assert found.shape == (5, count)
    assert np.isfinite(found).all()
    assert image_statistics(images[:0]).shape == (0, count)
    np.testing.assert_allclose(image_statistics(images[2:3])[0], found[2], rtol=1e-4, atol=1e-5)


def test_a_flat_place_is_flat_whatever_its_colour(rng):
    """Sums are exact, so that no rounding stands in for a spread."""
    images = rng.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    images[:, 4:20, 4:20] = rng.integers(0, 256, (64, 1, 1, 3), dtype=np.uint8)
    usual, found = image_statistics(images[:1])[0], image_statistics(images)
    flattest = np.flatnonzero(np.isclose(usual, np.log(3e-4), atol=1e-6))
    assert flattest.size == 2  # in windows of 5 and of 9
    np.testing.assert_array_equal(found[:, flattest], np.float32(np.log(np.float32(3e-4))))


def test_extremes_against_the_definition(rng):
    image = rng.integers(0, 256, (1, 16, 16, 1), dtype=np.uint8)
    gray = image[0, :, :, 0] / 255
    found = image_statistics(image)[0]
    for window in (5, 9):
        places = range(0, 16 - window + 1, 2)
        cut = [gray[y : y + window, x : x + window] for y in places for x in places]
        spreads = [part.std() for part in cut]
        expected = [np.log(min(spreads) + 3e-4), np.log(max(spreads) + 0.01)]
        expected += [min(part.mean() for part in cut), max(part.mean() for part in cut)]
        for value in expected:
            assert np.abs(found - value).min() < 1e-5, window


def test_backgrounds_near_an_end_of_the_range_are_not_told_apart(rng):
    drawing = np.zeros((3, 10, 10, 1), np.uint8)
    drawing[:, 3:5] = 200
    assert told_apart(drawing).tolist() == [12, 255]
    assert told_apart(255 - drawing).tolist() == [0, 243]
    assert told_apart(rng.integers(0, 256, (3, 10, 10, 3), dtype=np.uint8)).tolist() == [0, 255]


def test_plain_statistics_are_what_numpy_says(rng):
    image = rng.integers(0, 256, (1, 16, 16, 1), dtype=np.uint8)
    found = image_statistics(image)[0]
    gray = image[0, :, :, 0] / 255
    assert found[0] == pytest.approx(gray.mean(), rel=1e-5)
    assert found[1] == pytest.approx(0.5 * np.log(gray.var(ddof=1) + 1e-6), rel=1e-4)
    level = np.minimum((gray * 16).astype(int), 15)
    share = np.bincount(level.ravel(), minlength=16) / 256
    assert found[2] == pytest.approx(-(share * np.log(share + 1e-9)).sum(), rel=1e-4)


def test_faults_move_statistics_by_many_spreads(rng):
    smooth = np.cumsum(rng.normal(size=(40, 24, 24, 1)), axis=1).cumsum(axis=2)
    smooth = 255 * (smooth - smooth.min()) / np.ptp(smooth)
    images = smooth.astype(np.uint8)
    usual = image_statistics(images)
    spread = usual.std(0) + 0.05
    for spoiled in (
        faults.noise(images, rng),
        faults.occlude(images, rng),
        faults.blank(images, rng),
    ):
        moved = np.abs(image_statistics(spoiled) - usual).mean(0) / spread
        assert moved.max() > 3
