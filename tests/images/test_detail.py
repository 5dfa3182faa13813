"""Tiles at an image's own size, and their statistics."""

import io

import numpy as np
import pytest
from PIL import Image

from rayqc.images.decode import Limits, decode_looks
from rayqc.images.detail import GRID, SIDE, Detail, OwnSize, Tiles
from rayqc.images.look import ImageShape
from rayqc.images.statistics import image_statistics


def picture(height, width, channels, rng):
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    return pixels, Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (100, 70), (375, 500), (64, 900)])
def test_tiles_are_cut_from_edge_to_edge(height, width, channels, rng):
    pixels, image = picture(height, width, channels, rng)
    tiles = Tiles(channels=channels)
    found = tiles.cut(image)
    assert found.shape == tiles.pixels
    np.testing.assert_array_equal(found[0], pixels[:SIDE, :SIDE])
    np.testing.assert_array_equal(found[-1], pixels[-SIDE:, -SIDE:])
    middle = found[GRID * GRID // 2]
    top, left = round((height - SIDE) / 2), round((width - SIDE) / 2)
    np.testing.assert_array_equal(middle, pixels[top : top + SIDE, left : left + SIDE])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 200), (63, 64), (40, 30)])
def test_a_small_image_is_continued_by_its_mirror_image(height, width, rng):
    pixels, image = picture(height, width, 3, rng)
    found = Tiles(channels=3).cut(image)
    assert found.shape == (9, SIDE, SIDE, 3)
    above = (SIDE - height) // 2 if height < SIDE else 0
    beside = (SIDE - width) // 2 if width < SIDE else 0
    inside = found[0][above : above + min(height, SIDE), beside : beside + min(width, SIDE)]
    np.testing.assert_array_equal(inside, pixels[:SIDE, :SIDE])


def test_one_scale_makes_sizes_comparable(rng):
    """The same picture at two sizes looks alike once both have one shorter side."""
    small = np.kron(rng.integers(0, 256, (12, 16)), np.ones((20, 20))).astype(np.uint8)
    one = Image.fromarray(small)
    twice = one.resize((one.width * 2, one.height * 2), Image.Resampling.BICUBIC)
    at_one_scale = [Tiles(channels=1, shorter=128).cut(image) for image in (one, twice)]
    at_own = [Tiles(channels=1).cut(image) for image in (one, twice)]

    def apart(pair):
        first, second = (image_statistics(tiles).mean(0) for tiles in pair)
        return np.abs(first - second).mean()

    assert apart(at_one_scale) < 0.3 * apart(at_own)


def test_detail_sees_noise_that_the_small_size_does_not(rng):
    """Grain at full size is averaged away in the small one."""
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((800, 600))
    ).astype(float)

    def encoded(sigma):
        noisy = np.clip(smooth + rng.normal(scale=sigma, size=smooth.shape), 0, 255)
        sink = io.BytesIO()
        Image.fromarray(noisy.astype(np.uint8)).save(sink, "PNG")
        return sink.getvalue()

    detail = Detail(channels=3)
    looks = (ImageShape(size=64, channels=3), *detail.looks)
    clean, grainy = (decode_looks(encoded(sigma), looks, Limits()) for sigma in (2, 12))
    small = [image_statistics(found[0][None])[0] for found in (clean, grainy)]
    own_size = [detail.measured([taken[None] for taken in found[1:]]) for found in (clean, grainy)]
    tiles = [found.detail_NTS[0].mean(0) for found in own_size]
    assert np.abs(tiles[1] - tiles[0]).max() > 3 * np.abs(small[1] - small[0]).max()


def test_levels_that_count_as_one_are_one(rng):
    tiles = rng.integers(0, 30, (2, 9, 8, 8, 1), np.uint8)
    clipped = Detail(channels=1, levels=(12, 255), seams=False)
    as_they_are, raised = (
        clipped.measured([pixels]).detail_NTS for pixels in (tiles, np.maximum(tiles, 12))
    )
    np.testing.assert_array_equal(as_they_are, raised)
    again = Detail.restore(clipped.facts())
    assert again == clipped


def test_regions_of_earlier_versions_look_at_tiles_alone():
    old = Detail.restore({"channels": 3, "shorter": 256, "levels": [0, 243]})
    assert old == Detail(channels=3, shorter=256, levels=(0, 243), tiles=True, seams=False)
    assert old.looks == (Tiles(channels=3, shorter=256),)


def test_what_is_measured_at_own_size_is_cut_and_put_together_by_rows(rng):
    detail = Detail(channels=1)
    images = [picture(80, 70, 1, rng)[1] for _ in range(5)]
    taken = [np.stack([look.cut(image) for image in images]) for look in detail.looks]
    whole = detail.measured(taken)
    assert whole.detail_NTS.shape[:2] == (5, 9)
    assert whole.seams_NS.shape == (5, 6)
    parts = [whole[:2], whole[np.array([2, 3, 4])]]
    again = OwnSize.concatenated(parts)
    np.testing.assert_array_equal(again.detail_NTS, whole.detail_NTS)
    np.testing.assert_array_equal(again.seams_NS, whole.seams_NS)
    assert not whole.blank().seams_NS.any()
    assert OwnSize.concatenated([]) == OwnSize()
    seams_alone = Detail(channels=1, tiles=False).measured(taken[1:])
    assert seams_alone.detail_NTS is None
    np.testing.assert_array_equal(seams_alone.seams_NS, whole.seams_NS)
