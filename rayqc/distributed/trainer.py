"""Run a training loop on Ray Train: workers, checkpoints, restarts, and a driver that watches.

A loop gets a plan of its own, and a `Worker` that knows its rank, its references and the driver.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import ray
import ray.train
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device

from rayqc.config import Config
from rayqc.distributed.board import STEP, Board, Measured
from rayqc.distributed.metrics import StageMetrics
from rayqc.distributed.register import on_this_node
from rayqc.distributed.resources import gpus_wanted, require_seen, seen_by_all, training_cpus
from rayqc.distributed.session import plain_errors
from rayqc.distributed.watch import Watchdog, in_thread
from rayqc.errors import StoppedError, StorageError
from rayqc.images.decode import limits_of
from rayqc.images.look import ImageShape
from rayqc.images.references import decode_real
from rayqc.progress import Progress, Stage
from rayqc.schema import image_bytes
from rayqc.storage import Folder
from rayqc.storage.arrow import arrow_filesystem
from rayqc.training.vae import Workers

Plan = TypeVar("Plan")
"""A frozen dataclass of a loop's own."""

SECONDS_TO_LOOK = 60.0
"""How often an elastic training looks whether there is room for more workers."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training's name, length and folder."""

    name: str
    """Shown in the progress line."""
    steps: int
    folder: Folder
    """Checkpoints go below it."""
    elastic: bool
    """May the number of workers change on the way?"""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker of a training."""

    workers: Workers
    device: torch.device
    images_NHWC: np.ndarray
    """All references, in order."""
    label_N: np.ndarray
    folder: Folder
    """What the training writes goes there."""
    board: Any
    """The driver's `Board`, an actor."""

    def tell(self, measured: Measured) -> None:
        """Tell the driver what the first worker measured; other workers tell nothing."""
        if self.workers.rank == 0:
            self.board.write.remote(measured)

    def report_checkpoint(
        self, metrics: dict[str, float], save: Callable[[Folder], None] | None
    ) -> None:
        """Report metrics, and the first worker's checkpoint, to Ray Train; waits for all workers.

        Args:
            save: writes the checkpoint to a folder; None on all workers but the first.

        Raises:
            StorageError: the checkpoint cannot be written.
            StoppedError: the driver has left.
        """
        _refuse_if_nobody_waits(self.board)
        if save is None:
            ray.train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as directory:
            save(Folder(directory))
            try:
                ray.train.report(metrics, checkpoint=Checkpoint.from_directory(directory))
            except OSError as error:
                raise StorageError(
                    f"cannot write a checkpoint below {self.folder}: {error}; make room, or see "
                    "that the store answers, and run again"
                ) from error


@dataclass(frozen=True, kw_only=True)
class _Orders:
    """What a worker is told besides its loop's own plan."""

    image: ImageShape
    config: Config
    folder: Folder
    marker: str
    """See `resources.seen_by_all`."""
    board: Any
    """The driver's `Board`, an actor."""
    cpus: int
    references: Any
    """The table in Ray's object store."""


