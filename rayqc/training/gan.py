"""Train the GAN on few reference images; each step's draws depend on (seed, step) alone.

Discriminator and generator take one step each with the non-saturating loss (Goodfellow et al.
2014), the discriminator under a penalty on its gradients at real images (R1, Mescheder et al.
2018). It sees real and generated images alike through random maps (differentiable augmentation,
Zhao et al. 2020), each applied with a given probability (Karras et al. 2020), so that it does not
memorise a few reference images. Samples are made by the generator's moving average.

Shape suffixes: N images, C H W pixels, Z noise.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rayqc.config import Gan
from rayqc.config.settings_from import settings_from
from rayqc.errors import DivergedError
from rayqc.models.gan import Discriminator, GANShape, Generator
from rayqc.models.vae import pixels_to_input
from rayqc.training.augment import random_affine, random_cutout, sometimes
from rayqc.training.batch_draw import BatchDraw
from rayqc.training.vae import STEPS_BETWEEN_RECORDS, Workers, bare

BETAS = (0.0, 0.9)
"""Of Adam; the first, its momentum, is zero, as is usual under a gradient penalty."""

ALONE = Workers()
"""One worker takes every row."""


@dataclass(frozen=True, kw_only=True)
class GANSettings:
    """How the GAN is trained; see `config.Gan` for each setting."""

    steps: int
    batch_size: int
    penalty: float
    ema: float
    augment: float
    seed: int
    checkpoint_every: int


@dataclass(kw_only=True)
class GANState:
    """The state of training, which a checkpoint holds."""

    generator: nn.Module
    """With several workers, DDP wraps the generator and the discriminator."""
    discriminator: nn.Module
    average: Generator
    """Moving average of the generator."""
    best: Generator
    """The average at the checkpoint with the lowest loss so far; see `gan_quality`."""
    optimisers: dict[str, torch.optim.Adam]
    """Keys: `generator` and `discriminator`."""
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    """Every ten steps: `step`, and mean logits of `real` and `fake` images."""
    qualities: list[dict[str, float]] = field(default_factory=list)
    """Of each checkpoint: `step` and what `gan_quality` gave."""


class GANRecord(TypedDict):
    """What training a GAN measured; written beside its weights."""

    steps: int
    workers: int
    best: dict[str, float]
    """Quality of the chosen checkpoint: step, accuracy, loss; see `gan_quality`."""
    judged_on: int
    """Number of real images given to `gan_quality`."""
    held_out: bool
    """Were these images held out of training?"""
    qualities: list[dict[str, float]]
    history: list[dict[str, float]]


def shape_of(entry: Gan, size: int, channels: int, classes: int) -> GANShape:
    """The networks that a pool entry asks for, for images of `size` by `size` pixels."""
    return settings_from(GANShape, entry, size=size, channels=channels, classes=classes)


def settings_of(entry: Gan, seed: int) -> GANSettings:
    """How the GAN of a pool entry is trained."""
    return settings_from(GANSettings, entry, seed=seed)


def fresh_gan(
    shape: GANShape, learning_rate: float, seed: int, device: str | torch.device
) -> GANState:
    """A GAN before its first step."""
    torch.manual_seed(seed)
    generator = Generator(shape).to(device).to(memory_format=torch.channels_last)
    discriminator = Discriminator(shape).to(device).to(memory_format=torch.channels_last)
    return GANState(
        generator=generator,
        discriminator=discriminator,
        average=_frozen(generator),
        best=_frozen(generator),
        optimisers={
            name: torch.optim.Adam(network.parameters(), lr=learning_rate, betas=BETAS)
            for name, network in (("generator", generator), ("discriminator", discriminator))
        },
    )


def train_gan(
    state: GANState,
    images_NHWC: np.ndarray,
    label_N: np.ndarray,
    settings: GANSettings,
    workers: Workers = ALONE,
    on_checkpoint: Callable[[GANState], None] = lambda state: None,
    on_record: Callable[[GANState], None] = lambda state: None,
    device: str = "cpu",
) -> GANState:
    """Train from `state.step` to `settings.steps`.

    Args:
        state: changed in place, and returned.
        images_NHWC: (N, H, W, C) uint8 reference images, all of them on every worker.
        label_N: (N,) int64; batches hold the classes in equal shares.
        workers: which rows of each batch this worker takes.
        on_checkpoint: called every `checkpoint_every` steps and at the end.
        on_record: called after each new entry of `state.history`.

    Raises:
        DivergedError: logits are not finite.
    """
    state.generator.train()
    state.discriminator.train()
    draw = BatchDraw(label_N, settings.batch_size, balanced=True)
    while state.step < settings.steps:
        real, fake = _one_step(state, images_NHWC, label_N, draw, settings, workers, device)
        state.step += 1
        if state.step % STEPS_BETWEEN_RECORDS == 0 or state.step == settings.steps:
            if not math.isfinite(float(real + fake)):
                raise DivergedError(
                    f"the GAN's logits are {float(real)} and {float(fake)} at step {state.step}; "
                    "lower the entry's learning_rate"
                )
            state.history.append({"step": state.step, "real": float(real), "fake": float(fake)})
            on_record(state)
        if state.step % settings.checkpoint_every == 0 or state.step == settings.steps:
            on_checkpoint(state)
    return state


def keep_if_best(state: GANState, quality: dict[str, float]) -> None:
    """Record a checkpoint's quality, and copy its average to `best` if no earlier loss is lower.

    Of equal losses the last is the best: with one class there is nothing to tell, and all are 0.

    Args:
        state: changed in place.
        quality: what `gan_quality` gave: `accuracy` and `loss`, in nats.

    Raises:
        DivergedError: the loss is not finite.
    """
    if not math.isfinite(quality["loss"]):
        raise DivergedError(
            f"a classifier of the GAN's samples has loss {quality['loss']} at step {state.step}; "
            "lower the entry's learning_rate"
        )
    if all(quality["loss"] <= earlier["loss"] for earlier in state.qualities):
        state.best.load_state_dict(state.average.state_dict())
    state.qualities.append({"step": state.step, **quality})


def _one_step(
    state: GANState,
    images_NHWC: np.ndarray,
    label_N: np.ndarray,
    draw: BatchDraw,
    settings: GANSettings,
    workers: Workers,
    device: str,
) -> tuple[Tensor, Tensor]:
    """Take one step. Returns mean logits of this worker's real and generated images before it."""
    batch_rng = np.random.default_rng([settings.seed, state.step])
    row_N = draw.rows(batch_rng)
    noise_rng = torch.Generator().manual_seed(int(batch_rng.integers(2**63)))
    z_NZ = torch.randn(settings.batch_size, state.average.shape.noise_dim, generator=noise_rng)
    worker_rows = slice(workers.rank, None, workers.world)
    # Each worker draws its own maps, because equal draws would repeat the same maps in the batch.
    map_rng = torch.Generator().manual_seed(int(batch_rng.integers(2**62)) + workers.rank)
    real_NCHW = pixels_to_input(torch.from_numpy(images_NHWC[row_N][worker_rows])).to(device)
    own_label_N = torch.from_numpy(label_N[row_N][worker_rows]).to(device)
    weight = own_label_N.shape[0] * workers.world / settings.batch_size

    def mapped(x_NCHW: Tensor) -> Tensor:
        return sometimes((random_affine, random_cutout), settings.augment, x_NCHW, map_rng)

    fake_NCHW = state.generator(z_NZ[worker_rows].to(device), own_label_N)
    real_NCHW = mapped(real_NCHW).requires_grad_(True)
    images_NCHW = torch.cat([real_NCHW, mapped(fake_NCHW.detach())])
    real_logit_N, fake_logit_N = state.discriminator(images_NCHW, own_label_N.repeat(2)).chunk(2)
    (gradient_NCHW,) = torch.autograd.grad(real_logit_N.sum(), real_NCHW, create_graph=True)
    loss = F.softplus(-real_logit_N).mean() + F.softplus(fake_logit_N).mean()
    loss = loss + settings.penalty / 2 * gradient_NCHW.square().sum((1, 2, 3)).mean()
    _optimiser_step(state.optimisers["discriminator"], loss * weight)
    # Without the DDP wrapper, because this pass must not change the discriminator.
    bare_discriminator = bare(state.discriminator, Discriminator).requires_grad_(False)
    loss = F.softplus(-bare_discriminator(mapped(fake_NCHW), own_label_N)).mean()
    _optimiser_step(state.optimisers["generator"], loss * weight)
    bare_discriminator.requires_grad_(True)
    _update_average(state, settings.ema)
    return real_logit_N.detach().mean(), fake_logit_N.detach().mean()


def _optimiser_step(optimiser: torch.optim.Adam, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


@torch.no_grad()
def _update_average(state: GANState, ema: float) -> None:
    """Update the moving average; its decay is lower in early steps, to forget the first weights."""
    decay = min(ema, (1 + state.step) / (10 + state.step))
    tensors = bare(state.generator, Generator).state_dict()
    for name, average in state.average.state_dict().items():
        if average.is_floating_point():
            average.lerp_(tensors[name], 1 - decay)
        else:
            average.copy_(tensors[name])


def _frozen(generator: Generator) -> Generator:
    return copy.deepcopy(generator).eval().requires_grad_(False)
