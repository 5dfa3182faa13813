"""Generator kind `vae`: the run's own VAE decodes latents near those of a class's references.

Shape suffixes: N images, H W C pixels, B images of a batch, K classes, R references of a class,
D latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rayqc.config import Latent
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import DIGEST, MODEL, load_encoder
from rayqc.errors import ConfigError
from rayqc.generators.base import EntryContext, GeneratorKind
from rayqc.generators.gan import to_pixels
from rayqc.generators.sampled import SampledSource, sampled_source
from rayqc.images.decode import Limits, decode_batch
from rayqc.models.vae import VAE
from rayqc.schema import image_bytes
from rayqc.storage import Folder, read_json, read_table


@dataclass(frozen=True, kw_only=True)
class LatentMaker:
    """The encoder and the reference images in a run's model folder."""

    model: Folder
    table: str
    spread: float
    """Standard deviation of the noise, as a multiple of the class's in each latent dimension."""
    limits: Limits

    @property
    def identity(self) -> str:
        """The encoder's digest and the spread; the reference images decide the encoder."""
        return f"{read_json(self.model, MODEL)[DIGEST]} {self.spread}"

    def open(self, device: str) -> LatentSampler:
        """Load the VAE and encode the reference images; see `Maker`.

        Raises:
            ConfigError: the run's encoder is no VAE.
        """
        encoder = load_encoder(self.model, None)
        if not isinstance(encoder.network, VAE):
            raise ConfigError(f"a pool entry of kind vae needs a VAE, this is a {encoder.kind}")
        reference_table = read_table(self.model, self.table, columns=["image", "label"])
        images_NHWC = decode_batch(image_bytes(reference_table), encoder.image, self.limits)[0]
        latent_ND = LatentEncoder(encoder.network, device=device).encode(images_NHWC)
        return LatentSampler(
            encoder.network, latent_ND, np.asarray(reference_table["label"]), self.spread, device
        )


class LatentSampler:
    """See `Sampler`: decodes the latent of a random reference image of the class, plus noise."""

    def __init__(
        self, vae: VAE, latent_ND: np.ndarray, label_N: np.ndarray, spread: float, device: str
    ) -> None:
        self.vae = vae
        self.own_KRD = {int(k): latent_ND[label_N == k] for k in np.unique(label_N)}
        self.noise_KD = {
            k: np.float32(spread) * own_RD.std(0) for k, own_RD in self.own_KRD.items()
        }
        self.device = device

    @torch.inference_mode()
    def __call__(self, label_B: np.ndarray, seed_B: np.ndarray) -> np.ndarray:
        z_BD = np.stack(
            [self._draw(int(k), int(seed)) for k, seed in zip(label_B, seed_B, strict=True)]
        )
        logit_BCHW = self.vae.decode_logits(torch.from_numpy(z_BD).to(self.device))
        return to_pixels(torch.sigmoid(logit_BCHW))

    def _draw(self, label: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        own_RD = self.own_KRD[label]
        reference_D = own_RD[rng.integers(len(own_RD))]
        noise_D = rng.standard_normal(own_RD.shape[1], np.float32)
        return np.asarray(reference_D + self.noise_KD[label] * noise_D)


def latent_source(entry: Latent, context: EntryContext) -> SampledSource:
    """The source of a pool entry's candidates."""
    maker = LatentMaker(
        model=context.model, table=context.table, spread=entry.spread, limits=context.limits
    )
    return sampled_source(maker, entry, context)


KIND = GeneratorKind(source=latent_source)
