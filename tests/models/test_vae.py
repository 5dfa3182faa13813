"""The paper's Tables 1 and 2 to the last parameter."""

import numpy as np
import pytest
import torch

from rayqc.encoders.batches import LatentEncoder
from rayqc.errors import ConfigError
from rayqc.models.classifier import Classifier
from rayqc.models.losses import kl_to_standard_normal, reconstruction_loss
from rayqc.models.vae import VAE, VAEShape


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_at_28_are_the_papers():
    with torch.device("meta"):
        vae = VAE(VAEShape(size=28, channels=1))
    assert {name: count(layer) for name, layer in vae.encoder.items()} == {
        "conv1": 5_120,
        "conv2": 4_719_616,
        "dense": 20_070_800,
        "z_mean": 40_100,
        "z_log_var": 40_100,
    }
    assert {name: count(layer) for name, layer in vae.decoder.items()} == {
        "dense": 5_067_776,
        "deconv1": 9_438_208,
        "deconv2": 4_719_104,
        "output": 4_609,
    }
    assert count(vae.encoder) == 24_875_736
    assert count(vae.decoder) == 19_229_697


def test_parameters_at_32_in_colour_are_the_papers():
    with torch.device("meta"):
        vae = VAE(VAEShape(size=32, channels=3))
    assert count(vae.encoder) == 31_028_952
    assert count(vae.decoder) == 20_790_275


@pytest.mark.parametrize(("size", "channels"), [(4, 1), (28, 1), (32, 3), (64, 3)])
def test_reconstruction_has_the_inputs_shape(size, channels):
    vae = VAE(VAEShape(size=size, channels=channels, width=0.01, latent_dim=5))
    x = torch.rand(2, channels, size, size)
    logits, mean, log_var = vae(x, torch.randn(2, 5))
    assert logits.shape == x.shape
    assert mean.shape == log_var.shape == (2, 5)


def test_a_size_that_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="multiple of 4, found 30"):
        VAEShape(size=30, channels=1)


def test_losses_against_their_definitions():
    torch.manual_seed(0)
    mean, log_var = torch.randn(3, 4), torch.randn(3, 4)
    normal = torch.distributions.Normal
    slow = torch.distributions.kl_divergence(
        normal(mean, torch.exp(log_var / 2)), normal(torch.zeros(3, 4), torch.ones(3, 4))
    )
    torch.testing.assert_close(kl_to_standard_normal(mean, log_var), slow)
    logits, x = torch.randn(3, 1, 2, 2), torch.rand(3, 1, 2, 2)
    p = torch.sigmoid(logits)
    bce = -(x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    torch.testing.assert_close(reconstruction_loss(logits, x, "bce"), bce)
    mse = ((p - x) ** 2).sum((1, 2, 3)) / 2
    torch.testing.assert_close(reconstruction_loss(logits, x, "mse"), mse)


def test_the_latent_is_the_mean_whatever_the_batch(rng):
    torch.manual_seed(0)
    vae = VAE(VAEShape(size=8, channels=1, width=0.02, latent_dim=6))
    images = rng.integers(0, 256, (7, 8, 8, 1), dtype=np.uint8)
    found = LatentEncoder(vae, micro_batch=3).encode(images)
    with torch.inference_mode():
        slow = vae.encode(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)[0].numpy()
    np.testing.assert_allclose(found, slow, atol=1e-5)
    one_by_one = np.concatenate([LatentEncoder(vae, 3).encode(images[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(found, one_by_one, atol=1e-6)
    assert LatentEncoder(vae).encode(images[:0]).shape == (0, 6)


def test_encoding_in_bfloat16_is_near_and_gives_float32(rng):
    torch.manual_seed(0)
    vae = VAE(VAEShape(size=8, channels=1, width=0.1, latent_dim=6))
    images = rng.integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    exact = LatentEncoder(vae, 32).encode(images)
    found = LatentEncoder(vae, 32, precision="bfloat16").encode(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, atol=0.02)
    assert not np.array_equal(found, exact)


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (32, 3)])
def test_classifier_takes_small_images(size, channels):
    model = Classifier(channels, classes=7, width=4).eval()
    assert model(torch.rand(2, channels, size, size)).shape == (2, 7)
