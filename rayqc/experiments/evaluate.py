"""`rayqc evaluate`: the filter measured draw by draw; what is done is not done again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from rayqc.config import Data, differences
from rayqc.config.evaluation import DataSet, Evaluation
from rayqc.distributed.session import session
from rayqc.distributed.tasks import run_tasks, share
from rayqc.errors import ConflictError, InputError
from rayqc.experiments.accuracy import measure_pool
from rayqc.experiments.detection import measure_draw
from rayqc.experiments.draws import RealData
from rayqc.experiments.tables import summarise, tables
from rayqc.images.decode import ImageShape, Limits, decode_batch
from rayqc.images.faults import FAULTS_VERSION, SEVERITY
from rayqc.images.references import decode_real, infer_shape
from rayqc.ledger.owner import own
from rayqc.progress import Progress
from rayqc.schema import image_bytes
from rayqc.sources import open_source
from rayqc.sources.select import match_labels, read_all
from rayqc.storage import Folder, read_json, write_json
from rayqc.training.arms import Images
from rayqc.version import __version__

SETTINGS = "evaluation.yaml"
RESULT = "evaluation.json"
TABLES = "evaluation.md"
MOST_FOREIGN = 2000
GROWS = ("detection.draws", "detection.development", "accuracy.draws", "accuracy.pools", "data")
"""Settings that add work and leave what is done as it is."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One draw to measure, and where its record is kept."""

    name: str
    function: Callable[..., Any]
    data: str
    arguments: tuple[Any, ...]


def evaluate(
    settings: Evaluation,
    out: str,
    *,
    limit: int | None = None,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure the draws that are not measured yet, then write tables of all that are.

    Args:
        limit: measure so many draws and stop there; running again goes on.

    Returns:
        What `evaluation.json` holds.

    Raises:
        ConflictError: `out` holds draws measured with other settings.
    """
    folder = Folder(out)
    with own(folder):
        return _evaluate(folder, settings, limit, address, num_cpus, progress or Progress())


def _evaluate(
    folder: Folder,
    settings: Evaluation,
    limit: int | None,
    address: str,
    num_cpus: int | None,
    progress: Progress,
) -> dict[str, Any]:
    _claim(folder, settings)
    jobs = plan(settings)
    kept = set(folder.names("draws"))
    left = [job for job in jobs if job.name not in kept][:limit]
    done = [job for job in jobs if job.name in kept]
    with progress.stage("evaluate", len(done) + len(left), "draws") as stage:
        if done:
            stage.skip(len(done))
        if left:
            with session(address, num_cpus):
                wanted = {job.data for job in left}
                loaded = {
                    data.name: share(load(data)) for data in settings.data if data.name in wanted
                }
                arguments = [
                    (job.function, loaded[job.data], job.arguments, folder, job.name)
                    for job in left
                ]
                run_tasks(_measure, arguments, stage)
    return _conclude(folder, settings, [*done, *left])


def _measure(
    function: Callable[..., Any],
    data: RealData,
    arguments: tuple[Any, ...],
    folder: Folder,
    name: str,
) -> None:
    write_json(folder, name, {"data": data.name, **function(data, *arguments)})


def plan(settings: Evaluation) -> list[Job]:
    """All draws, those of few references first."""
    jobs = []
    for data in settings.data:
        if settings.detection is not None:
            chosen = settings.detection
            for per_class, draws in sorted(chosen.draws.items()):
                first = settings.first_draw
                numbers = [*range(chosen.development), *range(first, first + draws)]
                jobs += [
                    Job(
                        name=f"draws/detection-{data.name}-{per_class:04d}-{draw:04d}.json",
                        function=measure_draw,
                        data=data.name,
                        arguments=(per_class, draw, chosen, settings.regions),
                    )
                    for draw in numbers
                ]
        if settings.accuracy is not None:
            for pool in settings.accuracy.pools:
                if pool.startswith("gan") and data.gan is None:
                    continue
                first = settings.first_draw
                jobs += [
                    Job(
                        name=f"draws/accuracy-{data.name}-{pool}-{draw:04d}.json",
                        function=measure_pool,
                        data=data.name,
                        arguments=(pool, draw, settings.accuracy, settings.regions),
                    )
                    for draw in range(first, first + settings.accuracy.draws)
                ]
    # By draw, so that an evaluation that is cut off has some draws of everything.
    return sorted(jobs, key=lambda job: (job.name.rpartition("-")[2], job.name))


def load(data: DataSet) -> RealData:
    """A data set's images, decoded to the shape its references call for.

    Raises:
        InputError: it has one class only.
    """
    source = open_source(data.references)
    if len(source.classes) < 2:
        raise InputError(f"data set {data.name} has one class; faults need two or more")
    limits = Limits()
    table = read_all(source)
    first = list(zip(table["id"].to_pylist()[:100], image_bytes(table)[:100], strict=True))
    shape = infer_shape(first, limits, None, None)
    test_source = open_source(data.test, split="test")
    test = match_labels(read_all(test_source), test_source.classes, source.classes)
    return RealData(
        name=data.name,
        classes=source.classes,
        train=_decode(table, shape, limits),
        test=_decode(test, shape, limits),
        others={name: _foreign(other, shape, limits) for name, other in data.others.items()},
        gan=None if data.gan is None else _gan(data.gan, source.classes, shape, limits),
    )


def _decode(table: Any, shape: ImageShape, limits: Limits) -> Images:
    images_NHWC = decode_real(table["id"].to_pylist(), image_bytes(table), shape, limits)
    return Images(images_NHWC=images_NHWC, label_N=np.asarray(table["label"]))


def _foreign(data: Data, shape: ImageShape, limits: Limits) -> np.ndarray:
    table = read_all(open_source(data, split="test"), MOST_FOREIGN)
    return decode_batch(image_bytes(table), shape, limits)[0]


def _gan(data: Data, classes: tuple[str, ...], shape: ImageShape, limits: Limits) -> Images:
    source = open_source(data)
    return _decode(match_labels(read_all(source), source.classes, classes), shape, limits)


def _claim(folder: Folder, settings: Evaluation) -> None:
    """Keep the settings, or find that they are those the folder's draws were measured with."""
    wanted = {
        **settings.model_dump(mode="json"),
        "rayqc_version": __version__,
        "faults_version": FAULTS_VERSION,
    }
    if folder.exists(SETTINGS):
        changed = [
            change
            for change in differences(yaml.safe_load(folder.read(SETTINGS)), wanted)
            if not change.startswith(GROWS)
        ]
        if changed:
            raise ConflictError(
                f"{folder} holds draws measured otherwise ({'; '.join(changed)}); use another --out"
            )
    folder.write(SETTINGS, yaml.safe_dump(wanted, sort_keys=False).encode())


def _conclude(folder: Folder, settings: Evaluation, jobs: list[Job]) -> dict[str, Any]:
    records = [read_json(folder, job.name) for job in jobs]
    if not records:
        raise InputError("nothing to evaluate: both detection and accuracy are left out")
    found = {
        "rayqc_version": __version__,
        "faults_version": FAULTS_VERSION,
        "faults": SEVERITY,
        **summarise(records, settings.first_draw),
    }
    write_json(folder, RESULT, found)
    folder.write(TABLES, tables(found).encode())
    return found