def run_trainer(
    loop: Callable[[Plan, Worker], None],
    plan: Plan,
    image: ImageShape,
    references: pa.Table,
    training: Training,
    config: Config,
    progress: Progress,
) -> None:
    """Run a loop on every worker to its end; an interrupted one goes on from its checkpoint.

    Args:
        loop: what each worker runs.
        plan: what the loop is to know, besides what its `Worker` has.
        image: shape that the references are decoded to.
        references: columns id, label, image.
    """
    gpu = gpus_wanted(config.resources.use_gpu)
    cpus = training_cpus(config.resources)
    board = on_this_node(Board).remote()
    columns = references.select(["id", "label", "image"])
    with seen_by_all(training.folder) as marker:
        trainer = TorchTrainer(
            _run_loop,
            train_loop_config={
                "loop": loop,
                "plan": plan,
                "orders": _Orders(
                    image=image,
                    config=config,
                    folder=training.folder,
                    marker=marker,
                    board=board,
                    cpus=cpus,
                    # Every worker gets all references and takes its share of each batch. Ray Data
                    # would start processes to hand out one table, and its split into equal shards
                    # would drop rows and tie the weights to the number of workers.
                    references=ray.put(columns),
                ),
            },
            scaling_config=ScalingConfig(
                num_workers=_workers(config.resources.workers_range, training.elastic),
                elastic_resize_monitor_interval_s=SECONDS_TO_LOOK,
                use_gpu=gpu,
                resources_per_worker={"CPU": cpus, "GPU": int(gpu)},
            ),
            run_config=RunConfig(
                name="checkpoints",
                **_storage(training.folder),
                failure_config=FailureConfig(max_failures=config.encoder.max_failures),
                checkpoint_config=CheckpointConfig(num_to_keep=config.encoder.keep_checkpoints),
            ),
        )
        with progress.stage(training.name, training.steps, "steps") as stage, plain_errors():
            _fit(trainer, board, stage, config.resources.stuck_minutes)


def _workers(asked: tuple[int, int], elastic: bool) -> int | tuple[int, int]:
    """As Ray Train takes it: a number, or the fewest and the most."""
    fewest, most = asked
    return asked if elastic and fewest < most else fewest


def _storage(folder: Folder) -> dict[str, Any]:
    """Where Ray Train keeps checkpoints; it knows local folders by itself, and not every store."""
    if folder.is_local:
        return {"storage_path": folder.location}
    return {"storage_path": "", "storage_filesystem": arrow_filesystem(folder)}


def _run_loop(told: dict[str, Any]) -> None:
    """What Ray Train calls on each worker; `told` is `train_loop_config`."""
    told["loop"](told["plan"], _begin_worker(told["orders"]))


def _begin_worker(orders: _Orders) -> Worker:
    """Set this worker's thread count; give its rank, its device and all references.

    Raises:
        StoppedError: the driver has left.
    """
    _refuse_if_nobody_waits(orders.board)
    require_seen(orders.folder, orders.marker)
    context = ray.train.get_context()
    torch.set_num_threads(orders.cpus)
    images_NHWC, label_N = _pixels_and_labels(orders)
    return Worker(
        workers=Workers(rank=context.get_world_rank(), world=context.get_world_size()),
        device=get_device(),
        images_NHWC=images_NHWC,
        label_N=label_N,
        folder=orders.folder,
        board=orders.board,
    )


def _pixels_and_labels(orders: _Orders) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of all references, in order."""
    table = ray.get(orders.references)
    ids, limits = table["id"].to_pylist(), limits_of(orders.config.image)
    images_NHWC = decode_real(ids, image_bytes(table), orders.image, limits)
    return images_NHWC, np.array(table["label"])


def resume(load: Callable[[Folder], None]) -> None:
    """Load the last checkpoint, if there is one."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as directory:
            load(Folder(directory))


def _refuse_if_nobody_waits(board: Any) -> None:
    """End a worker whose driver has left: Ray Train's actors would go on without it.

    Raises:
        StoppedError: the driver has left.
    """
    if ray.get(board.closed.remote()):
        raise StoppedError("the command that this training was for has ended")


def _fit(trainer: TorchTrainer, board: Any, stage: Stage, minutes: float | None) -> None:
    """Run the trainer in a thread, while this thread moves the progress line."""
    watchdog, metrics = Watchdog(stage.name, minutes), StageMetrics(stage)

    def look() -> None:
        metrics.look()
        step, unread = ray.get(board.read.remote())
        for measured in unread:
            values = {name: value for name, value in measured.items() if name != STEP}
            stage.measured(int(measured[STEP]), values)
        if step > stage.done:
            stage.advance(step - stage.done)
        watchdog.look(step)  # a lower step, after a restart from a checkpoint, is movement too

    try:
        in_thread(trainer.fit, look)
    finally:
        board.close.remote()
    stage.advance(stage.total - stage.done)
