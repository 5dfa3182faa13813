"""The classifier stage on Ray: one task trains and tests one classifier, of one arm and seed.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import torch

from rayqc.config import Config
from rayqc.config.settings import Classify
from rayqc.config.settings_from import settings_from
from rayqc.distributed.arm_images import put_images
from rayqc.distributed.probe import put_features
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.tasks import run_tasks
from rayqc.images.look import ImageShape
from rayqc.progress import Progress
from rayqc.results import TrainingRecord
from rayqc.storage import Folder, read_json, write_json
from rayqc.training.arms import (
    Images,
    LabelledPool,
    LatentPool,
    Latents,
    arm_rows,
)
from rayqc.training.classifier import ClassifierSettings, accuracy, train_classifier
from rayqc.training.probe import probe_accuracy, train_probe

CNN, PROBE = "cnn", "probe"
"""The kinds of classifiers; see the setting `classify.kind`."""
SEEDS = {CNN: 5, PROBE: 20}
"""Trainings an arm, where the settings name no number."""
LARGEST_OF_CNN = 32
"""Pixels up to which `auto` takes the network."""


def kind_of(settings: Classify, image: ImageShape) -> str:
    """`cnn` or `probe`: that of the settings, or for `auto` what suits the images' size."""
    if settings.kind != "auto":
        return settings.kind
    return CNN if image.size <= LARGEST_OF_CNN else PROBE


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
    model: Folder,
    seen: bool,
    classes: int,
    config: Config,
    progress: Progress,
) -> list[TrainingRecord]:
    """Train and test a classifier for each arm and seed; finished trainings are not repeated.

    Args:
        references: columns id, label, image; so is `test`.
        filtered: a finished filter's output.
        results: folder of one record file for each training.
        image: the run's size and channels.
        model: of the encoder, which probes take their latents from.
        seen: was the encoder trained on the references? Probes then take edge histograms.

    Returns:
        One record for each training: arm, seed, accuracy, images added to the references.
    """
    arms = arms_of(config)
    kind = kind_of(config.classify, image)
    seeds = config.classify.seeds or SEEDS[kind]
    jobs = [Job(arm=arm, seed=seed) for seed in range(seeds) for arm in arms]
    finished_names = set(results.names())
    unfinished = [job for job in jobs if job.name not in finished_names]
    with progress.stage("classify", len(jobs), "trainings") as stage:
        if len(unfinished) < len(jobs):
            stage.skip(len(jobs) - len(unfinished))
        if unfinished:
            minutes = config.resources.stuck_minutes
            if kind == PROBE:
                latent_refs = put_features(
                    references, test, filtered, image, model, seen, config, progress
                )
                probe_jobs = [(job, *latent_refs, classes, config, results) for job in unfinished]
                run_tasks(probe_arm, probe_jobs, stage, minutes=minutes)
            else:
                image_refs = put_images(references, test, filtered, image, config)
                gpu = gpus_wanted(config.resources.use_gpu)
                jobs_left = [
                    (job, *image_refs, classes, config, gpu, results) for job in unfinished
                ]
                run_tasks(train_arm, jobs_left, stage, gpu, minutes)
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
    # All arms of a seed start from the same weights, so that differences between arms are paired.
    seed = _seed(config.seed, job.seed)
    rows = arm_rows(job.arm, pool, seed)
    images_NHWC = np.concatenate([references.images_NHWC, pool.images_NHWC[rows]])
    label_N = np.concatenate([references.label_N, pool.label_N[rows]])
    settings = training_of(config.classify, images_NHWC.shape[3])
    device = "cuda" if gpu else "cpu"
    model = train_classifier(images_NHWC, label_N, classes, settings, seed, device)
    found = accuracy(model, test.images_NHWC, test.label_N, device)
    _write_record(results, job, found, rows)


def training_of(classify: Classify, channels: int) -> ClassifierSettings:
    """How a network is trained on images of so many channels."""
    return settings_from(
        ClassifierSettings,
        classify,
        shrink=1,
        augment=classify.augment == "affine",
        flip=channels == 3 if classify.flip is None else classify.flip,
    )


def probe_arm(
    job: Job,
    references: Latents,
    test: Latents,
    pool: LatentPool,
    classes: int,
    config: Config,
    results: Folder,
) -> None:
    """Train and test one probe, and write its record to `results`."""
    torch.set_num_threads(1)
    seed = _seed(config.seed, job.seed)
    rows = arm_rows(job.arm, pool, seed)
    added = Latents(latent_ND=pool.latent_ND[rows], label_N=pool.label_N[rows])
    found = probe_accuracy(train_probe(references, added, classes, seed), test)
    _write_record(results, job, found, rows)


def _write_record(results: Folder, job: Job, share_right: float, rows: np.ndarray) -> None:
    record: TrainingRecord = {
        "arm": job.arm,
        "seed": job.seed,
        "accuracy": share_right,
        "added": int(rows.size),
    }
    write_json(results, job.name, record)


def _seed(run_seed: int, job_seed: int) -> int:
    key = f"{run_seed} {job_seed}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:6], "big")
