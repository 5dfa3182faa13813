"""The classifier stage on Ray: every arm and seed is a task of its own.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import torch

from rayqc.config import Config
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.tasks import run_tasks, share
from rayqc.images.decode import ImageShape, Limits, decode_batch, limits_of
from rayqc.images.references import decode_real
from rayqc.ledger.manifest import load_files
from rayqc.progress import Progress
from rayqc.results import TrainingRecord
from rayqc.schema import image_bytes
from rayqc.seeds import POOL_DRAW
from rayqc.storage import Folder, read_json, read_table, write_json
from rayqc.training.arms import Images, LabelledPool, arm_rows
from rayqc.training.classifier import ClassifierSettings, accuracy, train_classifier
from rayqc.verdicts import ACCEPTED, REJECTED


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """File its result is kept in."""
        return f"{quote(self.arm, safe='')}-{self.seed}.json"


def run_arms(
    references: pa.Table,
    test: pa.Table,
    filtered: Folder,
    results: Folder,
    image: ImageShape,
    classes: int,
    config: Config,
    progress: Progress,
) -> list[TrainingRecord]:
    """Train and test a classifier for each arm and seed; finished ones are not trained again.

    Args:
        references: columns id, label, image; so is `test`.
        filtered: a finished filter's output.
        results: where each training's result is kept.

    Returns:
        One record a training: arm, seed, accuracy, images added to the references.
    """
    arms = arms_of(config)
    jobs = [Job(arm=arm, seed=seed) for seed in range(config.classify.seeds) for arm in arms]
    kept = set(results.names())
    left = [job for job in jobs if job.name not in kept]
    with progress.stage("classify", len(jobs), "trainings") as stage:
        if len(left) < len(jobs):
            stage.skip(len(jobs) - len(left))
        if left:
            shared = _share(references, test, filtered, image, config)
            gpu = gpus_wanted(config.resources.use_gpu)
            trainings = [(job, *shared, classes, config, gpu, results) for job in left]
            run_tasks(train_arm, trainings, stage, gpu, config.resources.stuck_minutes)
    return [read_json(results, job.name) for job in jobs]


def arms_of(config: Config) -> list[str]:
    """The arms that are set, `each` as one for each pool entry."""
    arms: list[str] = [arm for arm in config.classify.arms if arm != "each"]
    if "each" in config.classify.arms:
        arms += [f"accepted:{name}" for name in config.pool_names()]
    return arms


def train_arm(
    job: Job,
    references: Images,
    test: Images,
    pool: LabelledPool,
    classes: int,
    config: Config,
    gpu: bool,
    results: Folder,
) -> None:
    """One training and its test, written to `results`."""
    torch.set_num_threads(1)
    chosen = config.classify
    # One seed gives every arm the same initial weights: differences between arms are paired.
    seed = _seed(config.seed, job.seed)
    rows = arm_rows(job.arm, pool, seed)
    images_NHWC = np.concatenate([references.images_NHWC, pool.images_NHWC[rows]])
    label_N = np.concatenate([references.label_N, pool.label_N[rows]])
    channels = images_NHWC.shape[3]
    settings = ClassifierSettings(
        steps=chosen.steps,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        width=chosen.width,
        augment=chosen.augment == "affine",
        flip=channels == 3 if chosen.flip is None else chosen.flip,
        balanced=chosen.balanced,
    )
    device = "cuda" if gpu else "cpu"
    model = train_classifier(images_NHWC, label_N, classes, settings, seed, device)
    record: TrainingRecord = {
        "arm": job.arm,
        "seed": job.seed,
        "accuracy": accuracy(model, test.images_NHWC, test.label_N, device),
        "added": int(rows.size),
    }
    write_json(results, job.name, record)


def _share(
    references: pa.Table, test: pa.Table, filtered: Folder, image: ImageShape, config: Config
) -> tuple[Any, Any, Any]:
    """References, test and pool as pixels in Ray's object store, once for all trainings."""
    limits = limits_of(config.image)
    pool = _load_pool(filtered, image, limits, config)
    return (
        share(_pixels(references, image, limits)),
        share(_pixels(test, image, limits)),
        share(pool),
    )


def _pixels(table: pa.Table, image: ImageShape, limits: Limits) -> Images:
    data = image_bytes(table)
    images_NHWC = decode_real(table["id"].to_pylist(), data, image, limits)
    return Images(images_NHWC=images_NHWC, label_N=np.asarray(table["label"]))


def _load_pool(filtered: Folder, image: ImageShape, limits: Limits, config: Config) -> LabelledPool:
    """The judged images that any arm needs, an even draw of them where they are too many."""
    files = load_files(filtered)
    shards = files.get(ACCEPTED, []) + files.get(REJECTED, [])
    total = sum(shard.rows for shard in shards)
    share = config.classify.max_images / total if total > config.classify.max_images else 1.0
    images = [np.zeros((0, *image.pixels), np.uint8)]
    labels, accepted = [np.zeros(0, np.int64)], [np.zeros(0, bool)]
    entries: list[str] = []
    names = config.pool_names()
    for number, shard in enumerate(shards):
        table = read_table(filtered, shard.path, columns=["id", "image", "label", "verdict"])
        if share < 1:
            draw = np.random.default_rng([config.seed, POOL_DRAW, number])
            table = table.take(pa.array(np.flatnonzero(draw.random(table.num_rows) < share)))
        data = image_bytes(table)
        images.append(decode_batch(data, image, limits)[0])
        labels.append(np.asarray(table["label"]))
        accepted.append(np.array(table["verdict"].to_pylist()) == ACCEPTED)
        entries += [_entry_of(id_, names) for id_ in table["id"].to_pylist()]
    return LabelledPool(
        images_NHWC=np.concatenate(images),
        label_N=np.concatenate(labels).astype(np.int64),
        accepted_N=np.concatenate(accepted),
        entry_N=np.array(entries, object),
    )


def _entry_of(id_: str, names: list[str]) -> str:
    """The pool entry whose name an id begins with."""
    return next((name for name in names if id_.startswith(f"{name}/")), "")


def _seed(run: int, training: int) -> int:
    text = f"{run} {training}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big")
