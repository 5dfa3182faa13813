"""Generator kind `gan`: the run's own GAN, on disk and as a sampler.

Shape suffixes: N images, B images of a batch, H W C pixels, Z noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, cast

import numpy as np
import torch

from rayqc.config import Gan
from rayqc.errors import ConfigError
from rayqc.generators.base import EntryContext, GeneratorKind
from rayqc.generators.sampled import SampledSource, normal, sampled_source
from rayqc.models.gan import GANShape, Generator
from rayqc.storage import Folder, read_json
from rayqc.storage.artefact import Artefact
from rayqc.training.checkpoint import load_network, network_bytes
from rayqc.training.gan import GANRecord

FACTS = "generator.json"
WEIGHTS = "weights.safetensors"
GAN = Artefact(
    arrays=WEIGHTS,
    record=FACTS,
    format_version=1,
    digest_key="digest",
    mend="delete the folder, and it is trained again",
)


class GANFacts(TypedDict):
    """What `generator.json` holds."""

    format_version: int
    kind: str
    shape: dict[str, int]
    digest: str
    made_of: str
    """Digest of the settings and reference images that it was trained with."""
    record: GANRecord


def save_gan(folder: Folder, network: Generator, made_of: str, record: GANRecord) -> None:
    """Write the weights, then `generator.json`, which names their digest.

    Args:
        network: in any mode, on any device.
        made_of: digest of the settings and reference images that it was trained with.
        record: what training measured.
    """
    shape = network.shape.as_dict()
    facts = {"kind": "gan", "shape": shape, "made_of": made_of, "record": record}
    GAN.write(folder, network_bytes(network), facts, shape)


def gan_facts(folder: Folder) -> GANFacts | None:
    """What `save_gan` wrote last; None where no training has ended."""
    return cast("GANFacts", read_json(folder, FACTS)) if folder.exists(FACTS) else None


def load_gan(folder: Folder) -> Generator:
    """The generator that `save_gan` wrote, on the CPU, in evaluation mode.

    Raises:
        ArtefactError: `generator.json` has another format version, or names other weights.
    """
    facts = GAN.read_record(folder)
    with GAN.restoring(folder):
        network = Generator(GANShape(**facts["shape"]))
        GAN.verify(folder, facts, facts["shape"])
    load_network(network, folder, WEIGHTS)
    return network.eval()


@dataclass(frozen=True, kw_only=True)
class GANMaker:
    """The GAN in a folder."""

    folder: Folder

    @property
    def identity(self) -> str:
        """Digest of its weights, or that it is not trained."""
        facts = gan_facts(self.folder)
        return str(facts["digest"]) if facts else "not trained"

    def open(self, device: str) -> GANSampler:
        """See `Maker`.

        Raises:
            ArtefactError: as `load_gan` does.
        """
        return GANSampler(load_gan(self.folder), device)


class GANSampler:
    """See `Sampler`: the GAN's images of noise and labels."""

    def __init__(self, network: Generator, device: str) -> None:
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.device = device

    @torch.inference_mode()
    def __call__(self, label_B: np.ndarray, seed_B: np.ndarray) -> np.ndarray:
        z_BZ = torch.from_numpy(normal(seed_B, self.network.shape.noise_dim))
        label_tensor_B = torch.from_numpy(label_B).to(self.device)
        return to_pixels(self.network(z_BZ.to(self.device), label_tensor_B))


def to_pixels(x_BCHW: torch.Tensor) -> np.ndarray:
    """Pixels as (B, H, W, C) uint8.

    Args:
        x_BCHW: (B, C, H, W) in [0, 1]; values outside are clipped.

    Raises:
        ConfigError: a pixel is not finite.
    """
    if not torch.isfinite(x_BCHW).all():
        raise ConfigError("a generator gave pixels that are NaN or infinite")
    scaled_BCHW = (x_BCHW.float().clamp(0, 1) * 255).round()
    return np.asarray(scaled_BCHW.to(torch.uint8).permute(0, 2, 3, 1).cpu())


def gan_source(entry: Gan, context: EntryContext) -> SampledSource:
    """The source of a pool entry's candidates."""
    return sampled_source(GANMaker(folder=context.folder), entry, context)


KIND = GeneratorKind(source=gan_source, trained=True)
