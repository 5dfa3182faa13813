"""The paper's VAE as an encoder: reconstruction, active units, and a refusal of a collapsed one.

Its training loop is `training.vae`, run by Ray Train's workers in `distributed.train_vae`.

Shape suffixes: N images, H W C pixels, D latent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from rayqc.encoders.base import EncoderKind
from rayqc.encoders.batches import LatentEncoder
from rayqc.errors import CollapsedEncoderError
from rayqc.models.losses import ACTIVE_KL, kl_to_standard_normal, reconstruction_loss
from rayqc.models.vae import VAE, VAEShape, pixels_to_input

LEAST_ACTIVE = 2
"""Active latent units without which images can no longer be told apart."""


@torch.inference_mode()
def reconstruct(encoder: LatentEncoder, images_NHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """KL of each latent unit (N, D), and the reconstruction's cross-entropy (N,), in nats.

    Args:
        encoder: of a VAE.
        images_NHWC: uint8.

    Raises:
        TypeError: the encoder is no VAE.
    """
    vae = encoder.network
    if not isinstance(vae, VAE):
        raise TypeError(f"only a VAE reconstructs, this is a {type(vae).__name__}")
    kl, loss = [], []
    for start in range(0, images_NHWC.shape[0], encoder.micro_batch):
        part = torch.from_numpy(images_NHWC[start : start + encoder.micro_batch])
        x_NCHW = pixels_to_input(part.to(encoder.device))
        mean_ND, log_var_ND = vae.encode(x_NCHW)
        kl.append(kl_to_standard_normal(mean_ND, log_var_ND).cpu().numpy())
        logits_NCHW = vae.decode_logits(mean_ND)
        loss.append(reconstruction_loss(logits_NCHW, x_NCHW, "bce").cpu().numpy())
    return np.concatenate(kl), np.concatenate(loss)


def measure(encoder: LatentEncoder, images_NHWC: np.ndarray, held_N: np.ndarray) -> dict[str, Any]:
    """Active units over all references; reconstruction, in nats an image, in and out of sample.

    Args:
        encoder: of a VAE.
        images_NHWC: references, uint8.
        held_N: (N,) bool, true for those it was not trained on.
    """
    kl_ND, loss_N = reconstruct(encoder, images_NHWC)
    return {
        "active_units": int((kl_ND.mean(0) > ACTIVE_KL).sum()),
        "latent_dim": int(kl_ND.shape[1]),
        "kl": float(kl_ND.sum(1).mean()),
        "reconstruction_trained": float(loss_N[~held_N].mean()),
        "reconstruction_held_out": float(loss_N[held_N].mean()) if held_N.any() else None,
        "held_out_images": int(held_N.sum()),
    }


def refuse_collapse(record: Mapping[str, Any], allow: bool) -> None:
    """Stop when fewer than 2 latent units of a VAE carry anything.

    Args:
        record: an encoder's; kinds without active units pass.

    Raises:
        CollapsedEncoderError: unless `allow`.
    """
    if record.get("active_units", LEAST_ACTIVE) < LEAST_ACTIVE and not allow:
        raise CollapsedEncoderError(
            f"the encoder has collapsed: {record['active_units']} of {record['latent_dim']} latent "
            f"units are active (KL > {ACTIVE_KL}), need at least {LEAST_ACTIVE}; images can no "
            "longer be told apart. Train longer, or lower encoder.beta or encoder.learning_rate; "
            "encoder.allow_collapse: true goes on all the same"
        )


KIND = EncoderKind(
    where="workers",
    build=lambda shape: VAE(VAEShape(**shape)),
    make=None,
    saw_references=True,
)
