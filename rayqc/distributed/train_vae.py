"""The VAE on Ray Train: data-parallel workers, checkpoints, restarts."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pyarrow as pa
import torch
from ray.train.torch import prepare_model

from rayqc.config import Config
from rayqc.config.settings_from import settings_from
from rayqc.distributed.trainer import Training, Worker, resume, run_trainer
from rayqc.encoders.base import MadeEncoder
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import TrainedEncoder, load_encoder, save_encoder
from rayqc.encoders.vae import LONG, SHORT, measure, steps_of
from rayqc.images.look import ImageShape
from rayqc.models.vae import VAE, VAEShape
from rayqc.progress import Progress
from rayqc.storage import Folder
from rayqc.training.checkpoint import load_checkpoint, save_checkpoint
from rayqc.training.holdout import choose_holdout
from rayqc.training.vae import TrainingState, VAESettings, bare_model, train_vae
from rayqc.units import evenly

logger = logging.getLogger(__name__)

MOST_MEASURED = 1000
"""References that the trained VAE is measured on, at most."""


def train_vae_encoder(
    references: pa.Table,
    classes: tuple[str, ...],
    image: ImageShape,
    model: Folder,
    config: Config,
    progress: Progress,
) -> TrainedEncoder:
    """Train the VAE on the references and write it to `model`.

    An interrupted training goes on from the last checkpoint in `model/checkpoints`.

    Args:
        references: columns id, label, image.
    """
    steps = steps_of(config, image.size)
    if config.encoder.steps is None and steps == SHORT:
        logger.info(
            "train: %d steps, since no verdict depends on this VAE; near copies and nearest "
            "references are found better after encoder.steps=%d, or by encoder.kind: pretrained",
            steps,
            LONG,
        )
    training = Training(name="train", steps=steps, folder=model, elastic=True)
    plan = VAEPlan(image=image, classes=classes, config=config)
    run_trainer(train_loop, plan, image, references, training, config, progress)
    return load_encoder(model, None)


@dataclass(frozen=True, kw_only=True)
class VAEPlan:
    """What the loop is to train."""

    image: ImageShape
    classes: tuple[str, ...]
    config: Config


def train_loop(plan: VAEPlan, worker: Worker) -> None:
    """Train the VAE on one worker; the first worker measures and writes it."""
    config, image = plan.config, plan.image
    workers, device = worker.workers, worker.device
    images_NHWC, label_N = worker.images_NHWC, worker.label_N
    held_N = choose_holdout(label_N, config.encoder.holdout, config.encoder_seed())
    state = fresh_state(image, config, device)
    resume(lambda folder: load_checkpoint(folder, state))
    state.starts.append(state.step)
    state.model = prepare_model(state.model)

    def report(state: TrainingState) -> None:
        metrics = {"step": state.step, **(state.history[-1] if state.history else {})}
        save = None if workers.rank else lambda folder: save_checkpoint(folder, state)
        worker.report_checkpoint(metrics, save)

    def record(state: TrainingState) -> None:
        worker.tell(state.history[-1])

    settings = training_settings(config, image.size)
    train_vae(state, images_NHWC[~held_N], settings, workers, report, record, str(device))
    if workers.rank == 0:
        vae = bare_model(state.model)
        sampled_rows = evenly(len(label_N), MOST_MEASURED)
        encoder = LatentEncoder(vae, config.filter.micro_batch, str(device))
        facts = measure(encoder, images_NHWC[sampled_rows], held_N[sampled_rows])
        facts |= {"steps": state.step, "workers": workers.world}
        facts |= {"history": state.history, "starts": state.starts}
        made_encoder = MadeEncoder(network=vae, shape=vae.shape.as_dict(), record=facts)
        save_encoder(worker.folder, "vae", made_encoder, image, plan.classes)


def fresh_state(image: ImageShape, config: Config, device: torch.device) -> TrainingState:
    """A VAE as the settings ask for it, before its first step."""
    settings = config.encoder
    torch.manual_seed(config.encoder_seed())
    vae = VAE(settings_from(VAEShape, settings, size=image.size, channels=image.channels))
    vae.to(device).to(memory_format=torch.channels_last)
    return TrainingState(
        model=vae, optimiser=torch.optim.Adam(vae.parameters(), lr=settings.learning_rate)
    )


def training_settings(config: Config, size: int) -> VAESettings:
    """How the VAE of images of `size` pixels is trained."""
    return settings_from(
        VAESettings,
        config.encoder,
        steps=steps_of(config, size),
        augment=config.encoder.augment == "affine",
        seed=config.encoder_seed(),
    )
