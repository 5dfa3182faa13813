"""What is measured of a VAE, and when it is refused."""

import numpy as np
import pytest
import torch

from rayqc.config import make_config
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.vae import LONG, SHORT, measure, refuse_collapse, refuse_short, steps_of
from rayqc.errors import CollapsedEncoderError, ConfigError
from rayqc.models.vae import VAE, VAEShape


@pytest.mark.parametrize(
    ("sections", "size", "steps"),
    [
        ({}, 64, SHORT),
        ({}, 32, LONG),
        ({"encoder": {"steps": 7}}, 64, 7),
        ({"regions": {"kind": "sphere"}}, 64, LONG),
        ({"regions": {"kind": "sphere_loo"}}, 64, LONG),
        ({"pool": [{"kind": "augment"}, {"kind": "vae"}]}, 64, LONG),
    ],
)
def test_a_vae_is_trained_long_where_something_depends_on_it(sections, size, steps):
    config = make_config({"references": {"kind": "bundled"}, **sections})
    assert steps_of(config, size) == steps


def test_what_comes_to_depend_on_a_short_training_is_refused():
    record = {"steps": SHORT}
    refuse_short(record, make_config({"references": {"kind": "bundled"}}), 64)
    spheres = {"references": {"kind": "bundled"}, "regions": {"kind": "sphere"}}
    with pytest.raises(ConfigError, match=r"in 60 steps, .* --set encoder.steps=2000 --redo"):
        refuse_short(record, make_config(spheres), 64)
    refuse_short({"steps": LONG}, make_config(spheres), 64)
    refuse_short(record, make_config({**spheres, "encoder": {"steps": SHORT}}), 64)
    refuse_short(
        {"latent_dim": 4}, make_config({**spheres, "encoder": {"kind": "contrastive"}}), 64
    )


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
