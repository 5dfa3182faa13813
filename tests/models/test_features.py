"""Features see what they should; encoders brought along are checked."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.python import Foreign
from rayqc.encoders.torchvision import Pretrained, pretrained_weights
from rayqc.errors import ConfigError
from rayqc.models import features as module
from rayqc.models.features import FILTERS, edge_histograms, learn_patches
from rayqc.targets import load_target


class Means:
    """An encoder of somebody's own: mean and spread of each channel."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def __call__(self, x):
        return torch.cat([self.factor * x.mean((2, 3)), x.std((2, 3))], dim=1)


def with_batch_norm():
    """A network in training mode, as torch makes it."""
    norm = nn.BatchNorm2d(4)
    norm.running_mean.copy_(torch.arange(1.0, 5))
    norm.running_var.fill_(4)
    layers = (nn.Conv2d(3, 4, 3), norm, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*layers)


def wrong_shape():
    return lambda x: x


def test_edges_point_where_they_should():
    upright, level = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    upright[..., 8:] = 1
    level[..., 8:, :] = 1
    found = [edge_histograms(x).reshape(8, -1).sum(1) for x in (upright, level)]
    assert found[0].argmax() == 0
    assert found[1].argmax() == 4  # twice the angle
    colour = torch.rand(2, 3, 16, 16)
    gray = edge_histograms(colour[:, :1])
    assert edge_histograms(colour).shape[1] == gray.shape[1] + 3 * 4


def test_patches_against_the_definition(rng):
    torch.manual_seed(0)
    x = torch.rand(6, 2, 14, 14)
    features = learn_patches(x, seed=0)
    patch = x[3, :, 2:8, 4:10]  # place (1, 2) at stride 2
    contrast = (patch.var() + 0.01).sqrt()
    normal = (patch - patch.mean()) / contrast
    slow = (features.filters * normal).sum((1, 2, 3)) - features.offset
    area = x.shape[1] * 36
    response = torch.nn.functional.conv2d(x, features.filters, stride=2)[3, :, 1, 2]
    variance = patch.var(unbiased=False) * area / (area - 1)
    fast = response / (variance + 0.01).sqrt() - features.offset
    torch.testing.assert_close(fast, slow, rtol=1e-3, atol=1e-4)
    assert features(x).shape == (6, FILTERS * 9)
    assert torch.equal(features(x), learn_patches(x, seed=0)(x))


@pytest.mark.parametrize("most", [100, 10_000])
def test_patches_are_drawn_among_all(most, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "MOST_PATCHES", most)
    monkeypatch.setattr(
        module, "_k_means", lambda white, rng: drawn.append(white) or white[:FILTERS]
    )
    monkeypatch.setattr(module, "WHITENING_FLOOR", 1e6)  # so that whitening turns nothing
    x = torch.rand(7, 2, 11, 13)
    learn_patches(x, seed=4)
    every = torch.nn.functional.unfold(x, 6).permute(0, 2, 1).flatten(0, 1)
    rows = torch.randperm(len(every), generator=torch.Generator().manual_seed(4))[:most]
    patches = every[rows] - every[rows].mean(1, keepdim=True)
    patches = patches / (every[rows].var(1, keepdim=True) + 0.01).sqrt()
    patches = patches - patches.mean(0)
    torch.testing.assert_close(drawn[0] * 1e3, patches, rtol=1e-3, atol=1e-3)


def test_blank_images_leave_batch_norms_as_they_are():
    network = Foreign("tests.models.test_features:with_batch_norm", {}, (16, 3))
    norm = network.made[1]
    assert norm.running_mean.tolist() == [1, 2, 3, 4] and norm.running_var.tolist() == [4] * 4
    assert not network.made.training


def test_an_encoder_of_ones_own(rng):
    name = "tests.models.test_features:Means"
    made = Foreign(name, {"factor": 2.0}, (8, 3))
    assert made.latent_dim == 6
    images = rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    found = LatentEncoder(made, micro_batch=2).encode(images)
    np.testing.assert_allclose(found[:, :3], 2 * images.mean((1, 2)) / 255, rtol=1e-4)
    with pytest.raises(ConfigError, match=r"gave \(2, 1, 8, 8\) for 2 images"):
        Foreign("tests.models.test_features:wrong_shape", {}, (8, 1))
    for target, message in (
        ("nothing", "expected package.module:Name"),
        ("no.such:Thing", "cannot load no.such:Thing"),
        ("tests.models.test_features:Nothing", "has no attribute"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_target(target)


def test_a_torchvision_network_without_its_head(tmp_path):
    network = torchvision.models.resnet18(weights=None)
    torch.save(network.state_dict(), tmp_path / "w.pt")
    made = Pretrained("resnet18", size=32)
    assert made.latent_dim == 512
    weights = pretrained_weights(str(tmp_path / "w.pt"))
    assert made.network.load_state_dict(weights, strict=False).missing_keys == []
    assert made.latent(torch.rand(2, 1, 28, 28)).shape == (2, 512)
    with pytest.raises(ConfigError, match="torchvision has no model 'resnet0'"):
        Pretrained("resnet0", size=32)
    (tmp_path / "x.pt").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="cannot read .*x.pt as a state dict"):
        pretrained_weights(str(tmp_path / "x.pt"))
