"""Train the VAE: the same steps for any number of workers.

Every step's batch, noise and augmentation are drawn from (seed, step) for all
workers together, and each worker takes its rows of the batch. So an interrupted
run goes on exactly from its checkpoint, and two workers take the same steps as
one, up to rounding.

Shape suffixes: N images, C H W pixels, D latent.
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
class Workers:
    """Which rows of each batch this worker takes: rank, rank + world, rank + 2 world, ..."""

    rank: int = 0
    world: int = 1


@dataclass(kw_only=True)
class TrainingState:
    """The state of training, which a checkpoint holds."""

    model: nn.Module
    """Called as model(x, noise); with several workers, DDP wraps the VAE."""
    optimiser: torch.optim.Adam
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    """Every ten steps: step, loss, reconstruction, kl (nats an image)."""
    starts: list[int] = field(default_factory=list)
    """Steps at which training started or was resumed."""


def train_vae(
    state: TrainingState,
    images_NHWC: np.ndarray,
    settings: VAESettings,
    workers: Workers = Workers(),
    on_checkpoint: Callable[[TrainingState], None] = lambda state: None,
    on_record: Callable[[TrainingState], None] = lambda state: None,
    device: str = "cpu",
) -> TrainingState:
    """Train from `state.step` to `settings.steps`.

    Loss: mean over the batch of reconstruction + beta * KL, each summed over an
    image's pixels or latent dimensions, in nats. The paper names neither.

    Args:
        state: changed in place, and returned.
        images_NHWC: (N, H, W, C) uint8 reference images, all of them on every worker.
        workers: which rows of each batch this worker takes.
        on_checkpoint: called every `checkpoint_every` steps and at the end.
        on_record: called after each new entry of `state.history`.

    Raises:
        DivergedError: the loss is not finite.
    """
    state.model.train()
    while state.step < settings.steps:
        losses = _one_step(state, images_NHWC, settings, workers, device)
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
    workers: Workers,
    device: str,
) -> tuple[Tensor, Tensor, Tensor]:
    worker_rows = slice(workers.rank, None, workers.world)
    x_NCHW, noise_ND = _draw_batch(state, images_NHWC, settings)
    x_NCHW, noise_ND = x_NCHW[worker_rows].to(device), noise_ND[worker_rows].to(device)
    logits_NCHW, mean_ND, log_var_ND = state.model(x_NCHW, noise_ND)
    reconstruction = reconstruction_loss(logits_NCHW, x_NCHW, settings.reconstruction).mean()
    kl = kl_to_standard_normal(mean_ND, log_var_ND).sum(1).mean()
    loss = reconstruction + settings.beta * kl
    state.optimiser.zero_grad(set_to_none=True)
    # DDP averages over workers, whose numbers of rows may differ by one.
    weight = x_NCHW.shape[0] * workers.world / settings.batch_size
    (loss * weight).backward()  # type: ignore[no-untyped-call]
    state.optimiser.step()
    return loss.detach(), reconstruction.detach(), kl.detach()


def _draw_batch(
    state: TrainingState, images_NHWC: np.ndarray, settings: VAESettings
) -> tuple[Tensor, Tensor]:
    """The batch of this step for all workers: pixels in [0, 1] and noise, on the CPU."""
    batch_rng = np.random.default_rng([settings.seed, state.step])
    image_count = images_NHWC.shape[0]
    rows = batch_rng.choice(
        image_count, settings.batch_size, replace=settings.batch_size > image_count
    )
    torch_rng = torch.Generator().manual_seed(int(batch_rng.integers(2**63)))
    x_NCHW = pixels_to_input(torch.from_numpy(images_NHWC[rows]))
    if settings.augment:
        x_NCHW = random_affine(x_NCHW, torch_rng)
    latent_dim = bare_model(state.model).shape.latent_dim
    return x_NCHW, torch.randn(settings.batch_size, latent_dim, generator=torch_rng)


def bare_model(model: nn.Module) -> VAE:
    """The VAE inside a data-parallel wrapper, or the VAE itself."""
    return bare(model, VAE)


def bare(network: nn.Module, kind: type[Network]) -> Network:
    """The network of class `kind` inside a data-parallel wrapper, or the network itself."""
    return cast(Network, getattr(network, "module", network))
