"""Fingerprints: equal pixels, pictures made again, and pictures that only resemble each other."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance

from rayqc.images.decode import Limits, decode_native
from rayqc.images.fingerprint import HASH_BYTES, looks, pixel_digests
from rayqc.images.look import ImageShape
from rayqc.schema import LOOK_BYTES
from rayqc.work.duplicates import MOST_BITS, MOST_COLOUR

ROOT = Path(__file__).parents[2]


def bits_apart(first_NB, second_NB):
    return np.unpackbits(first_NB[:, :HASH_BYTES] ^ second_NB[:, :HASH_BYTES], axis=1).sum(1)


@pytest.fixture(scope="module")
def digits():
    rows = pq.read_table(ROOT / "rayqc/data/mnist5k-test.parquet").to_pylist()[::5]
    images = [decode_native(row["image"]["bytes"], Limits()) for row in rows]
    return np.stack(images), np.array([row["label"] for row in rows])


def compressed(image, quality):
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=quality)
    return Image.open(sink)


MADE_AGAIN = {
    "compressed": lambda image: compressed(image, 70),
    "a tenth brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.9),
    "resized": lambda image: image.resize((20, 20), Image.Resampling.BICUBIC),
}


@pytest.mark.parametrize("how", MADE_AGAIN)
def test_a_picture_made_again_looks_alike(how, digits):
    images, _ = digits
    shape = ImageShape(size=28, channels=1)
    again = np.stack([shape.cut(MADE_AGAIN[how](Image.fromarray(one[..., 0]))) for one in images])
    first, second = looks(images), looks(again)
    assert first.shape == (len(images), LOOK_BYTES)
    assert np.mean(bits_apart(first, second) <= MOST_BITS) > 0.85
    colour = np.abs(first[:, HASH_BYTES:].astype(int) - second[:, HASH_BYTES:]).max(1)
    assert np.all(colour <= MOST_COLOUR)
    assert pixel_digests(images) != pixel_digests(again)


def test_no_two_digits_of_a_class_look_alike(digits):
    images, label_N = digits
    look_NB = looks(images)
    for k in range(10):
        rows = np.flatnonzero(label_N == k)
        first, second = np.triu_indices(rows.size, 1)
        assert bits_apart(look_NB[rows[first]], look_NB[rows[second]]).min() > MOST_BITS


def test_equal_pixels_have_equal_digests_and_no_others(rng):
    images = rng.integers(0, 256, (5, 12, 12, 3)).astype(np.uint8)
    images[3] = images[1]
    digests = pixel_digests(images)
    assert digests[3] == digests[1]
    assert len(set(digests)) == 4
    assert len(set(map(bytes, looks(np.zeros((3, 8, 8, 1), np.uint8))))) == 1


def test_another_colour_is_another_look():
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 200
    blue = red[..., ::-1]
    assert bits_apart(looks(red), looks(blue)) == 0
    difference = looks(red)[0, HASH_BYTES:].astype(int) - looks(blue)[0, HASH_BYTES:]
    assert np.abs(difference).max() > MOST_COLOUR


@pytest.mark.parametrize("side", [8, 28, 64])
def test_flat_and_symmetric_pictures_that_look_alike_have_nearly_the_same_look(side):
    """Rounding alone decided the signs of what they do not have."""
    flat = (
        np.full((9, side, side, 1), 100, np.uint8)
        + np.arange(9, dtype=np.uint8)[:, None, None, None]
    )
    assert len({bytes(look[:HASH_BYTES]) for look in looks(flat)}) == 1
    ramp = np.abs(np.arange(side) - (side - 1) / 2)
    mirrored = np.broadcast_to(ramp, (side, side)) * 200 / ramp.max()
    brighter = np.minimum(mirrored * 1.05, 255)
    pair = np.stack([mirrored, brighter]).astype(np.uint8)[..., None]
    assert bits_apart(*(looks(one[None]) for one in pair)) <= 12
