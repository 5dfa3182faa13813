"""Encoders that judge and choose candidates: the draw's VAE, or the pretrained network from pip.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from rayqc.config import make_config
from rayqc.encoders.base import EncoderTask, MadeEncoder
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.timm import KIND_INSTALLED
from rayqc.experiments.detection import encoded
from rayqc.images.look import ImageShape
from rayqc.models.vae import VAE
from rayqc.regions.base import Candidates
from rayqc.training.arms import Images

MICRO_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Look:
    """How an encoder sees images."""

    see: Callable[[Images], Candidates]
    saw_references: bool
    """Whether it was trained on the references."""


def look_of_vae(vae: VAE) -> Look:
    """The VAE of a draw."""
    encoder = LatentEncoder(vae)
    return Look(see=lambda images: encoded(images, encoder), saw_references=True)


def look_of_network(size: int) -> Look:
    """The pretrained network, on images brought to `size` pixels a side.

    Raises:
        ConfigError: the extra `pretrained` is not installed; says how to install it.
    """
    return Look(see=functools.partial(_see, _network(size), size), saw_references=False)


@functools.cache
def _network(size: int) -> LatentEncoder:
    return LatentEncoder(pretrained(ImageShape(size=size, channels=3)).network, MICRO_BATCH)


def pretrained(image: ImageShape) -> MadeEncoder:
    """The pretrained network from pip, without a run.

    Args:
        image: shape of a run's images.

    Raises:
        ConfigError: the extra `pretrained` is not installed; says how to install it.
    """
    settings = make_config({"references": {"kind": "bundled"}, "encoder": {"kind": "pretrained"}})
    task = EncoderTask(
        settings=settings.encoder,
        image=image,
        images_NHWC=np.zeros((0, *image.pixels), np.uint8),
        label_N=np.zeros(0, np.int64),
        classes=(),
        seed=0,
        device="cpu",
    )
    assert KIND_INSTALLED.make is not None
    return KIND_INSTALLED.make(task)


def _see(encoder: LatentEncoder, size: int, images: Images) -> Candidates:
    parts = [
        encoder.encode_all(resized(images.images_NHWC[start : start + MICRO_BATCH], size))
        for start in range(0, images.label_N.size, MICRO_BATCH)
    ]
    latent_ND, inner = encoder.split(np.concatenate(parts))
    return Candidates(
        images_NHWC=images.images_NHWC,
        latent_ND=latent_ND,
        label_N=images.label_N,
        inner=inner,
    )


def resized(images_NHWC: np.ndarray, size: int) -> np.ndarray:
    """(N, size, size, 3) uint8, bicubic; a gray image's channel stands three times."""
    x_NCHW = torch.from_numpy(images_NHWC).permute(0, 3, 1, 2).float()
    larger = F.interpolate(
        x_NCHW, size=(size, size), mode="bicubic", antialias=True, align_corners=False
    )
    pixels_NHWC = larger.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return pixels_NHWC.expand(-1, -1, -1, 3).contiguous().numpy()


_kept: dict[tuple[str, int], Candidates] = {}


def see_test(size: int, test: Images) -> Candidates:
    """Test images as the network sees them; a worker sees the same ones once for all its draws."""
    key = (hashlib.blake2b(test.images_NHWC.tobytes()).hexdigest(), size)
    if key not in _kept:
        _kept.clear()
        seen = look_of_network(size).see(test)
        _kept[key] = Candidates(
            images_NHWC=seen.images_NHWC, latent_ND=seen.latent_ND, label_N=seen.label_N
        )
    return _kept[key]
