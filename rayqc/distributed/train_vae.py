"""The encoder: the VAE on Ray Train (DDP workers, checkpoints, restarts), or another kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from ray.train.torch import prepare_model

from rayqc.config import Config
from rayqc.config.settings import Encoder
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.tasks import run_tasks
from rayqc.distributed.trainer import (
    Training,
    begin_worker,
    report_checkpoint,
    resume,
    run_trainer,
    tell_step,
)
from rayqc.errors import ConfigError
from rayqc.images.decode import ImageShape, decode_batch, limits_of
from rayqc.models.backbones import (
    FULL_WIDTH,
    Foreign,
    Pretrained,
    pretrained_weights,
    source_digest,
)
from rayqc.models.encoder import LatentEncoder
from rayqc.models.vae import VAE, VAEShape
from rayqc.progress import Progress
from rayqc.schema import image_bytes
from rayqc.storage import Folder
from rayqc.training.backbones import train_contrastive, train_supervised
from rayqc.training.checkpoint import (
    TrainedEncoder,
    load_checkpoint,
    load_encoder,
    save_checkpoint,
    save_encoder,
)
from rayqc.training.classifier import ClassifierSettings
from rayqc.training.holdout import choose_holdout, measure
from rayqc.training.vae import TrainingState, VAESettings, bare_model, train_vae
from rayqc.units import evenly

MOST_MEASURED = 1000


def train_encoder(
    references: pa.Table,
    classes: tuple[str, ...],
    image: ImageShape,
    model: Folder,
    config: Config,
    progress: Progress,
) -> TrainedEncoder:
    """Make the encoder that is set and write it to `model`. Arguments as `train_vae_encoder`."""
    chosen = config.encoder
    if chosen.kind == "vae":
        return train_vae_encoder(references, classes, image, model, config, progress)
    if chosen.kind in ("torchvision", "python"):
        return bring_encoder(chosen, image, classes, model)
    gpu = gpus_wanted(config.resources.use_gpu)
    with progress.stage("train", 1, "encoders") as stage:
        jobs = [(references, classes, image, model, config, gpu)]
        run_tasks(train_backbone, jobs, stage, gpu, config.resources.stuck_minutes)
    return load_encoder(model, None)


def train_backbone(
    references: pa.Table,
    classes: tuple[str, ...],
    image: ImageShape,
    model: Folder,
    config: Config,
    gpu: bool,
) -> None:
    """A task: a supervised or contrastive encoder, trained and written to `model`."""
    chosen = config.encoder
    torch.set_num_threads(1)
    images_NHWC = decode_batch(image_bytes(references), image, limits_of(config.image))[0]
    width = max(4, round(chosen.width * FULL_WIDTH))
    settings = ClassifierSettings(
        steps=chosen.steps,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        width=width,
        augment=True,
        flip=image.channels == 3,
        balanced=True,
    )
    seed, device = config.encoder_seed(), "cuda" if gpu else "cpu"
    if chosen.kind == "supervised":
        label_N = np.asarray(references["label"])
        network = train_supervised(images_NHWC, label_N, len(classes), settings, seed, device)
    else:
        network = train_contrastive(images_NHWC, settings, seed, device)
    shape = {"channels": image.channels, "width": width}
    record = {"steps": chosen.steps, "latent_dim": network.latent_dim}
    save_encoder(model, chosen.kind, network.cpu(), shape, image, classes, record)


def bring_encoder(
    chosen: Encoder, image: ImageShape, classes: tuple[str, ...], model: Folder
) -> TrainedEncoder:
    """An encoder trained elsewhere, checked and written to `model`.

    Raises:
        ConfigError: its weights or its target cannot be read.
    """
    shape: dict[str, Any]
    network: Pretrained | Foreign
    if chosen.kind == "torchvision":
        shape = {"name": chosen.name, "input_size": chosen.input_size}
        network = pretrained = Pretrained(str(chosen.name), chosen.input_size)
        weights = pretrained_weights(str(chosen.weights))
        missing = pretrained.network.load_state_dict(weights, strict=False).missing_keys
        if missing:
            raise ConfigError(
                f"encoder.weights: {chosen.weights} is no {chosen.name}: it lacks {missing[:3]}"
            )
    else:
        target = str(chosen.target)
        shape = {"target": target, "options": chosen.options, "source": source_digest(target)}
        shape |= {"size": image.size, "channels": image.channels}
        network = Foreign(target, chosen.options, (image.size, image.channels))
    record = {"latent_dim": network.latent_dim}
    return save_encoder(model, chosen.kind, network, shape, image, classes, record)


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
    training = Training(name="train", steps=config.encoder.steps, place=model)
    setup = {"image": image, "classes": classes}
    run_trainer(train_loop, setup, references, training, config, progress)
    return load_encoder(model, None)


def train_loop(setup: dict[str, Any]) -> None:
    """What each worker runs."""
    config: Config = setup["config"]
    image: ImageShape = setup["image"]
    worker = begin_worker(setup)
    share, device = worker.share, worker.device
    images_NHWC, label_N = worker.images_NHWC, worker.label_N
    held_N = choose_holdout(label_N, config.encoder.holdout, config.encoder_seed())
    state = _fresh_state(image, config, device)
    resume(lambda folder: load_checkpoint(folder, state))
    state.starts.append(state.step)
    state.model = prepare_model(state.model)

    def report(state: TrainingState) -> None:
        metrics = {"step": state.step, **(state.history[-1] if state.history else {})}
        save = None if share.rank else lambda folder: save_checkpoint(folder, state)
        report_checkpoint(setup, metrics, save)

    def record(state: TrainingState) -> None:
        tell_step(setup, share, state.step)

    train_vae(state, images_NHWC[~held_N], _settings(config), share, report, record, str(device))
    if share.rank == 0:
        vae = bare_model(state.model)
        sample = evenly(len(label_N), MOST_MEASURED)
        encoder = LatentEncoder(vae, config.filter.micro_batch, str(device))
        facts = measure(encoder, images_NHWC[sample], held_N[sample])
        facts |= {"steps": state.step, "workers": share.world}
        facts |= {"history": state.history, "starts": state.starts}
        save_encoder(
            setup["place"], "vae", vae, vae.shape.as_dict(), image, setup["classes"], facts
        )


def _fresh_state(image: ImageShape, config: Config, device: torch.device) -> TrainingState:
    settings = config.encoder
    torch.manual_seed(config.encoder_seed())
    vae = VAE(
        VAEShape(
            size=image.size,
            channels=image.channels,
            width=settings.width,
            latent_dim=settings.latent_dim,
        )
    )
    vae.to(device).to(memory_format=torch.channels_last)
    return TrainingState(
        model=vae, optimiser=torch.optim.Adam(vae.parameters(), lr=settings.learning_rate)
    )


def _settings(config: Config) -> VAESettings:
    chosen = config.encoder
    return VAESettings(
        steps=chosen.steps,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        beta=chosen.beta,
        reconstruction=chosen.reconstruction,
        augment=chosen.augment == "affine",
        seed=config.encoder_seed(),
        checkpoint_every=chosen.checkpoint_every,
    )
