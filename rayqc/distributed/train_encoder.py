"""Make the encoder that the settings name: in the driver, in a task, or by Ray Train's workers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from rayqc.config import Config
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.tasks import run_tasks
from rayqc.distributed.train_vae import train_vae_encoder
from rayqc.encoders.base import EncoderKind, EncoderTask
from rayqc.encoders.store import TrainedEncoder, load_encoder, save_encoder
from rayqc.errors import ConfigError
from rayqc.images.decode import decode_batch, limits_of
from rayqc.images.look import ImageShape
from rayqc.kinds import ENCODERS
from rayqc.progress import Progress
from rayqc.schema import image_bytes
from rayqc.storage import Folder
from rayqc.work.latent_columns import given_latents


def train_encoder(
    references: pa.Table,
    classes: tuple[str, ...],
    image: ImageShape,
    model: Folder,
    config: Config,
    progress: Progress,
) -> TrainedEncoder:
    """Make the encoder and write it to `model`.

    Args:
        references: columns id, label, image.
        image: size and channels that the encoder takes.

    Raises:
        ConfigError: a file or class that the settings name cannot be read.
    """
    kind: EncoderKind = ENCODERS[config.encoder.kind]
    if kind.where == "workers":
        return train_vae_encoder(references, classes, image, model, config, progress)
    if kind.where == "driver":
        return make_encoder(references, classes, image, model, config, gpu=False)
    gpu = gpus_wanted(config.resources.use_gpu)
    with progress.stage("train", 1, "encoders") as stage:
        jobs = [(references, classes, image, model, config, gpu)]
        run_tasks(_make_in_task, jobs, stage, gpu, config.resources.stuck_minutes)
    return load_encoder(model, config.encoder.target)


def make_encoder(
    references: pa.Table,
    classes: tuple[str, ...],
    image: ImageShape,
    model: Folder,
    config: Config,
    gpu: bool,
) -> TrainedEncoder:
    """Make the encoder in this process and write it to `model`; raises as `train_encoder`."""
    kind: EncoderKind = ENCODERS[config.encoder.kind]
    if kind.make is None:
        raise ConfigError(f"an encoder of kind {config.encoder.kind} is made by workers only")
    seen = references if kind.where == "task" else references.slice(0, 0)
    task = EncoderTask(
        settings=config.encoder,
        image=image,
        images_NHWC=decode_batch(image_bytes(seen), image, limits_of(config.image))[0],
        label_N=np.asarray(seen["label"]),
        latent_ND=given_latents(references),
        classes=classes,
        seed=config.encoder_seed(),
        device="cuda" if gpu else "cpu",
    )
    return save_encoder(model, config.encoder.kind, kind.make(task), image, classes)


def _make_in_task(
    references: pa.Table,
    classes: tuple[str, ...],
    image: ImageShape,
    model: Folder,
    config: Config,
    gpu: bool,
) -> None:
    torch.set_num_threads(1)
    make_encoder(references, classes, image, model, config, gpu)
