"""The classifier learns, batches are balanced, arms hold what they say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rayqc.models.batches import MOST_PIXELS
from rayqc.models.classifier import Classifier, fold
from rayqc.training.arms import LabelledPool, arm_rows
from rayqc.training.augment import random_affine, random_flip
from rayqc.training.batch_draw import BatchDraw
from rayqc.training.classifier import ClassifierSettings, accuracy, train_classifier

SETTINGS = ClassifierSettings(
    steps=25, batch_size=16, learning_rate=1e-2, width=4, augment=False, flip=False, balanced=True
)


def stripes(rng, count):
    """Class 0 has horizontal stripes, class 1 vertical ones."""
    label = np.arange(count) % 2
    images = rng.integers(0, 60, (count, 8, 8, 1), dtype=np.uint8)
    images[label == 0, ::2] += 150
    images[label == 1, :, ::2] += 150
    return images, label.astype(np.int64)


def test_it_learns_what_can_be_learned_and_repeats(rng):
    images, label = stripes(rng, 40)
    test = stripes(rng, 40)
    model = train_classifier(images, label, 2, SETTINGS, seed=1)
    again = train_classifier(images, label, 2, SETTINGS, seed=1)
    assert accuracy(model, *test) == 1.0
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("steps", [1, 2, 5, 9])
def test_a_few_steps_are_steps_too(rng, steps):
    images, label = stripes(rng, 20)
    model = train_classifier(images, label, 2, replace(SETTINGS, steps=steps), seed=1)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_a_folded_classifier_says_the_same_of_shrunken_images(rng):
    images, label = rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8), np.arange(40) % 2
    model = train_classifier(images, label, 2, replace(SETTINGS, shrink=2), seed=1)
    x = torch.rand(5, 3, 16, 16)
    with torch.inference_mode():
        before = model(x)
        pairs = F.avg_pool2d(x, 2)
        torch.testing.assert_close(before, _unshrunken(model)(pairs))
        torch.testing.assert_close(fold(model)(x), before, rtol=1e-4, atol=1e-4)
    assert not any("running" in name for name in model.state_dict())


def _unshrunken(model):
    whole = Classifier(3, 2, SETTINGS.width).eval()
    whole.load_state_dict(model.state_dict())
    return whole


def test_large_images_are_counted_in_small_batches():
    """Of 500 at 260 pixels the layers of one network kept 8 GB."""
    sizes = []

    class Notes(torch.nn.Module):
        def forward(self, x_NCHW):
            sizes.append(len(x_NCHW))
            return torch.eye(2)[(x_NCHW.mean((1, 2, 3)) > 0.5).long()]

    label = np.arange(40) % 2
    images = np.broadcast_to(label[:, None, None, None] * 255, (40, 260, 260, 3)).astype(np.uint8)
    assert accuracy(Notes(), images, label) == 1.0
    assert max(sizes) * 260 * 260 <= MOST_PIXELS
    assert sum(sizes) == 40
    sizes.clear()
    accuracy(Notes(), images[:, :8, :8], label)
    assert sizes == [40]


def _drawn(label, size, balanced, batches, rng):
    draw = BatchDraw(label, size, balanced)
    return np.concatenate([draw.rows(rng) for _ in range(batches)])


def test_balanced_batches_hold_classes_in_equal_shares(rng):
    label = np.array([0] * 90 + [2] * 9 + [5])
    rows = _drawn(label, 30, True, 40, rng)
    counts = np.bincount(label[rows])
    assert counts[0] == counts[2] == counts[5] == 400
    assert len(set(rows[label[rows] == 0])) > 80
    many = np.repeat(np.arange(100), 2)  # more classes than places in a batch
    rows = _drawn(many, 64, True, 500, rng)
    share = np.bincount(many[rows], minlength=100) / rows.size
    assert 0.008 < share.min() <= share.max() < 0.012
    plain = _drawn(label, 30, False, 40, rng)
    assert np.bincount(label[plain])[0] > 1000


@pytest.mark.parametrize("seed", [0, 1])
def test_arms(rng, seed):
    label = rng.integers(0, 3, 60)
    accepted = rng.random(60) < 0.4
    entry = np.array(["gan", "vae"], object)[rng.integers(0, 2, 60)]
    pool = LabelledPool(
        images_NHWC=np.zeros((60, 1, 1, 1), np.uint8),
        label_N=label,
        accepted_N=accepted,
        entry_N=entry,
    )
    rows = {
        arm: arm_rows(arm, pool, seed) for arm in ("real", "all", "accepted", "rejected", "random")
    }
    assert rows["real"].size == 0
    assert list(rows["all"]) == list(range(60))
    assert sorted([*rows["accepted"], *rows["rejected"]]) == list(range(60))
    assert len(set(rows["random"])) == rows["random"].size
    for k in range(3):
        assert (label[rows["random"]] == k).sum() == (label[rows["accepted"]] == k).sum()
    assert list(rows["random"]) == list(arm_rows("random", pool, seed))
    assert list(rows["random"]) != list(arm_rows("random", pool, seed + 10))
    each = [set(arm_rows(f"accepted:{name}", pool, seed)) for name in ("gan", "vae")]
    assert each[0] | each[1] == set(rows["accepted"]) and not each[0] & each[1]
    assert each[0] == {row for row in rows["accepted"] if entry[row] == "gan"}
    with pytest.raises(ValueError, match="no arm is called 'x'"):
        arm_rows("x", pool, 0)


def test_augmentation_is_seeded_and_keeps_range():
    x = torch.rand(4, 3, 16, 16)
    rng = lambda: torch.Generator().manual_seed(5)  # noqa: E731
    moved = random_affine(x, rng())
    assert torch.equal(moved, random_affine(x, rng()))
    assert moved.shape == x.shape
    assert moved.min() >= 0 and moved.max() <= 1
    assert not torch.equal(moved, x)
    flipped = random_flip(x, rng())
    for one, was in zip(flipped, x, strict=True):
        assert torch.equal(one, was) or torch.equal(one, was.flip(2))
