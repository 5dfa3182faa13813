"""Generators that others made: Python code, or a network exported to a file.

Shape suffixes: B images of a batch, C H W pixels, Z noise.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from rayqc.errors import ConfigError, UntrustedCodeError
from rayqc.generators.gan import to_pixels
from rayqc.generators.sampled import Sampler, normal
from rayqc.models.backbones import load_target, source_digest
from rayqc.storage import Folder, canonical_json, digest


@dataclass(frozen=True, kw_only=True)
class PythonMaker:
    """`package.module:Name`, called with options, gives the sampler."""

    target: str | None
    """None where the user has not named it; see `open_run`."""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Of the target's source and its options."""
        if self.target is None:
            return "not named by the user"
        return digest(canonical_json([self.target, source_digest(self.target), self.options]))

    def open(self, device: str) -> Sampler:
        """Import and call it; an option `device` is not added: the code decides where it runs."""
        if self.target is None:
            raise UntrustedCodeError(
                "a pool entry of kind python names code to run; if you know and trust it, say so "
                "with --trust package.module:Name (trust= in Python)"
            )
        made = load_target(self.target)(**self.options)
        if not callable(made):
            raise ConfigError(
                f"{self.target} gave a {type(made).__name__}; expected what can be called with "
                "labels and seeds"
            )
        found: Sampler = made
        return found


@dataclass(frozen=True, kw_only=True)
class ExportedMaker:
    """A TorchScript file or one of `torch.export`."""

    path: str
    noise_dim: int
    low: int
    """Least value of its pixels, 0 or -1; the largest is 1."""

    @property
    def identity(self) -> str:
        """Of the file."""
        return f"{digest(_bytes(self.path))} {self.noise_dim} {self.low}"

    def open(self, device: str) -> ExportedSampler:
        """See `Maker`."""
        return ExportedSampler(_load(self.path, device), self, device)


class ExportedSampler:
    """See `Sampler`: noise and labels through somebody's network."""

    def __init__(
        self, network: Callable[..., torch.Tensor], maker: ExportedMaker, device: str
    ) -> None:
        self.network, self.maker, self.device = network, maker, device

    @torch.inference_mode()
    def __call__(self, label_B: np.ndarray, seed_B: np.ndarray) -> np.ndarray:
        z_BZ = torch.from_numpy(normal(seed_B, self.maker.noise_dim)).to(self.device)
        label = torch.from_numpy(label_B).to(self.device)
        try:
            x_BCHW = self.network(z_BZ, label)
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            raise ConfigError(
                f"{self.maker.path} does not take noise of shape {tuple(z_BZ.shape)} and labels of "
                f"shape {tuple(label.shape)}: {str(error).strip().splitlines()[-1]}"
            ) from error
        if not isinstance(x_BCHW, torch.Tensor) or x_BCHW.ndim != 4:
            what = tuple(x_BCHW.shape) if isinstance(x_BCHW, torch.Tensor) else type(x_BCHW)
            raise ConfigError(f"{self.maker.path} gave {what}; expected (N, C, H, W) pixels")
        return to_pixels((x_BCHW - self.maker.low) / (1 - self.maker.low))


def _load(path: str, device: str) -> Callable[..., torch.Tensor]:
    data = io.BytesIO(_bytes(path))
    try:
        if path.endswith(".pt2"):
            found: Callable[..., torch.Tensor] = torch.export.load(data).module().to(device)
            return found
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's advice to export anew
            scripted: Callable[..., torch.Tensor] = torch.jit.load(  # type: ignore[no-untyped-call]
                data, map_location=device
            )
            return scripted
    except Exception as error:  # whatever a reader of strange bytes raises
        raise ConfigError(
            f"{path} is no TorchScript file, nor (*.pt2) one of torch.export.save: {error}"
        ) from error


def refuse_missing(path: str) -> None:
    """Find out early that a file is not there.

    Raises:
        ConfigError: it is not.
    """
    folder, name = _place(path)
    if not folder.exists(name):
        raise ConfigError(f"no generator's file at {path}")


def _bytes(path: str) -> bytes:
    refuse_missing(path)
    folder, name = _place(path)
    return folder.read(name)


def _place(path: str) -> tuple[Folder, str]:
    place, _, name = path.rpartition("/")
    return Folder(place or ("/" if path.startswith("/") else ".")), name
