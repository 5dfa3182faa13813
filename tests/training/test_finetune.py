"""A pretrained network whose later half is trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rayqc
from rayqc.config.settings import Classify
from rayqc.distributed.classifiers.finetune import finetuning_of
from rayqc.errors import ConfigError
from rayqc.models.backbone import Backbone
from rayqc.training.classifier import accuracy, fit_network
from rayqc.training.finetune import Finetuned
from rayqc.training.softmax import SoftmaxHead
from tests.conftest import tiny

CHANNELS, WIDTH, SIDE = 3, 4, 16


def untaught(classes: int) -> Finetuned:
    """A network of random weights, with a head that knows nothing."""
    torch.manual_seed(0)
    network = Backbone(CHANNELS, WIDTH)
    head = SoftmaxHead(
        weight_FK=torch.zeros(network.latent_dim, classes), bias_K=torch.zeros(classes)
    )
    return Finetuned(network, head)


def striped(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a brighter upper or left half, by class."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 120, (count, SIDE, SIDE, CHANNELS), np.uint8)
    label = np.arange(count) % 2
    images[label == 0, : SIDE // 2] += 100
    images[label == 1, :, : SIDE // 2] += 100
    return images, label


def test_the_later_half_learns_and_the_first_stays():
    model = untaught(2)
    before = [tensor.detach().clone() for tensor in model.network.parameters()]
    statistics = {name: value.clone() for name, value in model.network.named_buffers()}
    settings = finetuning_of(
        Classify(steps=600, learning_rate=0.1, augment="none", flip=False), CHANNELS
    )
    assert (settings.steps, settings.learning_rate, settings.batch_size) == (60, 0.01, 32)
    fit_network(model, *striped(64, 0), settings, 0, "cpu")
    assert accuracy(model, *striped(64, 1)) > 0.9
    after = list(model.network.parameters())
    same = [torch.equal(old, new) for old, new in zip(before, after, strict=True)]
    assert all(same[: len(same) // 2])
    assert not any(same[-2:])
    for name, value in model.network.named_buffers():
        assert torch.equal(value, statistics[name]), name


def test_equal_seeds_give_equal_networks():
    settings = finetuning_of(Classify(steps=100), CHANNELS)
    models = [untaught(2), untaught(2)]
    for model in models:
        fit_network(model, *striped(32, 0), settings, 3, "cpu")
    assert torch.equal(models[0].weight_FK, models[1].weight_FK)


def test_an_encoder_that_the_references_trained_is_refused(tiny_run, tmp_path):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    settings = rayqc.make_config(tiny(classify={"kind": "finetune"}))
    with pytest.raises(ConfigError, match="needs an encoder that was trained elsewhere"):
        rayqc.run(settings, str(run), redo=True)
