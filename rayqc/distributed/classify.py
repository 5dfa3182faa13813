"""The classifier stage on Ray: one task trains and tests one classifier, of one arm and seed."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import torch

from rayqc.config import Config
from rayqc.config.encoder import COLUMN
from rayqc.config.settings import Classify
from rayqc.distributed.classifiers.base import ArmInputs, ClassifierKind, Training
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.tasks import run_tasks
from rayqc.images.look import ImageShape
from rayqc.kinds import CLASSIFIERS
from rayqc.ledger.plan import MANIFEST
from rayqc.results import TrainingRecord
from rayqc.storage import Folder, digest, read_json, write_json
from rayqc.training.arms import Judged, arm_rows
from rayqc.work.known_images import content_of, contents_of, digests_of

logger = logging.getLogger(__name__)

MADE_BY = "_made_by"
"""File beside the records: all that decides them but arms and seeds."""
LARGEST_OF_CNN = 32
"""Pixels up to which `auto` takes the network."""


def kind_of(settings: Classify, image: ImageShape) -> str:
    """Name of the classifiers' kind: that of the settings, or for `auto` what suits the images."""
    if settings.kind != "auto":
        return settings.kind
    return "cnn" if image.size <= LARGEST_OF_CNN else "probe"


def trainings_an_arm(settings: Classify, kind: str) -> int:
    """Seeds of each arm: as set, or the kind's own number."""
    record: ClassifierKind = CLASSIFIERS[kind]
    return settings.seeds or record.seeds


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training: its arm and its seed."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the file that holds the training's record."""
        return f"{quote(self.arm, safe='')}-{self.seed}.json"


def run_arms(inputs: ArmInputs, results: Folder) -> list[TrainingRecord]:
    """Train and test a classifier for each arm and seed; finished trainings are not repeated.

    Args:
        inputs: what the arms are made of.
        results: folder of one record file for each training.

    Returns:
        One record for each training: arm, seed, accuracy, images added to the references.

    Raises:
        ConfigError: the kind of classifier cannot be trained with this encoder.
    """
    config = inputs.config
    name = kind_of(config.classify, inputs.image)
    kind: ClassifierKind = CLASSIFIERS[name]
    seeds = trainings_an_arm(config.classify, name)
    _claim(results, _work_of(inputs, name))
    jobs = [Job(arm=arm, seed=seed) for seed in range(seeds) for arm in arms_of(config)]
    finished_names = set(results.names())
    unfinished = [job for job in jobs if job.name not in finished_names]
    with inputs.progress.stage("classify", len(jobs), "trainings") as stage:
        if len(unfinished) < len(jobs):
            stage.skip(len(jobs) - len(unfinished))
        if unfinished:
            gpu = kind.uses_gpu and gpus_wanted(config.resources.use_gpu)
            data_refs = kind.put(inputs)
            left = [
                (job, name, *data_refs, inputs.classes, config, inputs.model, gpu, results)
                for job in unfinished
            ]
            run_tasks(_train_arm, left, stage, gpu, config.resources.stuck_minutes)
    return [read_json(results, job.name) for job in jobs]


def _work_of(inputs: ArmInputs, name: str) -> dict[str, Any]:
    """All that decides what trainings find, beside their arms and seeds."""
    config = inputs.config
    return {
        "kind": name,
        "settings": config.classify.model_dump(mode="json", exclude={"kind", "arms", "seeds"}),
        "seed": config.seed,
        "judged": digest(inputs.filtered.read(MANIFEST)),
        **{part: _content(getattr(inputs, part), config) for part in ("references", "test")},
    }


def _content(table: pa.Table, config: Config) -> str:
    """Digest of images, their ids and labels, and of latents that came with them.

    Latents of an encoder are its own.
    """
    of_row = contents_of if config.encoder.kind == COLUMN else digests_of
    return content_of(table["id"].to_pylist(), table["label"].to_pylist(), of_row(table))


def _claim(results: Folder, work: dict[str, Any]) -> None:
    """Keep the records that this work made; others are cleared."""
    names = results.names()
    if MADE_BY in names and read_json(results, MADE_BY) == work:
        return
    if names:
        logger.warning(
            "%s: its trainings were with other settings or images, so all are done anew", results
        )
    results.delete(names)
    write_json(results, MADE_BY, work)


def arms_of(config: Config) -> list[str]:
    """The arms that the settings name; `each` becomes one arm for each pool entry."""
    arms: list[str] = [arm for arm in config.classify.arms if arm != "each"]
    if "each" in config.classify.arms:
        arms += [f"accepted:{name}" for name in config.pool_names()]
    return arms


def _train_arm(
    job: Job,
    name: str,
    references: Any,
    test: Any,
    pool: Judged,
    classes: int,
    config: Config,
    model: Folder,
    gpu: bool,
    results: Folder,
) -> None:
    """Train and test one classifier, and write its record to `results`."""
    torch.set_num_threads(1)
    kind: ClassifierKind = CLASSIFIERS[name]
    # All arms of a seed start from the same weights, so that differences between arms are paired.
    seed = _seed(config.seed, job.seed)
    rows = arm_rows(job.arm, pool, seed)
    training = Training(
        references=references,
        test=test,
        pool=pool,
        rows=rows,
        classes=classes,
        settings=config.classify,
        model=model,
        trusted=config.encoder.target,
        seed=seed,
        device="cuda" if gpu else "cpu",
    )
    record: TrainingRecord = {
        "arm": job.arm,
        "seed": job.seed,
        "accuracy": kind.accuracy(training),
        "added": int(rows.size),
    }
    write_json(results, job.name, record)


def _seed(run_seed: int, job_seed: int) -> int:
    key = f"{run_seed} {job_seed}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:6], "big")
