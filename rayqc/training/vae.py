"""Train the VAE: the same steps for any number of workers.

Every step's batch, noise and augmentation are drawn from (seed, step) for all
workers together, and each worker takes its share of the rows. So a run that was
interrupted goes on exactly where its checkpoint stood, and two workers walk the
path of one, but for rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from rayqc.errors import DivergedError
from rayqc.models.losses import Reconstruction, kl_to_standard_normal, reconstruction_loss
from rayqc.models.vae import VAE, pixels_to_input
from rayqc.training.augment import random_affine

STEPS_BETWEEN_RECORDS = 10

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class VAESettings:
    """How the VAE is trained; see `config.Encoder` for each setting."""

    steps: int
    batch_size: int
    learning_rate: float
    beta: float
    reconstruction: Reconstruction
    augment: bool
    seed: int
    checkpoint_every: int


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which part of each batch this worker takes: rows rank, rank + world, ..."""

    rank: int = 0
    world: int = 1


@dataclass(kw_only=True)
class TrainingState:
    """Where training stands; what a checkpoint holds."""

    model: nn.Module
    """Called as model(x, noise); DDP around the VAE when there are several workers."""
    optimiser: torch.optim.Adam
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    """Every ten steps: step, loss, reconstruction, kl (nats an image)."""
    starts: list[int] = field(default_factory=list)
    """Steps at which training started or went on from a checkpoint."""


def train_vae(
    state: TrainingState,
    images_NHWC: np.ndarray,
    settings: VAESettings,
    share: Share = Share(),
    on_checkpoint: Callable[[TrainingState], None] = lambda state: None,
    on_record: Callable[[TrainingState], None] = lambda state: None,
    device: str = "cpu",
) -> TrainingState:
    """Train from `state.step` to `settings.steps`.

    Loss: mean over the batch of reconstruction + beta * KL, each summed over an
    image's pixels or latent units, in nats. The paper names neither.

    Args:
        state: changed in place, and returned.
        images_NHWC: (N, H, W, C) uint8 references, all of them on every worker.
        on_checkpoint: called every `checkpoint_every` steps and at the end.
        on_record: called when a line of history was added.
    """
    state.model.train()
    while state.step < settings.steps:
        losses = _one_step(state, images_NHWC, settings, share, device)
        state.step += 1
        if state.step % STEPS_BETWEEN_RECORDS == 0 or state.step == settings.steps:
            loss, reconstruction, kl = (float(value) for value in losses)
            if not math.isfinite(loss):
                raise DivergedError(
                    f"the VAE's loss is {loss} at step {state.step}; lower encoder.learning_rate "
                    f"(now {settings.learning_rate})"
                )
            state.history.append(
                {"step": state.step, "loss": loss, "reconstruction": reconstruction, "kl": kl}
            )
            on_record(state)
        if state.step % settings.checkpoint_every == 0 or state.step == settings.steps:
            on_checkpoint(state)
    return state


def _one_step(
    state: TrainingState,
    images_NHWC: np.ndarray,
    settings: VAESettings,
    share: Share,
    device: str,
) -> tuple[Tensor, Tensor, Tensor]:
    mine = slice(share.rank, None, share.world)
    x_NCHW, noise_ND = _draw(state, images_NHWC, settings)
    x_NCHW, noise_ND = x_NCHW[mine].to(device), noise_ND[mine].to(device)
    logits_NCHW, mean_ND, log_var_ND = state.model(x_NCHW, noise_ND)
    reconstruction = reconstruction_loss(logits_NCHW, x_NCHW, settings.reconstruction).mean()
    kl = kl_to_standard_normal(mean_ND, log_var_ND).sum(1).mean()
    loss = reconstruction + settings.beta * kl
    state.optimiser.zero_grad(set_to_none=True)
    # DDP averages over workers, whose shares may differ by one row.
    weight = x_NCHW.shape[0] * share.world / settings.batch_size
    (loss * weight).backward()  # type: ignore[no-untyped-call]
    state.optimiser.step()
    return loss.detach(), reconstruction.detach(), kl.detach()


def _draw(
    state: TrainingState, images_NHWC: np.ndarray, settings: VAESettings
) -> tuple[Tensor, Tensor]:
    """The whole batch of this step: pixels in [0, 1] and noise, on the CPU."""
    draw = np.random.default_rng([settings.seed, state.step])
    total = images_NHWC.shape[0]
    rows = draw.choice(total, settings.batch_size, replace=settings.batch_size > total)
    rng = torch.Generator().manual_seed(int(draw.integers(2**63)))
    x_NCHW = pixels_to_input(torch.from_numpy(images_NHWC[rows]))
    if settings.augment:
        x_NCHW = random_affine(x_NCHW, rng)
    latent_dim = bare_model(state.model).shape.latent_dim
    return x_NCHW, torch.randn(settings.batch_size, latent_dim, generator=rng)


def bare_model(model: nn.Module) -> VAE:
    """The network inside a data-parallel wrapper, or the network itself."""
    return bare(model, VAE)


def bare(network: nn.Module, kind: type[Network]) -> Network:
    """The same of a network of another kind."""
    return cast(Network, getattr(network, "module", network))
