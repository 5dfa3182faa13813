"""Encoders beside the VAE: trained on labels or on views of the references, or brought along.

Each is a module with `latent_dim` and `latent`, pixels in [0, 1] to (N, D), as the VAE is.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rayqc.errors import ArtefactError, ConfigError
from rayqc.models.classifier import Classifier
from rayqc.models.vae import VAE, VAEShape

IMAGENET_MEAN, IMAGENET_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FULL_WIDTH = 256
"""Channels of a backbone's first stage at `encoder.width` 1."""
HEADS = ("fc", "classifier", "heads", "head")


class Backbone(nn.Module):
    """The classifier's convolutions: mean and maximum over places of the last stage."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.features = Classifier(channels, 1, width).features
        self.latent_dim = 2 * 4 * width

    def latent(self, x_NCHW: Tensor) -> Tensor:
        """(N, D) of pixels in [0, 1]."""
        found = self.features(2 * x_NCHW - 1)
        return torch.cat([found.mean((2, 3)), found.amax((2, 3))], dim=1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """The same."""
        return self.latent(x_NCHW)


class Pretrained(nn.Module):
    """A torchvision network without its head, on images resized to its training size."""

    def __init__(self, name: str, size: int) -> None:
        import torchvision  # noqa: PLC0415  (over a second)

        super().__init__()
        try:
            network = torchvision.models.get_model(name, weights=None)
        except ValueError as error:
            raise ConfigError(f"encoder.name: torchvision has no model {name!r}") from error
        head = next(
            (part for part in HEADS if isinstance(getattr(network, part, None), nn.Module)), None
        )
        if head is None:
            raise ConfigError(f"encoder.name: {name!r} has no head of a known name ({HEADS})")
        setattr(network, head, nn.Identity())
        self.network = network.eval()
        self.size = size
        with torch.inference_mode():
            self.latent_dim = int(self.latent(torch.zeros(1, 3, size, size)).shape[1])

    def latent(self, x_NCHW: Tensor) -> Tensor:
        """(N, D) of pixels in [0, 1]; gray is repeated."""
        x_NCHW = x_NCHW.expand(-1, 3, -1, -1)
        x_NCHW = F.interpolate(x_NCHW, (self.size, self.size), mode="bilinear", antialias=True)
        mean, spread = (
            x_NCHW.new_tensor(values).view(1, 3, 1, 1)
            for values in (IMAGENET_MEAN, IMAGENET_SPREAD)
        )
        found: Tensor = self.network((x_NCHW - mean) / spread)
        return found.flatten(1)


class Foreign(nn.Module):
    """Somebody's own encoder: an object that takes (N, C, H, W) pixels in [0, 1] to (N, D)."""

    def __init__(self, target: str, options: dict[str, Any], shape: tuple[int, int]) -> None:
        super().__init__()
        self.made: Any = load_target(target)(**options)
        size, channels = shape
        with torch.inference_mode():
            found = self.made(torch.zeros(2, channels, size, size))
        if not isinstance(found, Tensor) or found.ndim != 2 or found.shape[0] != 2:
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ConfigError(
                f"encoder.target {target} gave {what} for 2 images; expected a tensor of shape "
                "(2, latent dimensions)"
            )
        self.latent_dim = int(found.shape[1])

    def latent(self, x_NCHW: Tensor) -> Tensor:
        """(N, D) of pixels in [0, 1]."""
        found: Tensor = self.made(x_NCHW).float()
        return found


def load_target(target: str) -> Any:
    """What `package.module:Name` names.

    Raises:
        ConfigError: no such module or name.
    """
    module, colon, name = target.partition(":")
    if not colon or not name:
        raise ConfigError(f"expected package.module:Name, found {target!r}")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot load {target}: {error}") from error


def source_digest(target: str) -> str:
    """SHA-256 of the file that defines a target: another version is another encoder."""
    file = inspect.getsourcefile(load_target(target))
    return hashlib.sha256(Path(file).read_bytes() if file else b"").hexdigest()


def pretrained_weights(path: str) -> dict[str, Tensor]:
    """A state dict from a local file.

    Raises:
        ConfigError: the file cannot be read as one.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle of anything fails in any way
        raise ConfigError(
            f"encoder.weights: cannot read {path} as a state dict: {error}"
        ) from error
    return dict(found)


def build(kind: str, shape: dict[str, Any]) -> VAE | Backbone | Pretrained | Foreign:
    """An encoder of a kind, its weights not loaded yet.

    Raises:
        ArtefactError: no such kind.
    """
    if kind == "vae":
        return VAE(VAEShape(**shape))
    if kind in ("supervised", "contrastive"):
        return Backbone(shape["channels"], shape["width"])
    if kind == "torchvision":
        return Pretrained(shape["name"], shape["input_size"])
    if kind == "python":
        return Foreign(shape["target"], shape["options"], (shape["size"], shape["channels"]))
    raise ArtefactError(f"this rayqc knows no encoder of kind {kind!r}")
