"""Normalisations folded into convolutions: the same latents, and nothing folded wrongly."""

import pytest
import timm
import torch
from torch import nn

from rayqc.encoders.folded import folded
from rayqc.encoders.timm import _made
from rayqc.models.latent import LatentNetwork


def trained(network):
    """As after training: statistics and factors that are no identity."""
    torch.manual_seed(0)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.1)
    return network.eval()


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", ["tf_efficientnet_lite2", "resnet10t", "regnety_002"])
def test_a_folded_network_gives_the_same_latents_and_middle(name):
    original = _made(name, trained(timm.create_model(name, num_classes=0))).network
    before = {key: value.clone() for key, value in original.state_dict().items()}
    fast = original.for_inference()
    assert norms(original)
    assert not norms(fast)
    images = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        expected, found = original.latent_and_inner(images), fast.latent_and_inner(images)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert all(torch.equal(before[key], value) for key, value in original.state_dict().items())


class Small(LatentNetwork):
    """One convolution and a normalisation, read as a test asks."""

    latent_dim = 4

    def __init__(self, read):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.read = read

    def latent(self, x_NCHW):
        return self.read(self, x_NCHW).mean((2, 3))


def twice(network, x):
    return network.norm(network.convolution(network.norm(network.convolution(x))[:, :3]))


def beside(network, x):
    made = network.convolution(x)
    return network.norm(made) + made


@pytest.mark.parametrize("read", [twice, beside])
def test_a_convolution_that_others_read_as_well_stays(read):
    original = trained(Small(read))
    fast = folded(original, 16)
    images = torch.rand(2, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(fast.latent(images), original.latent(images))


def test_what_is_read_once_is_folded():
    assert not norms(folded(trained(Small(lambda n, x: n.norm(n.convolution(x)))), 16))
