"""Image statistics: what each should notice, and their edges."""

import numpy as np
import pytest

from rayqc.images import faults
from rayqc.images.statistics import image_statistics


@pytest.mark.parametrize(("size", "channels", "count"), [(8, 1, 31), (28, 1, 31), (32, 3, 36)])
def test_shape_and_finiteness(size, channels, count, rng):
    images = rng.integers(0, 256, (5, size, size, channels), dtype=np.uint8)
    images[0], images[1] = 0, 255
    found = image_statistics(images)
    assert found.shape == (5, count)
    assert np.isfinite(found).all()
    assert image_statistics(images[:0]).shape == (0, count)
    np.testing.assert_allclose(image_statistics(images[2:3])[0], found[2], rtol=1e-4, atol=1e-5)


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
