"""Faults are what their table says."""

import numpy as np

from rayqc.images import faults


def digits(rng, count=60, channels=1):
    images = rng.integers(0, 256, (count, 20, 20, channels), dtype=np.uint8)
    return images, np.arange(count) % 5


def test_the_table_names_every_kind():
    assert set(faults.SEVERITY) == {
        "wrong_label",
        "noise",
        "blur",
        "occlusion",
        "blend",
        "other_data",
        "blank",
        "decoding",
    }


def test_wrong_labels_are_wrong_and_even(rng):
    label = np.arange(5000) % 5
    wrong = faults.wrong_labels(label, 5, rng)
    assert (wrong != label).all()
    assert (np.abs(np.bincount(wrong[label == 0], minlength=5)[1:] - 250) < 60).all()


def test_noise_has_its_spread(rng):
    flat = np.full((4, 64, 64, 3), 128, np.uint8)
    assert abs(faults.noise(flat, rng).std() / 255 - faults.NOISE_SD) < 0.02


def test_blur_is_a_gaussian_of_its_spread():
    image = np.zeros((1, 31, 31, 1), np.uint8)
    image[0, 15, 15] = 255
    found = faults.blur(image)[0, :, :, 0].astype(float)
    across = np.arange(31) - 15.0
    second_moment = (found.sum(0) * across**2).sum() / found.sum()
    assert abs(np.sqrt(second_moment) - faults.BLUR_SD) < 0.15
    flat = np.full((1, 9, 9, 3), 77, np.uint8)
    np.testing.assert_array_equal(faults.blur(flat), flat)


def test_occlusion_covers_one_square_of_one_colour(rng):
    images, _ = digits(rng, channels=3)
    for before, after in zip(images, faults.occlude(images, rng), strict=True):
        changed = (before != after).any(2)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        square = after[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert max(square.shape[:2]) <= 8
        assert len(np.unique(square.reshape(-1, 3), axis=0)) == 1


def test_blends_are_of_two_classes(rng):
    images, label = digits(rng)
    images[:] = (label * 50)[:, None, None, None]
    mixed = faults.blend(images, label, rng)[:, 0, 0, 0]
    assert (mixed != images[:, 0, 0, 0]).all()
    only = np.zeros(60, int)
    assert faults.blend(images, only, rng).shape == images.shape


def test_blanks_have_one_colour(rng):
    images, _ = digits(rng, channels=3)
    found = faults.blank(images, rng)
    assert found.shape == images.shape
    assert (found == found[:, :1, :1]).all()
    assert len(np.unique(found[:, 0, 0], axis=0)) > 30
