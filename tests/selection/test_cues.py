"""Spurious cues: what a plain statistic tells of the class."""

import numpy as np
import pytest

from rayqc.selection.cues import find_cues, omega_squared


def test_omega_squared_is_the_share_between_classes(rng):
    label_N = np.repeat([0, 1], 5000)
    # Means 2 apart, each of spread 1: between 1, within 1.
    value_N = rng.normal(size=10_000) + 2 * label_N
    assert omega_squared(value_N, label_N) == pytest.approx(0.5, abs=0.02)
    assert omega_squared(rng.normal(size=10_000), label_N) < 0.001
    assert omega_squared(np.ones(10), np.arange(10) % 2) == 0
    assert omega_squared(np.arange(3.0), np.zeros(3, int)) == 0


def test_classes_that_differ_in_brightness_in_the_pool_alone_are_told(rng):
    label_R, label_N = np.repeat([0, 1, 2], 10), np.repeat([0, 1, 2], 200)
    colour_R3 = rng.normal(120, 20, (30, 3))
    even_N3 = rng.normal(120, 20, (600, 3))
    cues = find_cues(colour_R3, label_R, even_N3, label_N, seed=0)
    assert set(cues) == {"brightness", "red", "blue"}
    assert not any(cue.spurious for cue in cues.values())
    brighter = find_cues(colour_R3, label_R, even_N3 + 40 * (label_N == 1)[:, None], label_N, 0)
    assert brighter["brightness"].spurious
    assert not brighter["red"].spurious
    # Where the references' classes differ in it, too, it is no cue of the pool.
    both = find_cues(
        colour_R3 + 40 * (label_R == 1)[:, None],
        label_R,
        even_N3 + 40 * (label_N == 1)[:, None],
        label_N,
        seed=0,
    )
    assert not both["brightness"].spurious


def test_gray_images_have_brightness_alone(rng):
    gray = np.repeat(rng.normal(120, 20, (20, 1)), 3, axis=1)
    assert set(find_cues(gray, np.arange(20) % 2, gray, np.arange(20) % 2, 0)) == {"brightness"}
