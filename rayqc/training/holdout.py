"""Which references the VAE is not trained on, and what is measured on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rayqc.errors import CollapsedEncoderError
from rayqc.models.encoder import LatentEncoder
from rayqc.models.losses import ACTIVE_KL

LEAST_IN_CLASS = 3
LEAST_ACTIVE = 2


def choose_holdout(label_N: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(N,) bool, true for held-out images: `share` of all, taken from the classes in turn.

    A class never falls below two thirds of its images, nor do classes with fewer than 3 give any.
    """
    rng = np.random.default_rng([seed, 2])
    held_N = np.zeros(label_N.size, bool)
    queues = []
    for k in np.unique(label_N):
        rows = rng.permutation(np.flatnonzero(label_N == k))
        queues.append(list(rows[: rows.size // LEAST_IN_CLASS]))
    order = list(rng.permutation(len(queues)))
    wanted = round(share * label_N.size)
    while wanted > held_N.sum() and any(queues):
        for k in order:
            if queues[k] and held_N.sum() < wanted:
                held_N[queues[k].pop()] = True
    return held_N


def measure(encoder: LatentEncoder, images_NHWC: np.ndarray, held_N: np.ndarray) -> dict[str, Any]:
    """Active units over all references; reconstruction, in nats an image, in and out of sample."""
    kl_ND, loss_N = encoder.reconstruct(images_NHWC)
    return {
        "active_units": int((kl_ND.mean(0) > ACTIVE_KL).sum()),
        "latent_dim": int(kl_ND.shape[1]),
        "kl": float(kl_ND.sum(1).mean()),
        "reconstruction_trained": float(loss_N[~held_N].mean()),
        "reconstruction_held_out": float(loss_N[held_N].mean()) if held_N.any() else None,
        "held_out_images": int(held_N.sum()),
    }


def refuse_collapse(record: dict[str, Any], allow: bool) -> None:
    """Stop when fewer than 2 latent units carry anything.

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
