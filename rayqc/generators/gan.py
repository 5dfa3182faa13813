"""The run's own GAN on disk, and as a sampler.

Shape suffixes: N images, B images of a batch, H W C pixels, Z noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rayqc.errors import ArtefactError, ConfigError
from rayqc.generators.sampled import normal
from rayqc.models.gan import GANShape, Generator
from rayqc.storage import (
    Folder,
    canonical_json,
    digest,
    read_json,
    write_json,
)
from rayqc.training.checkpoint import load_network, network_bytes

GENERATOR_FORMAT = 1
FACTS = "generator.json"
WEIGHTS = "weights.safetensors"


def save_gan(folder: Folder, network: Generator, made_of: str, record: dict[str, Any]) -> None:
    """Write the weights, then `generator.json`, which names their digest.

    Args:
        made_of: digest of the settings and references that it was trained with.
        record: what training measured.
    """
    weights = network_bytes(network)
    shape = network.shape.as_dict()
    folder.write(WEIGHTS, weights)
    facts = {
        "format_version": GENERATOR_FORMAT,
        "kind": "gan",
        "shape": shape,
        "digest": digest(weights + canonical_json(shape)),
        "made_of": made_of,
        "record": record,
    }
    write_json(folder, FACTS, facts)


def gan_facts(folder: Folder) -> dict[str, Any] | None:
    """What `save_gan` wrote last, None where no training has ended."""
    return dict(read_json(folder, FACTS)) if folder.exists(FACTS) else None


def load_gan(folder: Folder) -> Generator:
    """The generator, in evaluation mode.

    Raises:
        ArtefactError: another format version, or weights that are not the ones it names.
    """
    facts = read_json(folder, FACTS)
    if facts.get("format_version") != GENERATOR_FORMAT:
        raise ArtefactError(
            f"{folder.path(FACTS)} has format version {facts.get('format_version')}, this rayqc "
            f"reads {GENERATOR_FORMAT}; delete the folder, and it is trained again"
        )
    found = digest(folder.read(WEIGHTS) + canonical_json(facts["shape"]))
    if found != facts["digest"]:
        raise ArtefactError(
            f"{folder.path(WEIGHTS)} is damaged or swapped: digest {found[:12]}, {FACTS} says "
            f"{facts['digest'][:12]}; delete the folder, and it is trained again"
        )
    network = Generator(GANShape(**facts["shape"]))
    load_network(network, folder, WEIGHTS)
    return network.eval()


@dataclass(frozen=True, kw_only=True)
class GANMaker:
    """The GAN in a folder."""

    folder: Folder

    @property
    def identity(self) -> str:
        """Digest of its weights."""
        facts = gan_facts(self.folder)
        return str(facts["digest"]) if facts else "not trained"

    def open(self, device: str) -> GANSampler:
        """See `Maker`."""
        return GANSampler(load_gan(self.folder), device)


class GANSampler:
    """See `Sampler`."""

    def __init__(self, network: Generator, device: str) -> None:
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.device = device

    @torch.inference_mode()
    def __call__(self, label_B: np.ndarray, seed_B: np.ndarray) -> np.ndarray:
        z_BZ = torch.from_numpy(normal(seed_B, self.network.shape.noise_dim))
        label = torch.from_numpy(label_B).to(self.device)
        return to_pixels(self.network(z_BZ.to(self.device), label))


def to_pixels(x_BCHW: torch.Tensor) -> np.ndarray:
    """(B, C, H, W) in [0, 1] to (B, H, W, C) uint8; what lies outside is cut off.

    Raises:
        ConfigError: pixels are not finite.
    """
    if not torch.isfinite(x_BCHW).all():
        raise ConfigError("a generator gave pixels that are NaN or infinite")
    scaled = (x_BCHW.float().clamp(0, 1) * 255).round()
    return np.asarray(scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu())
