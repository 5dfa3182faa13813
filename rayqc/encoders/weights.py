"""Weights of a pretrained network, from a local file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from rayqc.config.encoder import Encoder as EncoderSettings
from rayqc.errors import ConfigError
from rayqc.storage import digest


def digest_of_weights(settings: EncoderSettings) -> str | None:
    """Digest of the file of weights; None where it is not set or cannot be read."""
    try:
        return None if settings.weights is None else digest(Path(settings.weights).read_bytes())
    except OSError:
        return None


def refuse_missing(path: str | None) -> None:
    """Refuse a file of weights that is not there; None names none.

    Raises:
        ConfigError: there is no such file.
    """
    if path is not None and not Path(path).is_file():
        raise ConfigError(f"encoder.weights: there is no file {path}")


def gives_no(library: str, name: str, error: Exception) -> ConfigError:
    """What is said where a library makes no model of a name, whatever it raised."""
    first_line = next(iter(str(error).splitlines()), type(error).__name__)
    return ConfigError(f"encoder.name: {library} gives no {name}: {first_line}")


def load_without_head(
    network: nn.Module, weights: Mapping[str, Tensor], path: str, name: str
) -> None:
    """Load weights into a network that lacks the head that they may have.

    Raises:
        ConfigError: weights of the network are missing, or have other shapes, or are of a network
            that has more layers.
    """
    try:
        missing, unexpected = network.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # of the same names and other shapes
        first = str(error).strip().splitlines()[-1].strip()
        raise ConfigError(f"encoder.weights: {path} is no {name}: {first}") from error
    if missing:
        raise ConfigError(f"encoder.weights: {path} is no {name}: it lacks {missing[:3]}")
    modules = dict(network.named_modules())
    more = [key for key in unexpected if _is_of_a_layer(key, modules)]
    if more:
        raise ConfigError(
            f"encoder.weights: {path} is no {name}, but of a network with more layers: {more[:3]}"
        )


def _is_of_a_layer(key: str, modules: Mapping[str, nn.Module]) -> bool:
    """Are these the weights of a layer beside the network's own, and not of its head?

    A head that was taken off has left an identity in its place, or nothing at all.
    """
    if not key.endswith((".weight", ".bias")):
        return False  # masks and indexes that older versions of a network kept
    names = key.split(".")
    above = [".".join(names[:depth]) for depth in range(1, len(names))]
    return above[0] in modules and not any(
        isinstance(modules.get(name), nn.Identity) for name in above
    )
