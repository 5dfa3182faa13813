"""The GAN trains the same way again, goes on where it stood, and keeps its best."""

import numpy as np
import pytest
import torch

from rayqc.errors import ArtefactError, DivergedError
from rayqc.models.gan import Discriminator, GANShape, Generator
from rayqc.storage import Folder
from rayqc.training.augment import random_cutout, sometimes
from rayqc.training.checkpoint import load_state, save_state
from rayqc.training.gan import GANSettings, fresh_gan, keep_if_best, train_gan
from rayqc.training.gan_quality import gan_quality
from rayqc.training.vae import Workers

SHAPE = GANShape(size=12, channels=1, classes=2, width=4, noise_dim=6)


def data(rng, count=30):
    """Two classes that an edge tells apart: lines across, lines down."""
    label = np.arange(count) % 2
    images = np.zeros((count, 12, 12, 1), np.uint8)
    for image, k in zip(images, label, strict=True):
        place = rng.integers(3, 9)
        image[place if k else slice(None), slice(None) if k else place] = 255
    return images, label


def settings(**changes):
    base = {"steps": 6, "batch_size": 8, "penalty": 0.5, "ema": 0.9, "augment": 0.5}
    return GANSettings(**{**base, "seed": 0, "checkpoint_every": 3, **changes})


def trained(images, label, state=None, **changes):
    state = state or fresh_gan(SHAPE, 1e-3, 0, "cpu")
    return train_gan(state, images, label, settings(**changes))


def weights(state):
    return state.average.state_dict()


def networks(state):
    kinds = ("generator", "discriminator", "average", "best")
    return {name: getattr(state, name) for name in kinds}


def test_shapes_and_parameter_counts():
    shape = GANShape(size=28, channels=1, classes=10)
    generator, discriminator = Generator(shape), Discriminator(shape)
    assert sum(p.numel() for p in generator.parameters()) == 430_657
    assert sum(p.numel() for p in discriminator.parameters()) == 444_161
    made = generator(torch.randn(3, 64), torch.arange(3))
    assert made.shape == (3, 1, 28, 28) and made.min() >= 0 and made.max() <= 1
    assert discriminator(made, torch.arange(3)).shape == (3,)
    for size, levels, side in ((8, 2, 2), (32, 2, 8), (64, 3, 8), (128, 4, 8)):
        large = GANShape(size=size, channels=3, classes=2, width=2)
        assert large.levels == levels and size >> levels == side
        assert Generator(large)(torch.randn(2, 64), torch.arange(2)).shape == (2, 3, size, size)


def test_the_same_seed_gives_the_same_weights_and_a_checkpoint_goes_on(rng, tmp_path):
    images, label = data(rng)
    once, again = trained(images, label), trained(images, label)
    torch.testing.assert_close(weights(once), weights(again), rtol=0, atol=0)
    half = trained(images, label, steps=3)
    folder = Folder(str(tmp_path))
    save_state(folder, networks(half), half.optimisers, {"step": half.step})
    resumed = fresh_gan(SHAPE, 1e-3, 5, "cpu")
    resumed.step = load_state(folder, networks(resumed), resumed.optimisers)["step"]
    trained(images, label, resumed)
    torch.testing.assert_close(weights(once), weights(resumed), rtol=0, atol=0)
    other = fresh_gan(
        GANShape(size=12, channels=1, classes=3, width=4, noise_dim=6), 1e-3, 0, "cpu"
    )
    with pytest.raises(ArtefactError, match="of another network"):
        load_state(folder, networks(other), other.optimisers)


def test_shares_of_a_batch_add_up(rng):
    """Two workers' gradients, averaged as DDP would, are those of one but for batch statistics."""
    images, label = data(rng)
    found = []
    for world in (1, 2):
        grads = []
        for rank in range(world):
            state = fresh_gan(SHAPE, 0.0, 0, "cpu")
            share = Workers(rank=rank, world=world)
            train_gan(state, images, label, settings(steps=1, augment=0.0), share)
            grads.append(state.discriminator.output.bias.grad)
        found.append(torch.stack(grads).mean(0))
    torch.testing.assert_close(found[0], found[1], atol=0.05, rtol=0.1)


def test_it_learns_and_the_best_is_kept(rng):
    images, label = data(rng, 60)
    state = fresh_gan(SHAPE, 2e-3, 0, "cpu")
    keep_if_best(state, gan_quality(state.average, images, label))
    first = state.best.state_dict()["output.bias"].clone()
    train_gan(
        state,
        images,
        label,
        settings(steps=240, checkpoint_every=80, batch_size=16),
        on_checkpoint=lambda state: keep_if_best(state, gan_quality(state.average, images, label)),
    )
    losses = [found["loss"] for found in state.qualities]
    assert [found["step"] for found in state.qualities] == [0, 80, 160, 240]
    assert min(losses[1:]) < 0.7 * losses[0]
    assert not torch.equal(state.best.state_dict()["output.bias"], first)
    kept = gan_quality(state.best, images, label)
    assert kept["loss"] == pytest.approx(min(losses), abs=1e-6)
    with pytest.raises(DivergedError, match="has loss nan"):
        keep_if_best(state, {"loss": float("nan"), "accuracy": 0.0})
    keep_if_best(state, {"loss": 99.0, "accuracy": 0.0})
    assert gan_quality(state.best, images, label) == kept


def test_of_equal_losses_the_last_checkpoint_is_kept():
    """With one class nothing is told apart, and each loss is 0."""
    state = fresh_gan(SHAPE, 2e-3, 0, "cpu")
    for level in (1.0, 2.0):
        with torch.no_grad():
            state.average.output.bias.fill_(level)
        keep_if_best(state, {"loss": 0.0, "accuracy": 1.0})
    assert state.best.output.bias.unique().tolist() == [2.0]


def test_divergence_is_said(rng):
    images, label = data(rng)
    state = fresh_gan(SHAPE, 1e-3, 0, "cpu")
    with torch.no_grad():
        state.discriminator.output.bias.fill_(float("nan"))
    with pytest.raises(DivergedError, match="lower the entry's learning_rate"):
        train_gan(state, images, label, settings())


def test_cutout_blanks_a_square_and_leaves_gradients():
    x = torch.ones(50, 2, 20, 20, requires_grad=True)
    cut = random_cutout(x, torch.Generator().manual_seed(0))
    blank = (cut == 0).float()
    assert blank.sum((1, 2, 3)).max() <= 2 * 9 * 9
    assert (blank.sum((1, 2, 3)) > 0).all()
    cut.sum().backward()
    assert torch.equal(x.grad, 1 - blank)


def test_changes_come_with_their_chance():
    x, rng = torch.ones(400, 1, 10, 10), torch.Generator().manual_seed(0)
    halved = sometimes((lambda x, rng: x / 2,) * 2, 0.5, x, rng).amax((1, 2, 3))
    assert set(halved.tolist()) == {1.0, 0.5, 0.25}
    assert 160 < (halved == 0.5).sum() < 240
    assert torch.equal(sometimes((random_cutout,), 0.0, x, rng), x)
