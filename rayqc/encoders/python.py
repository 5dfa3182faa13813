"""Encoder kind `python`: the user's own code.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder, NamedCode
from rayqc.errors import ConfigError
from rayqc.models.latent import LatentNetwork
from rayqc.targets import load_target, source_digest


class Foreign(LatentNetwork):
    """A network made by the user's code: (N, C, H, W) pixels in [0, 1] to (N, D) latents."""

    def __init__(self, target: str, options: dict[str, Any], shape: tuple[int, int]) -> None:
        """Call the target, and encode two blank images to learn D.

        Args:
            target: `package.module:Name` of the code.
            options: its keyword arguments.
            shape: size in pixels (H and W) and channels C of the images that it will encode.

        Raises:
            ConfigError: the result for two images is no tensor of shape (2, D).
        """
        super().__init__()
        self.made: Any = load_target(target)(**options)
        if isinstance(self.made, nn.Module):
            self.made.eval()  # or the blank images would enter the statistics of its batch norms
        size, channels = shape
        with torch.inference_mode():
            sample = self.made(torch.zeros(2, channels, size, size))
        if not isinstance(sample, Tensor) or sample.ndim != 2 or sample.shape[0] != 2:
            result = tuple(sample.shape) if isinstance(sample, Tensor) else type(sample).__name__
            raise ConfigError(
                f"encoder.target {target} gave {result} for 2 images; expected a tensor of shape "
                "(2, latent dimensions)"
            )
        self.latent_dim = int(sample.shape[1])

    def latent(self, x_NCHW: Tensor) -> Tensor:
        """See `LatentNetwork.latent`."""
        latent_ND: Tensor = self.made(x_NCHW).float()
        return latent_ND


def make(task: EncoderTask) -> MadeEncoder:
    """Make an encoder from the target that the settings name.

    Raises:
        ConfigError: there is no such target, or its result is no latent.
    """
    settings, image = task.settings, task.image
    target = str(settings.target)
    network = Foreign(target, settings.options, (image.size, image.channels))
    shape = {
        "target": target,
        "options": settings.options,
        "source": source_digest(target),
        "size": image.size,
        "channels": image.channels,
    }
    return MadeEncoder(network=network, shape=shape, record={"latent_dim": network.latent_dim})


KIND = EncoderKind(
    where="driver",
    build=lambda shape: Foreign(
        shape["target"], shape["options"], (shape["size"], shape["channels"])
    ),
    make=make,
    saw_references=False,
    code=lambda shape: NamedCode(target=shape["target"], source=shape["source"]),
)
