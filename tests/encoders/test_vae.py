"""What is measured of a VAE, and when it is refused."""

import numpy as np
import pytest
import torch

from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.vae import measure, refuse_collapse
from rayqc.errors import CollapsedEncoderError
from rayqc.models.vae import VAE, VAEShape


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


def test_a_collapse_on_images_of_nearly_one_level_is_told_as_that(rng):
    images = rng.integers(0, 16, (12, 8, 8, 1), dtype=np.uint8)  # 12 bits taken for 16
    found = measure(LatentEncoder(collapsed()), images, np.zeros(12, bool))
    assert found["contrast"] == 15
    with pytest.raises(CollapsedEncoderError, match="lie within 15 of 255 levels.*image.range"):
        refuse_collapse(found, allow=False)
    with pytest.raises(CollapsedEncoderError, match="Train longer"):
        refuse_collapse({"active_units": 0, "latent_dim": 4}, allow=False)  # of an earlier run


def test_active_units_are_counted(rng):
    vae = collapsed()
    with torch.no_grad():
        vae.encoder["z_mean"].bias[:3] = 2.0  # KL of each is 2 nats
    images = rng.integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    assert measure(LatentEncoder(vae), images, np.zeros(12, bool))["active_units"] == 3
