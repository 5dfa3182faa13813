"""Straight edges: what is measured of them, on pictures whose seams are known."""

import numpy as np
import pytest
from PIL import Image

from rayqc.images.seams import STATISTICS, Seams, seam_statistics
from rayqc.regions.separation import auroc


def flat(height=64, width=64, level=100):
    return np.full((height, width), level, np.uint8)


def test_a_step_along_a_whole_row_is_all_of_its_excess():
    gray = flat()
    gray[40:] += 20
    expected = [np.log(20.5), np.log(20.5), 3, np.log(0.5), np.log(0.5), 0]
    np.testing.assert_allclose(seam_statistics(gray), expected, rtol=1e-6)
    np.testing.assert_array_equal(seam_statistics(gray.T), seam_statistics(gray))


def test_a_step_along_a_quarter_of_a_row_counts_whole_in_the_shorter_run():
    gray = flat()
    gray[30:, 16:32] += 20  # its two upright edges are 34 of 64 pixels long
    level, upright = [20, 20 / 4, 1 / 4], [20, 20 * 34 / 64, 34 / 64]
    rows = np.array([level, upright])
    rows = np.column_stack([np.log(rows[:, :2] + 0.5), 3 * rows[:, 2]])
    np.testing.assert_allclose(
        seam_statistics(gray), [*rows.max(0), *rows.min(0)], rtol=0.02, atol=1e-6
    )


def test_a_step_that_lens_or_sampling_has_widened_hardly_counts():
    gray = flat()
    gray[40], gray[41], gray[42:] = 107, 113, 120
    np.testing.assert_allclose(seam_statistics(gray)[:2], np.log(4 + 0.5), rtol=1e-6)
    assert seam_statistics(gray)[2] == 0  # no step stands alone by more than two levels


def test_a_large_image_is_looked_at_in_evenly_spaced_columns():
    gray = flat(600, 3001)
    gray[333:] += 20
    small = flat()
    small[40:] += 20
    np.testing.assert_allclose(seam_statistics(gray), seam_statistics(small), rtol=1e-6)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 300), (3, 3), (4, 1), (4, 4), (5, 17), (2, 64), (40, 7)]
)
def test_any_size_has_finite_statistics(height, width, rng):
    gray = rng.integers(0, 256, (height, width), np.uint8)
    found = seam_statistics(gray)
    assert found.shape == (STATISTICS,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_look_takes_gray_levels_between_those_that_count(channels, rng):
    gray = rng.integers(0, 40, (90, 120), np.uint8)
    image = Image.fromarray(gray)
    look = Seams(channels=channels, levels=(12, 255))
    found = look.cut(image.convert("L" if channels == 1 else "RGB"))
    assert (found.shape, found.dtype) == (look.pixels, look.dtype)
    np.testing.assert_array_equal(found, seam_statistics(np.maximum(gray, 12)))


def test_one_scale_is_taken_before_edges_are_measured(rng):
    image = Image.fromarray(rng.integers(0, 256, (200, 300), np.uint8))
    resized = np.asarray(image.resize((150, 100), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(
        Seams(channels=1, shorter=100).cut(image), seam_statistics(resized)
    )


def test_pictures_put_together_of_parts_are_told_from_whole_ones(rng):
    """Halves of two pictures side by side, a band moved sideways, a patch, a frame."""

    def scene():
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        image = Image.fromarray(small).resize((300, 200), Image.Resampling.BICUBIC)
        grainy = np.asarray(image, float) + rng.normal(scale=4, size=(200, 300, 3))
        return np.clip(grainy, 0, 255).astype(np.uint8)

    def halves(pixels):
        pixels[:, 150:] = scene()[:, 150:]

    def band(pixels):
        pixels[80:120] = np.roll(pixels[80:120], 30, axis=1)

    def patch(pixels):
        pixels[40:130, 60:170] = scene()[40:130, 60:170]

    def frame(pixels):
        pixels[:12] = 0

    look = Seams(channels=3)
    whole_N = np.array([look.cut(Image.fromarray(scene()))[0] for _ in range(30)])
    for change in (halves, band, patch, frame):
        changed = []
        for _ in range(30):
            pixels = scene()
            change(pixels)
            changed.append(look.cut(Image.fromarray(pixels))[0])
        assert auroc(whole_N, np.array(changed)) > 0.95, change.__name__
