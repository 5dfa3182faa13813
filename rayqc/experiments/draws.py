"""One draw: reference images, fresh images and faulty ones, and the networks trained for it.

Shape suffixes: N images, H W C pixels, D latent, Z noise, B images of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rayqc.config import Gan
from rayqc.generators.gan import to_pixels
from rayqc.images import faults
from rayqc.models.gan import Generator
from rayqc.models.vae import VAE, VAEShape
from rayqc.training.arms import Images
from rayqc.training.gan import fresh_gan, settings_of, shape_of, train_gan
from rayqc.training.vae import TrainingState, VAESettings, train_vae

BATCH_SIZE = 32
LEARNING_RATE = 1e-3


@dataclass(frozen=True, kw_only=True)
class RealData:
    """A data set's images in the encoder's shape."""

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images
    others: dict[str, np.ndarray]
    """Other data sets: name to (N, H, W, C) uint8 pixels."""
    gan: Images | None = None
    """Images of a foreign generator."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.train.images_NHWC.shape[1:]
        return height, width, channels


def draw_references(data: RealData, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers of `per_class` training images of each class, or of all where there are fewer."""
    rows = [
        rng.permutation(np.flatnonzero(data.train.label_N == k))[:per_class]
        for k in range(len(data.classes))
    ]
    return np.sort(np.concatenate(rows))


def pick(images: Images, rows: np.ndarray) -> Images:
    """The images of these row numbers."""
    return Images(images_NHWC=images.images_NHWC[rows], label_N=images.label_N[rows])


def make_faults(
    images: Images,
    data: RealData,
    vae: VAE | None,
    rng: np.random.Generator,
    gan: Generator | None = None,
) -> dict[str, Images]:
    """For each kind of fault, as many faulty images as `images` has.

    `decoding` is left out without a VAE, and `undertrained_gan` without a GAN. Each other data set
    NAME gives a kind `other_data:NAME`; together these have at most as many images.
    """
    x_NHWC, label_N = images.images_NHWC, images.label_N
    count, classes = label_N.size, len(data.classes)

    def random_labels(size: int) -> np.ndarray:
        return rng.integers(0, classes, size)

    pixels_and_labels = {
        "wrong_label": (x_NHWC, faults.wrong_labels(label_N, classes, rng)),
        "noise": (faults.noise(x_NHWC, rng), label_N),
        "blur": (faults.blur(x_NHWC), label_N),
        "occlusion": (faults.occlude(x_NHWC, rng), label_N),
        "blend": (faults.blend(x_NHWC, label_N, rng), label_N),
        "blank": (faults.blank(x_NHWC, rng), random_labels(count)),
    }
    if vae is not None:
        pixels_and_labels["decoding"] = (decodings(vae, count, rng), random_labels(count))
    if gan is not None:
        pixels_and_labels["undertrained_gan"] = (gan_samples(gan, label_N, rng), label_N)
    for name, foreign in data.others.items():
        rows = rng.choice(len(foreign), min(len(foreign), count // len(data.others)), replace=False)
        pixels_and_labels[f"other_data:{name}"] = (foreign[rows], random_labels(rows.size))
    return {
        kind: Images(images_NHWC=x, label_N=y.astype(np.int64))
        for kind, (x, y) in pixels_and_labels.items()
    }


def train_encoder(references: Images, width: float, steps: int, seed: int) -> VAE:
    """The VAE of a draw, trained in this process, without Ray Train or checkpoints."""
    _, side, _, channels = references.images_NHWC.shape
    torch.manual_seed(seed)
    vae = VAE(VAEShape(size=side, channels=channels, width=width))
    vae.to(memory_format=torch.channels_last)
    state = TrainingState(model=vae, optimiser=torch.optim.Adam(vae.parameters(), lr=LEARNING_RATE))
    settings = VAESettings(
        steps=steps,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        beta=1.0,
        reconstruction="bce",
        augment=False,
        seed=seed,
        checkpoint_every=steps,
    )
    train_vae(state, references.images_NHWC, settings)
    return vae.eval()


def train_gan_briefly(references: Images, classes: int, steps: int, seed: int) -> Generator:
    """An undertrained GAN of a draw, with a pool entry's default settings but for its steps."""
    _, side, _, channels = references.images_NHWC.shape
    entry = Gan(kind="gan", steps=steps, checkpoint_every=steps)
    shape = shape_of(entry, side, channels, classes)
    state = fresh_gan(shape, entry.learning_rate, seed, "cpu")
    settings = settings_of(entry, seed)
    return train_gan(state, references.images_NHWC, references.label_N, settings).average


@torch.inference_mode()
def gan_samples(gan: Generator, label_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, H, W, C) uint8 samples of the classes in `label_N`."""
    z_NZ = rng.standard_normal((label_N.size, gan.shape.noise_dim)).astype(np.float32)
    pairs = zip(
        torch.split(torch.from_numpy(z_NZ), 128),
        torch.split(torch.from_numpy(label_N), 128),
        strict=True,
    )
    return np.concatenate([to_pixels(gan(z_BZ, label_B)) for z_BZ, label_B in pairs])


@torch.inference_mode()
def decodings(vae: VAE, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, H, W, C) uint8 decodings of draws from a standard normal."""
    z_ND = torch.from_numpy(rng.standard_normal((count, vae.shape.latent_dim)).astype(np.float32))
    batches = [torch.sigmoid(vae.decode_logits(z_BD)) for z_BD in torch.split(z_ND, 128)]
    return to_pixels(torch.cat(batches))
