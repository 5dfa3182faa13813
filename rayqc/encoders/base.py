"""What a kind of encoders says of itself.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rayqc.config.settings import Encoder as EncoderSettings
from rayqc.images.decode import ImageShape
from rayqc.models.latent import LatentNetwork

Shape = dict[str, Any]
"""All that decides a network besides its weights, as JSON: what `build` takes."""


@dataclass(frozen=True, kw_only=True)
class EncoderTask:
    """What an encoder is made from."""

    settings: EncoderSettings
    """Section `encoder` of the settings."""
    image: ImageShape
    """Pixels it is to take."""
    images_NHWC: np.ndarray
    """References, uint8, in that shape. Empty for a kind made in the driver."""
    label_N: np.ndarray
    """int64, their labels."""
    classes: tuple[str, ...]
    seed: int
    device: str


@dataclass(frozen=True, kw_only=True)
class MadeEncoder:
    """An encoder before it is written."""

    network: LatentNetwork
    shape: Shape
    record: dict[str, Any]
    """What is told of it in the result, as JSON; `latent_dim` and what training measured."""


@dataclass(frozen=True, kw_only=True)
class NamedCode:
    """Code that an encoder runs: `package.module:Name`, and the digest of its source then."""

    target: str
    source: str


@dataclass(frozen=True, kw_only=True)
class EncoderKind:
    """How encoders of a kind are made and built again."""

    where: Literal["driver", "task", "workers"]
    """Where it is made: `driver` for what is brought along, a `task` of Ray's for what one process
    trains, `workers` for the VAE, which Ray Train's workers train together."""
    build: Callable[[Shape], LatentNetwork]
    """A network of a shape, its weights not loaded yet."""
    make: Callable[[EncoderTask], MadeEncoder] | None
    """Make it; None where workers do.

    Raises:
        ConfigError: what the settings name cannot be read.
    """
    saw_references: bool
    """Is it trained on the references? No latent of theirs can calibrate a promise then."""
    code: Callable[[Shape], NamedCode] | None = None
    """The user's code that it runs; None where there is none."""
    input_digest: Callable[[EncoderSettings], str | None] = lambda settings: None
    """Digest of a file that the settings name: another file is another encoder."""
