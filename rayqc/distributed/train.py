"""The encoder: the VAE on Ray Train (DDP workers, checkpoints, restarts), or another kind."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data
import ray.train
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device, prepare_model

from rayqc.config import Config
from rayqc.config.settings import Encoder
from rayqc.distributed.register import on_this_node
from rayqc.distributed.resources import gpus_wanted, require_shared, training_cpus
from rayqc.distributed.session import plain_errors
from rayqc.distributed.tasks import run_tasks
from rayqc.distributed.watch import Watchdog, in_thread
from rayqc.errors import ConfigError, StoppedError, StorageError
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
from rayqc.progress import Progress, Stage
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
from rayqc.training.vae import Share, TrainingState, VAESettings, bare_model, train_vae

MOST_MEASURED = 1000


class Board:
    """Where the first worker writes the step it is at, and the driver that it waits no longer."""

    def __init__(self) -> None:
        self.step = 0
        self.over = False

    def write(self, step: int) -> None:
        """Set the step."""
        self.step = step

    def read(self) -> int:
        """The last step written."""
        return self.step

    def close(self) -> None:
        """Nobody waits for this training any more."""
        self.over = True

    def closed(self) -> bool:
        """Has the driver left?"""
        return self.over


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
    settings = config.encoder
    gpu = gpus_wanted(config.resources.use_gpu)
    workers = config.resources.train_workers
    cpus = training_cpus(config.resources)
    board = on_this_node(Board).remote()
    require_shared(model)
    trainer = TorchTrainer(
        train_loop,
        train_loop_config={
            "model": model,
            "image": image,
            "classes": classes,
            "config": config,
            "board": board,
            "cpus": cpus,
        },
        datasets={"references": ray.data.from_arrow(references.select(["id", "label", "image"]))},
        # Every worker gets all references and takes its share of each batch: a split into equal
        # shards would drop rows, and the path would depend on the number of workers.
        dataset_config=ray.train.DataConfig(datasets_to_split=[]),
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=gpu, resources_per_worker={"CPU": cpus, "GPU": int(gpu)}
        ),
        run_config=RunConfig(
            name="checkpoints",
            storage_path=model.location,
            failure_config=FailureConfig(max_failures=settings.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=settings.keep_checkpoints),
        ),
    )
    with progress.stage("train", settings.steps, "steps") as stage, plain_errors():
        _fit(trainer, board, stage, config.resources.stuck_minutes)
    return load_encoder(model, None)


def train_loop(setup: dict[str, Any]) -> None:
    """What each worker runs."""
    config: Config = setup["config"]
    image: ImageShape = setup["image"]
    _refuse_if_nobody_waits(setup["board"])
    context = ray.train.get_context()
    share = Share(rank=context.get_world_rank(), world=context.get_world_size())
    torch.set_num_threads(setup["cpus"])
    device = get_device()
    images_NHWC, label_N = _references(image, config)
    held_N = choose_holdout(label_N, config.encoder.holdout, config.encoder_seed())
    state = _fresh_state(image, config, device)
    found = ray.train.get_checkpoint()
    if found is not None:
        with found.as_directory() as directory:
            load_checkpoint(Folder(directory), state)
    state.starts.append(state.step)
    state.model = prepare_model(state.model)

    def report(state: TrainingState) -> None:
        _refuse_if_nobody_waits(setup["board"])
        metrics = {"step": state.step, **(state.history[-1] if state.history else {})}
        if share.rank > 0:
            ray.train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as directory:
            save_checkpoint(Folder(directory), state)
            try:
                ray.train.report(metrics, checkpoint=Checkpoint.from_directory(directory))
            except OSError as error:
                raise StorageError(
                    f"cannot write a checkpoint below {setup['model']}: {error}; make room, or see "
                    "that the store answers, and run again"
                ) from error

    def record(state: TrainingState) -> None:
        if share.rank == 0:
            setup["board"].write.remote(state.step)

    train_vae(state, images_NHWC[~held_N], _settings(config), share, report, record, str(device))
    if share.rank == 0:
        vae = bare_model(state.model)
        sample = np.linspace(0, len(label_N) - 1, min(len(label_N), MOST_MEASURED)).astype(int)
        encoder = LatentEncoder(vae, config.filter.micro_batch, str(device))
        facts = measure(encoder, images_NHWC[sample], held_N[sample])
        facts |= {"steps": state.step, "workers": share.world}
        facts |= {"history": state.history, "starts": state.starts}
        save_encoder(
            setup["model"], "vae", vae, vae.shape.as_dict(), image, setup["classes"], facts
        )


def _refuse_if_nobody_waits(board: Any) -> None:
    """A driver that gave up leaves Ray Train's actors behind; they must not go on without it.

    Raises:
        StoppedError: the driver has left.
    """
    if ray.get(board.closed.remote()):
        raise StoppedError("the command that this training was for has ended")


def _references(image: ImageShape, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of all references, in order, from this worker's Ray Data shard."""
    shard = ray.train.get_dataset_shard("references")
    limits = limits_of(config.image)
    images, labels = [], []
    for batch in shard.iter_batches(batch_size=1024, batch_format="pyarrow"):
        data = image_bytes(batch)
        images.append(decode_batch(data, image, limits)[0])
        labels.append(np.asarray(batch["label"]))
    return np.concatenate(images), np.concatenate(labels)


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


def _fit(trainer: TorchTrainer, board: Any, stage: Stage, minutes: float | None) -> None:
    """Run the trainer; this thread moves the progress line."""
    watchdog = Watchdog(stage.name, minutes)

    def look() -> None:
        step = ray.get(board.read.remote())
        if step > stage.done:
            stage.advance(step - stage.done)
        watchdog.look(step)  # steps done again since a checkpoint are movement too

    try:
        in_thread(trainer.fit, look)
    finally:
        board.close.remote()
    stage.advance(stage.total - stage.done)
