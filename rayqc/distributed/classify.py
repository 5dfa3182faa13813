"""The classifier stage on Ray: one task trains and tests one classifier, of one arm and seed.

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
from rayqc.config.settings_from import settings_from
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.tasks import put_shared, run_tasks
from rayqc.images.decode import Limits, decode_batch, limits_of
from rayqc.images.look import ImageShape
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
    """One training: its arm and its seed."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the file that holds the training's record."""
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
    """Train and test a classifier for each arm and seed; finished trainings are not repeated.

    Args:
        references: columns id, label, image; so is `test`.
        filtered: a finished filter's output.
        results: folder of one record file for each training.

    Returns:
        One record for each training: arm, seed, accuracy, images added to the references.
    """
    arms = arms_of(config)
    jobs = [Job(arm=arm, seed=seed) for seed in range(config.classify.seeds) for arm in arms]
    finished_names = set(results.names())
    unfinished = [job for job in jobs if job.name not in finished_names]
    with progress.stage("classify", len(jobs), "trainings") as stage:
        if len(unfinished) < len(jobs):
            stage.skip(len(jobs) - len(unfinished))
        if unfinished:
            image_refs = _put_images(references, test, filtered, image, config)
            gpu = gpus_wanted(config.resources.use_gpu)
            arguments = [(job, *image_refs, classes, config, gpu, results) for job in unfinished]
            run_tasks(train_arm, arguments, stage, gpu, config.resources.stuck_minutes)
    return [read_json(results, job.name) for job in jobs]


def arms_of(config: Config) -> list[str]:
    """The arms that the settings name; `each` becomes one arm for each pool entry."""
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
    """Train and test one classifier, and write its record to `results`."""
    torch.set_num_threads(1)
    classify = config.classify
    # All arms of a seed start from the same weights, so that differences between arms are paired.
    seed = _seed(config.seed, job.seed)
    rows = arm_rows(job.arm, pool, seed)
    images_NHWC = np.concatenate([references.images_NHWC, pool.images_NHWC[rows]])
    label_N = np.concatenate([references.label_N, pool.label_N[rows]])
    channels = images_NHWC.shape[3]
    settings = settings_from(
        ClassifierSettings,
        classify,
        shrink=1,
        augment=classify.augment == "affine",
        flip=channels == 3 if classify.flip is None else classify.flip,
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


def _put_images(
    references: pa.Table, test: pa.Table, filtered: Folder, image: ImageShape, config: Config
) -> tuple[Any, Any, Any]:
    """Pixels of references, test images and pool, put in Ray's object store once for all jobs."""
    limits = limits_of(config.image)
    pool = _load_pool(filtered, image, limits, config)
    return (
        put_shared(_pixels(references, image, limits)),
        put_shared(_pixels(test, image, limits)),
        put_shared(pool),
    )


def _pixels(table: pa.Table, image: ImageShape, limits: Limits) -> Images:
    data = image_bytes(table)
    images_NHWC = decode_real(table["id"].to_pylist(), data, image, limits)
    return Images(images_NHWC=images_NHWC, label_N=np.asarray(table["label"]))


def _load_pool(filtered: Folder, image: ImageShape, limits: Limits, config: Config) -> LabelledPool:
    """Accepted and rejected images, or a random draw of about `classify.max_images` of them."""
    files = load_files(filtered)
    shards = files.get(ACCEPTED, []) + files.get(REJECTED, [])
    total_rows = sum(shard.rows for shard in shards)
    drawn_share = (
        config.classify.max_images / total_rows if total_rows > config.classify.max_images else 1.0
    )
    images = [np.zeros((0, *image.pixels), np.uint8)]
    labels, accepted = [np.zeros(0, np.int64)], [np.zeros(0, bool)]
    entries: list[str] = []
    entry_names = config.pool_names()
    for shard_number, shard in enumerate(shards):
        table = read_table(filtered, shard.path, columns=["id", "image", "label", "verdict"])
        if drawn_share < 1:
            rng = np.random.default_rng([config.seed, POOL_DRAW, shard_number])
            table = table.take(pa.array(np.flatnonzero(rng.random(table.num_rows) < drawn_share)))
        data = image_bytes(table)
        images.append(decode_batch(data, image, limits)[0])
        labels.append(np.asarray(table["label"]))
        accepted.append(np.array(table["verdict"].to_pylist()) == ACCEPTED)
        entries += [_entry_of(id_, entry_names) for id_ in table["id"].to_pylist()]
    return LabelledPool(
        images_NHWC=np.concatenate(images),
        label_N=np.concatenate(labels).astype(np.int64),
        accepted_N=np.concatenate(accepted),
        entry_N=np.array(entries, object),
    )


def _entry_of(id_: str, entry_names: list[str]) -> str:
    """The pool entry whose name an id begins with; empty where there is none."""
    return next((name for name in entry_names if id_.startswith(f"{name}/")), "")


def _seed(run_seed: int, job_seed: int) -> int:
    key = f"{run_seed} {job_seed}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:6], "big")
