"""Images to latents in batches of one fixed size.

Shape suffixes: N images, B images of a batch, H W C pixels, D latent, F features.
"""

from __future__ import annotations

import numpy as np
import torch

from rayqc.models.batches import batch_on
from rayqc.models.latent import LatentNetwork
from rayqc.models.vae import pixels_to_input


class LatentEncoder:
    """A trained encoder on one device. A VAE's latent is the mean vector, never a sample.

    Every batch is padded to `micro_batch` images, so that the same kernels run for any number of
    images. An image's latent then does not depend on how the pool was divided, except that its row
    in the batch may change the last digits.
    """

    def __init__(
        self,
        network: LatentNetwork,
        micro_batch: int = 128,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        """Move a network to its device, in evaluation mode.

        Args:
            network: gives the latents; moved in place.
            micro_batch: images in a batch, B; on a CPU fewer where they are large, see
                `models.batches`.
            device: Torch device, such as `cpu` or `cuda:0`.
            precision: `float32`, or `bfloat16` by autocast; latents are float32 in either case.
        """
        self.precision = precision
        network = network.eval().to(device).for_inference()
        self.network = network.to(memory_format=torch.channels_last)
        self.micro_batch = micro_batch
        self.device = device

    def encode(self, images_NHWC: np.ndarray) -> np.ndarray:
        """Latents of images.

        Args:
            images_NHWC: (N, H, W, C) uint8, writable.

        Returns:
            (N, D) float32.
        """
        return np.ascontiguousarray(self.split(self.encode_all(images_NHWC))[0])

    def split(self, features_NF: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The (N, D) latents, and the features of inner layers by name, of what `encode_all` gave.

        Features that came with the images are latents alone.
        """
        names, widths = self.network.inner_dims.keys(), self.network.inner_dims.values()
        ends = np.cumsum([self.network.latent_dim, *widths])
        latent_ND, *inner = np.split(features_NF, ends[:-1], axis=1)
        return latent_ND, dict(zip(names, inner, strict=True))

    @torch.inference_mode()
    def encode_all(self, images_NHWC: np.ndarray) -> np.ndarray:
        """Latents of images and, beside them, the features of inner layers.

        Args:
            images_NHWC: (N, H, W, C) uint8, writable.

        Returns:
            (N, F) float32, see `LatentNetwork.latent_and_inner`.
        """
        total, height, width, _ = images_NHWC.shape
        batch = self.batch(height * width)
        width_of_all = self.network.latent_dim + sum(self.network.inner_dims.values())
        features_NF = np.empty((total, width_of_all), np.float32)
        for start in range(0, total, batch):
            images_BHWC = images_NHWC[start : start + batch]
            with (
                torch.autocast(
                    self.device.partition(":")[0],
                    torch.bfloat16,
                    enabled=self.precision == "bfloat16",
                ),
                # A GPU's float32 is a CPU's: cuDNN would round what it multiplies to ten bits.
                torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
            ):
                x_BCHW = pixels_to_input(self._padded(images_BHWC, batch))
                padded_BF = self.network.latent_and_inner(x_BCHW).float()
            features_NF[start : start + len(images_BHWC)] = (
                padded_BF[: len(images_BHWC)].cpu().numpy()
            )
        return features_NF

    def batch(self, pixels: int) -> int:
        """Images of so many pixels that are encoded at once: a power of two where it is fewer."""
        return batch_on(self.device, self.micro_batch, pixels)

    def _padded(self, images_NHWC: np.ndarray, batch: int) -> torch.Tensor:
        """(B, H, W, C) uint8 on the device: the images, then blank ones up to `batch`."""
        missing = batch - images_NHWC.shape[0]
        if missing:
            images_NHWC = np.pad(images_NHWC, ((0, missing), (0, 0), (0, 0), (0, 0)))
        images_BHWC = torch.from_numpy(images_NHWC)
        if self.device == "cpu":
            return images_BHWC
        return images_BHWC.pin_memory().to(self.device, non_blocking=True)
