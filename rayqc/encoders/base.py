"""A kind of encoder: where and how it is made, and how it is built again from its record.

Shape suffixes: N images, H W C pixels, D latent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rayqc.config.encoder import Encoder as EncoderSettings
from rayqc.images.look import ImageShape

if TYPE_CHECKING:  # what only names kinds needs no torch
    from rayqc.models.latent import LatentNetwork

Shape = dict[str, Any]
"""Everything about a network except its weights, as JSON: the argument of `EncoderKind.build`."""


@dataclass(frozen=True, kw_only=True)
class EncoderTask:
    """The settings and references that an encoder is made from."""

    settings: EncoderSettings
    """Section `encoder` of the settings."""
    image: ImageShape
    """Size and channels of the images that it will take."""
    images_NHWC: np.ndarray
    """(N, H, W, C) uint8 references in that shape. Empty for a kind made in the driver."""
    label_N: np.ndarray
    """(N,) int64, the references' own classes."""
    latent_ND: np.ndarray | None = None
    """(N, D) float32 that came with the references; None where none did."""
    classes: tuple[str, ...]
    seed: int
    device: str
    """Torch device to train on, such as `cpu` or `cuda`."""


@dataclass(frozen=True, kw_only=True)
class MadeEncoder:
    """An encoder that is not yet written to disk."""

    network: LatentNetwork
    shape: Shape
    record: dict[str, Any]
    """JSON for the run's result: `latent_dim`, and what training measured."""


@dataclass(frozen=True, kw_only=True)
class NamedCode:
    """Python code that an encoder runs."""

    target: str
    """`package.module:Name`."""
    source: str
    """Digest of the code's source at the time the encoder was made."""


@dataclass(frozen=True, kw_only=True)
class EncoderKind:
    """How encoders of one kind are made, and built again."""

    where: Literal["driver", "task", "workers"]
    """Where it is made: in the `driver` if the user provides it, in a Ray `task` if one process
    trains it, by Ray Train's `workers` together for the VAE."""
    build: Callable[[Shape], LatentNetwork]
    """Builds a network of a shape, without its weights."""
    make: Callable[[EncoderTask], MadeEncoder] | None
    """Makes the encoder; None where workers make it.

    Raises:
        ConfigError: what the settings name cannot be read.
    """
    saw_references: bool
    """True if it is trained on the references, whose latents then cannot calibrate a promise."""
    inner: tuple[str, ...] = ()
    """Names of the features of inner layers that its networks give; see `models.latent`."""
    code: Callable[[Shape], NamedCode] | None = None
    """Names the user's code that the encoder runs; None for a kind that runs none."""
    input: Callable[[Shape], ImageShape | None] = lambda shape: None
    """How images are brought to the network, from their own size; None takes the run's images."""
    input_digest: Callable[[EncoderSettings], str | None] = lambda settings: None
    """Digest of the file that the settings name; another file makes another encoder."""
