"""What is held out, what is measured, and when an encoder is refused."""

import numpy as np
import pytest
import torch

from rayqc.errors import CollapsedEncoderError
from rayqc.models.encoder import LatentEncoder
from rayqc.models.vae import VAE, VAEShape
from rayqc.training.holdout import choose_holdout, measure, refuse_collapse


@pytest.mark.parametrize(
    ("counts", "share", "held"),
    [
        ((10,) * 10, 0.1, 10),
        ((5,) * 10, 0.1, 5),
        ((2, 2), 0.5, 0),
        ((3, 30), 0.9, 11),
        ((9,), 0, 0),
    ],
)
def test_holdout_is_spread_and_spares_small_classes(counts, share, held):
    label = np.repeat(np.arange(len(counts)), counts)
    found = choose_holdout(label, share, seed=1)
    assert found.sum() == held
    for k, count in enumerate(counts):
        assert found[label == k].sum() <= count // 3
    np.testing.assert_array_equal(found, choose_holdout(label, share, seed=1))


def collapsed() -> VAE:
    torch.manual_seed(0)
    vae = VAE(VAEShape(size=8, channels=1, width=0.02, latent_dim=4))
    for name in ("z_mean", "z_log_var"):
        torch.nn.init.zeros_(vae.encoder[name].weight)
        torch.nn.init.zeros_(vae.encoder[name].bias)
    return vae


def test_a_collapsed_encoder_is_found_and_refused(rng):
    images = rng.integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    held = np.arange(12) < 3
    found = measure(LatentEncoder(collapsed()), images, held)
    assert found["active_units"] == 0
    assert found["held_out_images"] == 3
    assert found["reconstruction_held_out"] > 0
    with pytest.raises(CollapsedEncoderError, match="0 of 4 latent units are active"):
        refuse_collapse(found, allow=False)
    refuse_collapse(found, allow=True)
    assert (
        measure(LatentEncoder(collapsed()), images, held & False)["reconstruction_held_out"] is None
    )


def test_active_units_are_counted(rng):
    vae = collapsed()
    with torch.no_grad():
        vae.encoder["z_mean"].bias[:3] = 2.0  # KL of each is 2 nats
    images = rng.integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    assert measure(LatentEncoder(vae), images, np.zeros(12, bool))["active_units"] == 3
