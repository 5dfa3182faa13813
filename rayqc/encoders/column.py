"""Encoder kind `column`: latents that were computed before, in a column beside the images.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

from torch import Tensor

from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder
from rayqc.errors import ConfigError
from rayqc.models.latent import LatentNetwork


class Given(LatentNetwork):
    """Stands for the encoder that gave the latents, of which nothing but D is known."""

    computes = False

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def latent(self, x_NCHW: Tensor) -> Tensor:
        """Raises: no image can be encoded here.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "encoder.kind: column encodes no image; each must come with its latent in the column "
            "that encoder.column names"
        )


def make(task: EncoderTask) -> MadeEncoder:
    """Take note of the latents' length.

    Raises:
        ConfigError: the references came without latents.
    """
    if task.latent_ND is None:
        raise ConfigError(f"the references have no column {task.settings.column} of latents")
    latent_dim = int(task.latent_ND.shape[1])
    shape = {"column": task.settings.column, "latent_dim": latent_dim}
    return MadeEncoder(network=Given(latent_dim), shape=shape, record={"latent_dim": latent_dim})


KIND = EncoderKind(
    where="driver",
    build=lambda shape: Given(shape["latent_dim"]),
    make=make,
    saw_references=False,
)
