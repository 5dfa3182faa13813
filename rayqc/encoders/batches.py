"""Images to latents in batches of one fixed size.

Shape suffixes: N images, H W C pixels, D latent.
"""

from __future__ import annotations

import numpy as np
import torch

from rayqc.models.latent import LatentNetwork
from rayqc.models.vae import pixels_to_input


class LatentEncoder:
    """A trained encoder on one device. A VAE's latent is the mean vector, never a sample.

    Every batch is padded to `micro_batch` images, so that the same kernels run
    whatever the number of images, and an image's latent does not depend on how
    the pool was divided (up to its place in the batch, which moves last digits).
    """

    def __init__(
        self,
        network: LatentNetwork,
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
            part_NHWC = images_NHWC[start : start + self.micro_batch]
            with torch.autocast(
                self.device.partition(":")[0], torch.bfloat16, enabled=self.precision == "bfloat16"
            ):
                x_NCHW = pixels_to_input(self._padded(part_NHWC))
                padded_ND = self.network.latent(x_NCHW).float()
            latent_ND[start : start + len(part_NHWC)] = padded_ND[: len(part_NHWC)].cpu().numpy()
        return latent_ND

    def _padded(self, images_NHWC: np.ndarray) -> torch.Tensor:
        missing = self.micro_batch - images_NHWC.shape[0]
        if missing:
            images_NHWC = np.pad(images_NHWC, ((0, missing), (0, 0), (0, 0), (0, 0)))
        batch_NHWC = torch.from_numpy(images_NHWC)
        if self.device == "cpu":
            return batch_NHWC
        return batch_NHWC.pin_memory().to(self.device, non_blocking=True)
