"""Weights of a pretrained network, from a local file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from rayqc.config.settings import Encoder as EncoderSettings
from rayqc.errors import ConfigError
from rayqc.storage import digest


def digest_of_weights(settings: EncoderSettings) -> str | None:
    """Digest of the file of weights; None where it is not set or cannot be read."""
    try:
        return None if settings.weights is None else digest(Path(settings.weights).read_bytes())
    except OSError:
        return None


def load_without_head(
    network: nn.Module, weights: Mapping[str, Tensor], path: str, name: str
) -> None:
    """Load weights into a network that lacks the head that they may have.

    Raises:
        ConfigError: weights of the network are missing, or have other shapes.
    """
    try:
        missing = network.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:  # of the same names and other shapes
        first = str(error).strip().splitlines()[-1].strip()
        raise ConfigError(f"encoder.weights: {path} is no {name}: {first}") from error
    if missing:
        raise ConfigError(f"encoder.weights: {path} is no {name}: it lacks {missing[:3]}")
