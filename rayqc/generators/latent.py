"""Samples of the run's own VAE: near the latents of a class's references.

Shape suffixes: B images of a batch, R references of a class, D latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rayqc.config import Latent
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import DIGEST, MODEL, load_encoder
from rayqc.errors import ConfigError
from rayqc.generators.base import EntryPlace, GeneratorKind
from rayqc.generators.gan import to_pixels
from rayqc.generators.sampled import SampledSource, sampled_source
from rayqc.images.decode import Limits, decode_batch
from rayqc.models.vae import VAE
from rayqc.schema import image_bytes
from rayqc.storage import Folder, read_json, read_table


@dataclass(frozen=True, kw_only=True)
class LatentMaker:
    """The encoder in a run's model folder, and its references."""

    model: Folder
    table: str
    spread: float
    """Noise, as a factor on the class's own standard deviation in each latent dimension."""
    limits: Limits

    @property
    def identity(self) -> str:
        """Of the encoder and the spread; the references are what it was trained on."""
        return f"{read_json(self.model, MODEL)[DIGEST]} {self.spread}"

    def open(self, device: str) -> LatentSampler:
        """Encode the references, and decode from there."""
        trained = load_encoder(self.model, None)
        if not isinstance(trained.network, VAE):
            raise ConfigError(f"a pool entry of kind vae needs a VAE, this is a {trained.kind}")
        references = read_table(self.model, self.table, columns=["image", "label"])
        images_NHWC = decode_batch(image_bytes(references), trained.image, self.limits)[0]
        latent_ND = LatentEncoder(trained.network, device=device).encode(images_NHWC)
        return LatentSampler(
            trained.network, latent_ND, np.asarray(references["label"]), self.spread, device
        )


class LatentSampler:
    """See `Sampler`: a random reference's latent, and noise in proportion to its class's spread."""

    def __init__(
        self, vae: VAE, latent_ND: np.ndarray, label_N: np.ndarray, spread: float, device: str
    ) -> None:
        self.vae = vae
        self.own_KRD = {int(k): latent_ND[label_N == k] for k in np.unique(label_N)}
        self.noise_KD = {k: np.float32(spread) * own.std(0) for k, own in self.own_KRD.items()}
        self.device = device

    @torch.inference_mode()
    def __call__(self, label_B: np.ndarray, seed_B: np.ndarray) -> np.ndarray:
        z_BD = np.stack(
            [self._draw(int(k), int(seed)) for k, seed in zip(label_B, seed_B, strict=True)]
        )
        logits = self.vae.decode_logits(torch.from_numpy(z_BD).to(self.device))
        return to_pixels(torch.sigmoid(logits))

    def _draw(self, label: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        own_RD = self.own_KRD[label]
        center_D = own_RD[rng.integers(len(own_RD))]
        noise_D = rng.standard_normal(own_RD.shape[1], np.float32)
        return np.asarray(center_D + self.noise_KD[label] * noise_D)


def latent_source(entry: Latent, place: EntryPlace) -> SampledSource:
    """The source of a pool entry's candidates."""
    maker = LatentMaker(
        model=place.model, table=place.table, spread=entry.spread, limits=place.limits
    )
    return sampled_source(maker, entry, place)


KIND = GeneratorKind(source=latent_source)
