"""Encoder kind `vae`, the paper's: measures its reconstruction and active units, refuses collapse.

Its training loop is `training.vae`, run by Ray Train's workers in `distributed.train_vae`.

Shape suffixes: N images, B images of a batch, H W C pixels, D latent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from rayqc.config import Config, Latent
from rayqc.encoders.base import EncoderKind
from rayqc.encoders.batches import LatentEncoder
from rayqc.errors import CollapsedEncoderError, ConfigError
from rayqc.models.losses import ACTIVE_KL, kl_to_standard_normal, reconstruction_loss
from rayqc.models.vae import VAE, VAEShape, pixels_to_input

LEAST_ACTIVE = 2
"""With fewer active latent units than this, images can no longer be told apart."""
LONG, SHORT = 2000, 60
"""Steps of a VAE that decides something, and of one of large images that does not."""
SMALL = 32
"""Pixels of images whose VAE is trained long in any case: that takes a minute or two."""
LEAST_CONTRAST = 32
"""Of 255 levels; images of less are nearly of one level."""


def steps_of(config: Config, size: int) -> int:
    """Optimiser steps of a VAE of images of `size` pixels; see the setting `encoder.steps`."""
    if config.encoder.steps is not None:
        return config.encoder.steps
    decides = config.regions.kind != "calibrated" or any(
        isinstance(entry, Latent) for entry in config.pool
    )
    return LONG if decides or size <= SMALL else SHORT


def refuse_short(record: Mapping[str, Any], config: Config, size: int) -> None:
    """Refuse what is decided by a VAE that was trained while it decided nothing.

    Args:
        record: of the encoder, with its `steps` if it is a VAE.
        size: pixels of its images.

    Raises:
        ConfigError: settings that have changed since ask for a longer training.
    """
    if config.encoder.kind != "vae" or config.encoder.steps is not None:
        return
    done, wanted = int(record.get("steps", LONG)), steps_of(config, size)
    if done < wanted:
        raise ConfigError(
            f"the VAE was trained in {done:,} steps, which is enough where nothing is decided by "
            f"it, and these settings do; train it anew: --set encoder.steps={wanted} --redo"
        )


@torch.inference_mode()
def reconstruct(encoder: LatentEncoder, images_NHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """KL divergence of each latent unit, and cross-entropy of each image's reconstruction.

    Args:
        encoder: of a VAE.
        images_NHWC: (N, H, W, C) uint8, N >= 1.

    Returns:
        (N, D) and (N,) float32, both in nats.

    Raises:
        TypeError: the encoder's network is no VAE.
    """
    vae = encoder.network
    if not isinstance(vae, VAE):
        raise TypeError(f"only a VAE reconstructs, this is a {type(vae).__name__}")
    kl_batches, loss_batches = [], []
    for start in range(0, images_NHWC.shape[0], encoder.micro_batch):
        images_BHWC = torch.from_numpy(images_NHWC[start : start + encoder.micro_batch])
        x_BCHW = pixels_to_input(images_BHWC.to(encoder.device))
        mean_BD, log_var_BD = vae.encode(x_BCHW)
        kl_batches.append(kl_to_standard_normal(mean_BD, log_var_BD).cpu().numpy())
        logits_BCHW = vae.decode_logits(mean_BD)
        loss_batches.append(reconstruction_loss(logits_BCHW, x_BCHW, "bce").cpu().numpy())
    return np.concatenate(kl_batches), np.concatenate(loss_batches)


def measure(encoder: LatentEncoder, images_NHWC: np.ndarray, held_N: np.ndarray) -> dict[str, Any]:
    """Active units and KL over all references, and the reconstruction in and out of sample.

    Args:
        encoder: of a VAE.
        images_NHWC: (N, H, W, C) uint8, references.
        held_N: (N,) bool, true for held-out references, which the VAE was not trained on.

    Returns:
        JSON. Counts: `active_units`, `latent_dim`, `held_out_images`. Means in nats an image: `kl`,
        `reconstruction_trained`, and `reconstruction_held_out`, None where nothing is held out.
        `contrast`: levels of 255 between the darkest and the lightest hundredth of all pixels.

    Raises:
        TypeError: the encoder's network is no VAE.
    """
    kl_ND, loss_N = reconstruct(encoder, images_NHWC)
    darkest, lightest = np.percentile(images_NHWC, (1, 99))
    return {
        "active_units": int((kl_ND.mean(0) > ACTIVE_KL).sum()),
        "latent_dim": int(kl_ND.shape[1]),
        "kl": float(kl_ND.sum(1).mean()),
        "reconstruction_trained": float(loss_N[~held_N].mean()),
        "reconstruction_held_out": float(loss_N[held_N].mean()) if held_N.any() else None,
        "held_out_images": int(held_N.sum()),
        "contrast": float(lightest - darkest),
    }


def refuse_collapse(record: Mapping[str, Any], allow: bool) -> None:
    """Refuse a VAE with fewer than `LEAST_ACTIVE` active latent units.

    Args:
        record: an encoder's record; one without `active_units` passes.
        allow: never raise.

    Raises:
        CollapsedEncoderError: too few units are active.
    """
    if record.get("active_units", LEAST_ACTIVE) < LEAST_ACTIVE and not allow:
        contrast = record.get("contrast", LEAST_CONTRAST)
        advice = (
            "Train longer, or lower encoder.beta or encoder.learning_rate"
            if contrast >= LEAST_CONTRAST
            else f"The references are nearly of one level: 98% of their pixels lie within "
            f"{contrast:.0f} of 255 levels. Look at them, and set image.range if their values are "
            "of another range"
        )
        raise CollapsedEncoderError(
            f"the encoder has collapsed: {record['active_units']} of {record['latent_dim']} latent "
            f"units are active (KL > {ACTIVE_KL}), need at least {LEAST_ACTIVE}; images can no "
            f"longer be told apart. {advice}; encoder.allow_collapse: true goes on all the same"
        )


KIND = EncoderKind(
    where="workers",
    build=lambda shape: VAE(VAEShape(**shape)),
    make=None,
    saw_references=True,
)
