"""Tiles at an image's own size, and their statistics."""

import io

import numpy as np
import pytest
from PIL import Image

from rayqc.images.decode import Limits, decode_looks
from rayqc.images.detail import GRID, SIDE, Detail, Tiles
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

    detail = Detail(tiles=Tiles(channels=3), levels=(0, 255))
    looks = (ImageShape(size=64, channels=3), detail.tiles)
    clean, grainy = (decode_looks(encoded(sigma), looks, Limits()) for sigma in (2, 12))
    small = [image_statistics(found[0][None])[0] for found in (clean, grainy)]
    tiles = [detail.statistics(found[1][None])[0].mean(0) for found in (clean, grainy)]
    assert np.abs(tiles[1] - tiles[0]).max() > 3 * np.abs(small[1] - small[0]).max()


def test_levels_that_count_as_one_are_one(rng):
    tiles = rng.integers(0, 30, (2, 9, 8, 8, 1), np.uint8)
    clipped = Detail(tiles=Tiles(channels=1), levels=(12, 255))
    np.testing.assert_array_equal(
        clipped.statistics(tiles), clipped.statistics(np.maximum(tiles, 12))
    )
    again = Detail.restore(clipped.facts())
    assert again == clipped
