"""Altered copies are encoded each under its own image, and with parts of another."""

from dataclasses import replace

import numpy as np
import pytest

from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.python import Foreign
from rayqc.images.alterations import ALTERATIONS, MIXING, altered
from rayqc.images.look import ImageShape
from rayqc.seeds import ALTERATIONS as STREAM
from rayqc.work.altered import (
    MOST_COPIES,
    altered_copies,
    altered_order,
    copies_in_order,
    copies_of_each,
    features_of_altered,
    partner,
)

MEANS = "tests.models.test_features:Means"
SHAPE = ImageShape(size=12, channels=3)


def encoded(images, others, numbers, encoder, copies=3):
    return features_of_altered(images, others, numbers, encoder, SHAPE, copies, seed=1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_features_are_those_of_each_images_copies(count, rng):
    encoder = LatentEncoder(Foreign(MEANS, {}, (12, 3)), 4)
    images = [rng.integers(0, 256, (10 + n, 14, 3), dtype=np.uint8) for n in range(count)]
    others = [rng.integers(0, 256, (9, 9 + n, 3), dtype=np.uint8) for n in range(count)]
    numbers = [7 * n for n in range(count)]
    found = encoded(images, others, numbers, encoder)
    assert set(found.features) == {"latent"}
    assert found.place_C.tolist() == np.arange(count).repeat(3).tolist()
    for row, (place, latent_D) in enumerate(
        zip(found.place_C, found.features["latent"], strict=True)
    ):
        alteration = ALTERATIONS[(numbers[place] + row % 3) % len(ALTERATIONS)]
        stream = np.random.default_rng([1, numbers[place], row % 3, STREAM])
        one = altered(images[place], others[place], alteration, SHAPE, stream)
        np.testing.assert_allclose(latent_D, encoder.encode(one[None])[0], atol=1e-5)
        assert found.mixed_C[row] == (alteration in MIXING)


def test_a_gray_image_has_each_alteration_once(rng):
    encoder = LatentEncoder(Foreign(MEANS, {}, (12, 3)), 4)
    gray, coloured = np.full((9, 9, 3), 80, np.uint8), rng.integers(0, 256, (9, 9, 3), np.uint8)
    found = encoded([gray, coloured], [coloured, gray], [0, 1], encoder, MOST_COPIES)
    assert np.bincount(found.place_C).tolist() == [9, 10]


class Squeamish:
    """An encoder that will not take some images."""

    def __init__(self, refuses):
        self.refuses = refuses

    def encode_all(self, images_NHWC):
        if any(self.refuses(image) for image in images_NHWC):
            raise ValueError("no face found")
        return images_NHWC.reshape(len(images_NHWC), -1)[:, :4].astype(np.float32)

    def split(self, features_NF):
        return features_NF[:, :2], {"middle": features_NF[:, 2:]}


def test_copies_that_an_encoder_refuses_are_left_out(rng):
    """But what it says of a genuine image is an error, for then none of them is to blame."""
    bright = [np.full((12, 12, 3), 200 + n, np.uint8) for n in range(3)]
    others = [bright[1], bright[0], bright[0]]
    sound = encoded(bright, others, range(3), Squeamish(lambda image: False), MOST_COPIES)
    found = encoded(bright, others, range(3), Squeamish(lambda image: image[0, 0, 0] < 99), 10)
    dark_C = sound.features["latent"][:, 0] < 99
    assert 0 < dark_C.sum() < dark_C.size
    for name, value_CF in found.features.items():
        assert np.isnan(value_CF[dark_C]).all()
        np.testing.assert_array_equal(value_CF[~dark_C], sound.features[name][~dark_C])
    order = np.array([2, 0, 1])
    altered_ones = copies_in_order(found, order)
    assert altered_ones.of_C.tolist() == order[found.place_C[~dark_C]].tolist()
    others_C = np.where(found.mixed_C, order[[1, 0, 0]][found.place_C], order[found.place_C])
    assert altered_ones.other_C.tolist() == others_C[~dark_C].tolist()
    assert (altered_ones.other_C != altered_ones.of_C).any()
    nothing = {name: value_CF * np.nan for name, value_CF in found.features.items()}
    assert copies_in_order(replace(found, features=nothing), order) is None
    with pytest.raises(ValueError, match="no face found"):
        encoded(bright, others, range(3), Squeamish(lambda image: True))


@pytest.mark.parametrize("references", [1, 2, 5, 8])
def test_partners_are_two_and_two(references):
    place_N = np.arange(references)
    other_N = partner(place_N, references)
    even = references - references % 2
    assert other_N[:even].reshape(-1, 2)[:, ::-1].ravel().tolist() == place_N[:even].tolist()
    assert other_N[even:].tolist() == [0] * (references % 2)


@pytest.mark.parametrize(
    ("references", "altered_ones", "each"),
    [(1, 1, 10), (50, 50, 10), (51, 51, 9), (300, 300, 1), (501, 500, 1), (20_000, 500, 1)],
)
def test_there_are_five_hundred_copies_at_most(references, altered_ones, each):
    order = altered_order(references, seed=3)
    assert len(set(order.tolist())) == order.size == altered_ones
    assert order.max() == references - 1
    assert copies_of_each(references) == each
    assert altered_copies(references) == altered_ones * each
    np.testing.assert_array_equal(order, altered_order(references, seed=3))
