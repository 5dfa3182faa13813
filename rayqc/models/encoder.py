"""Images to latents in batches of one fixed size.

Shape suffixes: N images, H W C pixels, D latent.
"""

from __future__ import annotations

import numpy as np
import torch

from rayqc.models.backbones import Backbone, Foreign, Pretrained
from rayqc.models.losses import kl_to_standard_normal, reconstruction_loss
from rayqc.models.vae import VAE, pixels_to_input

Encoder = VAE | Backbone | Pretrained | Foreign


class LatentEncoder:
    """A trained encoder on one device. A VAE's latent is the mean vector, never a sample.

    Every batch is padded to `micro_batch` images, so that the same kernels run
    whatever the number of images, and an image's latent does not depend on how
    the pool was divided (up to its place in the batch, which moves last digits).
    """

    def __init__(
        self,
        network: Encoder,
        micro_batch: int = 128,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        """`precision`: float32, or bfloat16 by autocast; latents are float32 in either case."""
        self.precision = precision
        self.network = network.eval().to(device).to(memory_format=torch.channels_last)
        self.micro_batch = micro_batch
        self.device = device

    @torch.inference_mode()
    def encode(self, images_NHWC: np.ndarray) -> np.ndarray:
        """(N, H, W, C) uint8 to (N, D) float32."""
        total = images_NHWC.shape[0]
        latent_ND = np.empty((total, self.network.latent_dim), np.float32)
        for start in range(0, total, self.micro_batch):
            part = images_NHWC[start : start + self.micro_batch]
            with torch.autocast(
                self.device.partition(":")[0], torch.bfloat16, enabled=self.precision == "bfloat16"
            ):
                found_ND = self.network.latent(pixels_to_input(self._padded(part))).float()
            latent_ND[start : start + len(part)] = found_ND[: len(part)].cpu().numpy()
        return latent_ND

    @torch.inference_mode()
    def reconstruct(self, images_NHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """KL of each latent unit (N, D), and the reconstruction's cross-entropy (N,), in nats.

        Raises:
            TypeError: the encoder is no VAE.
        """
        vae = self.network
        if not isinstance(vae, VAE):
            raise TypeError(f"only a VAE reconstructs, this is a {type(vae).__name__}")
        kl, loss = [], []
        for start in range(0, images_NHWC.shape[0], self.micro_batch):
            part = torch.from_numpy(images_NHWC[start : start + self.micro_batch]).to(self.device)
            x_NCHW = pixels_to_input(part)
            mean_ND, log_var_ND = vae.encode(x_NCHW)
            kl.append(kl_to_standard_normal(mean_ND, log_var_ND).cpu().numpy())
            logits_NCHW = vae.decode_logits(mean_ND)
            loss.append(reconstruction_loss(logits_NCHW, x_NCHW, "bce").cpu().numpy())
        return np.concatenate(kl), np.concatenate(loss)

    def _padded(self, images_NHWC: np.ndarray) -> torch.Tensor:
        missing = self.micro_batch - images_NHWC.shape[0]
        if missing:
            images_NHWC = np.pad(images_NHWC, ((0, missing), (0, 0), (0, 0), (0, 0)))
        found = torch.from_numpy(images_NHWC)
        if self.device == "cpu":
            return found
        return found.pin_memory().to(self.device, non_blocking=True)
