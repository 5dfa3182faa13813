"""Each alteration does what it says, to any image, and the same one every time."""

import numpy as np
import pytest
from PIL import Image

from rayqc.errors import InputError
from rayqc.images.alterations import (
    Whole,
    alterations,
    altered,
    blended,
    covered,
    disordered,
    negative,
    pasted,
    recoloured,
    shifted,
    turned,
    upside_down,
)
from rayqc.images.decode import Limits, as_image
from rayqc.images.encode import encode_png
from rayqc.images.look import ImageShape
from rayqc.images.references import real_pixels

SEEDS = range(12)


def picture(rng, height=24, width=36, channels=3):
    """An image no two pixels of which are likely to be equal."""
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def sorted_pixels(image_HWC):
    flat = image_HWC.reshape(-1, image_HWC.shape[2])
    return flat[np.lexsort(flat.T)]


def made(alteration, rng, image, other=None):
    """What an alteration makes of an image by several random numbers."""
    other = picture(rng, *image.shape) if other is None else other
    return [alteration(image, other, np.random.default_rng(seed)) for seed in SEEDS]


def test_what_only_moves_pixels_keeps_them(rng):
    image = picture(rng)
    for alteration in (turned, upside_down, disordered, shifted):
        for result in made(alteration, rng, image):
            np.testing.assert_array_equal(sorted_pixels(result), sorted_pixels(image))
            assert result.shape != image.shape or (result != image).any()


def test_tiles_are_out_of_order(rng):
    image = picture(rng, 48, 48)
    for result in made(disordered, rng, image):
        assert (result != image).any(2).mean() > 0.5


def test_a_band_is_shifted_and_the_rest_is_not(rng):
    image = picture(rng)
    for result in made(shifted, rng, image):
        changed_HW = (result != image).any(2)
        lines = min(changed_HW.any(1).mean(), changed_HW.any(0).mean())
        assert 0 < lines <= 0.35


def test_colours_are_exchanged_and_inverted(rng):
    image = picture(rng)
    np.testing.assert_array_equal(made(negative, rng, image)[0], 255 - image)
    for result in made(recoloured, rng, image):
        np.testing.assert_array_equal(np.sort(result, axis=2), np.sort(image, axis=2))
        assert (result != image).any()


def test_what_is_put_in_is_of_another_image(rng):
    image, other = picture(rng) // 2, picture(rng) // 2 + 128
    for result in made(pasted, rng, image, other):
        is_other_HW = (result >= 128).all(2)
        assert 0.05 < is_other_HW.mean() < 0.4
        np.testing.assert_array_equal(result[~is_other_HW], image[~is_other_HW])
    for result in made(covered, rng, image):
        changed = result[(result != image).any(2)]
        assert 0.05 < len(changed) / image[..., 0].size < 0.3
        assert len(np.unique(changed, axis=0)) == 1
    for result in made(blended, rng, image, other):
        assert (result >= np.minimum(image, other)).all()
        assert (result <= np.maximum(image, other)).all()
        assert (result != image).mean() > 0.9


@pytest.mark.parametrize("size", [(8, 8), (9, 40), (61, 12), (1, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_is_altered_to_what_the_network_looks_at(size, channels, rng):
    shape = ImageShape(size=16, channels=channels, kept_share=0.9)
    image, other = picture(rng, *size, channels), picture(rng, 20, 7, channels)
    for alteration in alterations(image):
        found, again = (
            altered(image, other, alteration, shape, np.random.default_rng(5)) for _ in range(2)
        )
        assert found.shape == shape.pixels
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, again)


def test_gray_stays_gray_in_three_channels(rng):
    image, other = (np.repeat(picture(rng, 20, 20, 1), 3, axis=2) for _ in range(2))
    assert recoloured in alterations(picture(rng))
    assert recoloured not in alterations(image)
    for alteration in alterations(image):
        found = altered(image, other, alteration, ImageShape(size=20, channels=3), rng)
        assert (found == found[..., :1]).all()


def test_all_of_an_image_is_taken_at_what_is_enough(rng):
    whole = Whole(shape=ImageShape(size=8, channels=3))
    assert real_pixels("a", encode_png(picture(rng, 10, 14)), whole, Limits()).shape == (10, 14, 3)
    assert real_pixels("a", encode_png(picture(rng, 40, 60)), whole, Limits()).shape == (16, 24, 3)
    wide = real_pixels("a", encode_png(picture(rng, 20, 700)), whole, Limits())
    assert wide.shape == (16, 128, 3), "all of it, closer together"
    with pytest.raises(InputError, match="real image a cannot be used"):
        real_pixels("a", b"no image", whole, Limits())


def grain(side, rng):
    """A gray image that is as rough at every scale, as photographs are."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = 1
    waves = np.fft.rfft2(rng.normal(size=(side, side))) / frequency
    levels = np.fft.irfft2(waves, s=(side, side))
    return Image.fromarray(np.clip(128 + 40 * levels / levels.std(), 0, 255).astype(np.uint8))


def roughness(pixels_HW):
    rough = [np.diff(pixels_HW.astype(float), n=2, axis=axis) for axis in (0, 1)]
    return np.mean([np.abs(differences).mean() for differences in rough])


@pytest.mark.parametrize("side", [600, 1000, 2500])
def test_an_image_to_be_altered_is_as_sharp_as_one_that_is_not(side, rng):
    """Or a classifier would tell copies by how softly they were scaled."""
    shape = ImageShape(size=260, channels=1, kept_share=0.9, interpolation="bicubic")
    image = grain(side, rng)
    whole = as_image(Whole(shape=shape).cut(image))
    assert min(whole.size) == min(side, shape.enough)
    direct, by_way_of_whole = (roughness(shape.cut(look)[..., 0]) for look in (image, whole))
    assert by_way_of_whole == pytest.approx(direct, rel=0.06)
