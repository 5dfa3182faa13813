"""Train the GAN on few references: every step is drawn from (seed, step), as the VAE's are.

Discriminator and generator take one step each with the non-saturating loss (Goodfellow et al.
2014), the discriminator under a penalty on its gradients at real images (R1, Mescheder et al.
2018). It sees real and generated images alike through random maps (differentiable augmentation,
Zhao et al. 2020), each with a chance (Karras et al. 2020), so that few references are not learned
by heart; samples are made by the generator's moving average.

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
from rayqc.errors import DivergedError
from rayqc.models.gan import Discriminator, GANShape, Generator
from rayqc.models.vae import pixels_to_input
from rayqc.training.augment import random_affine, random_cutout, sometimes
from rayqc.training.classifier import draw_batch
from rayqc.training.vae import STEPS_BETWEEN_RECORDS, Share, bare

BETAS = (0.0, 0.9)
"""Adam's, without momentum, as is usual under a gradient penalty."""

ALONE = Share()


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
    """Where training stands; what a checkpoint holds."""

    generator: nn.Module
    """DDP around it when there are several workers; so is the discriminator."""
    discriminator: nn.Module
    average: Generator
    """Moving average of the generator."""
    best: Generator
    """The average at the checkpoint of the best quality so far."""
    optimisers: dict[str, torch.optim.Adam]
    """Of `generator` and `discriminator`."""
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    """Every ten steps: step, and mean logits of real and of generated images."""
    qualities: list[dict[str, float]] = field(default_factory=list)
    """Of each checkpoint; see `gan_quality`."""


class GANRecord(TypedDict):
    """What training a GAN measured, as it is kept beside its weights."""

    steps: int
    workers: int
    best: dict[str, float]
    """Quality of the checkpoint that is kept: step, accuracy, loss; see `gan_quality`."""
    judged_on: int
    """Images that chose it."""
    held_out: bool
    """Were they held out of training?"""
    qualities: list[dict[str, float]]
    history: list[dict[str, float]]


def shape_of(entry: Gan, size: int, channels: int, classes: int) -> GANShape:
    """The networks that a pool entry asks for, for images of this make."""
    return GANShape(
        size=size,
        channels=channels,
        classes=classes,
        width=entry.width,
        noise_dim=entry.noise_dim,
    )


def settings_of(entry: Gan, seed: int) -> GANSettings:
    """How a pool entry is trained."""
    return GANSettings(
        steps=entry.steps,
        batch_size=entry.batch_size,
        penalty=entry.penalty,
        ema=entry.ema,
        augment=entry.augment,
        seed=seed,
        checkpoint_every=entry.checkpoint_every,
    )


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
    share: Share = ALONE,
    on_checkpoint: Callable[[GANState], None] = lambda state: None,
    on_record: Callable[[GANState], None] = lambda state: None,
    device: str = "cpu",
) -> GANState:
    """Train from `state.step` to `settings.steps`.

    Args:
        state: changed in place, and returned.
        images_NHWC: (N, H, W, C) uint8 references, all of them on every worker.
        label_N: (N,) int64; batches hold the classes in equal shares.
        on_checkpoint: called every `checkpoint_every` steps and at the end.
        on_record: called when a line of history was added.

    Raises:
        DivergedError: logits are not finite.
    """
    state.generator.train()
    state.discriminator.train()
    while state.step < settings.steps:
        real, fake = _one_step(state, images_NHWC, label_N, settings, share, device)
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
    """Note a checkpoint's quality; its average becomes the best when every earlier loss is higher.

    Raises:
        DivergedError: the loss is not finite.
    """
    if not math.isfinite(quality["loss"]):
        raise DivergedError(
            f"a classifier of the GAN's samples has loss {quality['loss']} at step {state.step}; "
            "lower the entry's learning_rate"
        )
    if all(quality["loss"] < earlier["loss"] for earlier in state.qualities):
        state.best.load_state_dict(state.average.state_dict())
    state.qualities.append({"step": state.step, **quality})


def _one_step(
    state: GANState,
    images_NHWC: np.ndarray,
    label_N: np.ndarray,
    settings: GANSettings,
    share: Share,
    device: str,
) -> tuple[Tensor, Tensor]:
    """Mean logits of this worker's real and generated images, before the step."""
    draw = np.random.default_rng([settings.seed, state.step])
    row_N = draw_batch(label_N, settings.batch_size, True, draw)
    rng = torch.Generator().manual_seed(int(draw.integers(2**63)))
    z_NZ = torch.randn(settings.batch_size, state.average.shape.noise_dim, generator=rng)
    mine = slice(share.rank, None, share.world)
    # A share's own maps: equal ones on all workers would be fewer in all.
    maps = torch.Generator().manual_seed(int(draw.integers(2**62)) + share.rank)
    real_NCHW = pixels_to_input(torch.from_numpy(images_NHWC[row_N][mine])).to(device)
    own_N = torch.from_numpy(label_N[row_N][mine]).to(device)
    weight = own_N.shape[0] * share.world / settings.batch_size

    def seen(x_NCHW: Tensor) -> Tensor:
        return sometimes((random_affine, random_cutout), settings.augment, x_NCHW, maps)

    fake_NCHW = state.generator(z_NZ[mine].to(device), own_N)
    real_NCHW = seen(real_NCHW).requires_grad_(True)
    both_NCHW = torch.cat([real_NCHW, seen(fake_NCHW.detach())])
    real_N, fake_N = state.discriminator(both_NCHW, own_N.repeat(2)).chunk(2)
    (slope_NCHW,) = torch.autograd.grad(real_N.sum(), real_NCHW, create_graph=True)
    loss = F.softplus(-real_N).mean() + F.softplus(fake_N).mean()
    loss = loss + settings.penalty / 2 * slope_NCHW.square().sum((1, 2, 3)).mean()
    _step(state.optimisers["discriminator"], loss * weight)
    # Without the wrapper: this pass leaves the discriminator as it is.
    judge = bare(state.discriminator, Discriminator).requires_grad_(False)
    loss = F.softplus(-judge(seen(fake_NCHW), own_N)).mean()
    _step(state.optimisers["generator"], loss * weight)
    judge.requires_grad_(True)
    _follow(state, settings.ema)
    return real_N.detach().mean(), fake_N.detach().mean()


def _step(optimiser: torch.optim.Adam, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


@torch.no_grad()
def _follow(state: GANState, ema: float) -> None:
    """Move the average; early on it follows closely, so that the first weights are forgotten."""
    keep = min(ema, (1 + state.step) / (10 + state.step))
    ahead = bare(state.generator, Generator).state_dict()
    for name, held in state.average.state_dict().items():
        if held.is_floating_point():
            held.lerp_(ahead[name], 1 - keep)
        else:
            held.copy_(ahead[name])


def _frozen(generator: Generator) -> Generator:
    return copy.deepcopy(generator).eval().requires_grad_(False)
