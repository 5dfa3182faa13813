"""Spurious cues: what a plain statistic tells of the class."""

import numpy as np
import pytest

from rayqc.selection.cues import find_cues, omega_squared, statistics_of


def of_colours(colour_N3, size_N2=None):
    return statistics_of(np.asarray(colour_N3), size_N2)


def test_omega_squared_is_the_share_between_classes(rng):
    label_N = np.repeat([0, 1], 5000)
    # Means 2 apart, each of spread 1: between 1, within 1.
    value_N = rng.normal(size=10_000) + 2 * label_N
    assert omega_squared(value_N, label_N) == pytest.approx(0.5, abs=0.02)
    assert omega_squared(rng.normal(size=10_000), label_N) < 0.001
    assert omega_squared(np.ones(10), np.arange(10) % 2) == 0
    assert omega_squared(np.full(30, np.log(28.0)), np.arange(30) % 10) == 0
    assert omega_squared(np.arange(3.0), np.zeros(3, int)) == 0


def test_classes_that_differ_in_brightness_in_the_pool_alone_are_told(rng):
    label_R, label_N = np.repeat([0, 1, 2], 10), np.repeat([0, 1, 2], 200)
    colour_R3 = rng.normal(120, 20, (30, 3))
    even_N3 = rng.normal(120, 20, (600, 3))
    cues = find_cues(of_colours(colour_R3), label_R, of_colours(even_N3), label_N, seed=0)
    assert set(cues) == {"brightness", "red", "blue"}
    assert not any(cue.spurious for cue in cues.values())
    bright_N3 = even_N3 + 40 * (label_N == 1)[:, None]
    brighter = find_cues(of_colours(colour_R3), label_R, of_colours(bright_N3), label_N, 0)
    assert brighter["brightness"].spurious
    assert not brighter["red"].spurious
    # Where the references' classes differ in it, too, it is no cue of the pool.
    both = find_cues(
        of_colours(colour_R3 + 40 * (label_R == 1)[:, None]),
        label_R,
        of_colours(bright_N3),
        label_N,
        seed=0,
    )
    assert not both["brightness"].spurious


def test_where_nothing_was_accepted_there_are_no_cues_of_it(rng):
    label_R, none_N = np.repeat([0, 1], 10), np.zeros(0, np.int64)
    references = of_colours(rng.normal(120, 20, (20, 3)), np.full((20, 2), 64))
    nothing = of_colours(np.zeros((0, 3)), np.zeros((0, 2)))
    cues = find_cues(references, label_R, nothing, none_N, 0)
    assert set(cues) == {"brightness"}
    assert cues["brightness"].images == 0


def test_gray_images_have_brightness_alone(rng):
    gray = np.repeat(rng.normal(120, 20, (20, 1)), 3, axis=1)
    found, label_N = of_colours(gray), np.arange(20) % 2
    assert set(find_cues(found, label_N, found, label_N, 0)) == {"brightness"}


def test_a_class_of_larger_or_wider_images_is_told(rng):
    label_R, label_N = np.repeat([0, 1], 10), np.repeat([0, 1], 200)
    gray_R3, gray_N3 = np.full((20, 3), 120.0), np.full((400, 3), 120.0)
    square_R2, square_N2 = np.full((20, 2), 64), np.full((400, 2), 64)
    references = of_colours(gray_R3, square_R2)
    # All alike in all: nothing to tell by.
    assert not find_cues(references, label_R, of_colours(gray_N3, square_N2), label_N, 0)
    larger_N2 = square_N2 * (1 + label_N)[:, None]
    (name, cue), *others = find_cues(
        references, label_R, of_colours(gray_N3, larger_N2), label_N, 0
    ).items()
    assert (name, others, cue.spurious) == ("size", [], True)
    assert cue.images == pytest.approx(1, abs=0.01)
    wider_N2 = np.stack([64 + 64 * label_N, np.full(400, 64)], axis=1)
    wider = find_cues(references, label_R, of_colours(gray_N3, wider_N2), label_N, 0)
    assert all(wider[name].spurious for name in ("size", "proportions"))
    # Sizes that are not known of both are not compared.
    assert "size" not in find_cues(
        of_colours(gray_R3), label_R, of_colours(gray_N3, larger_N2), label_N, 0
    )
