"""`rayqc evaluate`: measures the filter draw by draw; draws measured before are not repeated."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import yaml

from rayqc.config import Data, differences
from rayqc.config.evaluation import DataSet, Evaluation
from rayqc.distributed.session import session
from rayqc.distributed.tasks import put_shared, run_tasks
from rayqc.errors import ConflictError, InputError
from rayqc.experiments.detection import fresh_of
from rayqc.experiments.draws import RealData
from rayqc.experiments.plan import Job, plan
from rayqc.experiments.table3.plot import table3_plot
from rayqc.experiments.tables import summarise, tables
from rayqc.images.decode import Limits, decode_batch
from rayqc.images.deep import levels_of
from rayqc.images.faults import FAULTS_VERSION, SEVERITY
from rayqc.images.look import ImageShape
from rayqc.images.references import decode_real, infer_shape, values_of_all
from rayqc.ledger.owner import own
from rayqc.live import usual_progress
from rayqc.printable import counted
from rayqc.progress import Progress
from rayqc.results import EvaluateResult
from rayqc.schema import image_bytes
from rayqc.shown.commands import evaluated
from rayqc.shown.displayed import shown_by
from rayqc.sources import open_source
from rayqc.sources.select import match_labels, read_all
from rayqc.storage import Folder, read_json, write_json
from rayqc.training.arms import Images
from rayqc.version import __version__

logger = logging.getLogger(__name__)

SETTINGS = "evaluation.yaml"
RESULT = "evaluation.json"
TABLES = "evaluation.md"
PLOT = "table3.png"
MOST_FOREIGN = 2000
GROWS = (
    "detection.draws",
    "detection.development",
    "accuracy.draws",
    "accuracy.pools",
    "data",
    "table3.cells",
)
"""Settings that may change between calls: they add draws and do not change measured ones."""


@shown_by(evaluated)
def evaluate(
    settings: Evaluation,
    out: str,
    *,
    limit: int | None = None,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> EvaluateResult:
    """Measure the draws that are not measured yet, then write tables of all measured draws.

    Args:
        limit: measure at most this many draws; another call measures the rest.

    Returns:
        The content of `evaluation.json`.

    Raises:
        ConflictError: `out` holds draws measured with other settings.
    """
    folder = Folder(out)
    with own(folder):
        return _evaluate(folder, settings, limit, address, num_cpus, progress or usual_progress())


def _evaluate(
    folder: Folder,
    settings: Evaluation,
    limit: int | None,
    address: str,
    num_cpus: int | None,
    progress: Progress,
) -> EvaluateResult:
    _claim(folder, settings)
    _take_up(folder)
    jobs = plan(settings)
    measured_names = set(folder.names("draws"))
    pending = [job for job in jobs if job.name not in measured_names][:limit]
    done = [job for job in jobs if job.name in measured_names]
    with progress.stage("evaluate", len(done) + len(pending), "draws") as stage:
        if done:
            stage.skip(len(done))
        if pending:
            with session(address, num_cpus):
                data_names = {job.data for job in pending}
                data_by_name = {
                    data.name: put_shared(_loaded(data, settings))
                    for data in settings.data
                    if data.name in data_names
                }
                task_arguments = [
                    (job.function, data_by_name[job.data], job.arguments, folder, job.name)
                    for job in pending
                ]
                try:
                    run_tasks(_measure, task_arguments, stage)
                except BaseException:  # an interrupted evaluation has tables of what it measured
                    with suppress(InputError):
                        _conclude(folder, settings, jobs)
                    raise
    return _conclude(folder, settings, jobs)


def _measure(
    function: Callable[..., Any],
    data: RealData,
    arguments: tuple[Any, ...],
    folder: Folder,
    name: str,
) -> None:
    write_json(folder, name, {"data": data.name, **function(data, *arguments)})


def _loaded(data: DataSet, settings: Evaluation) -> RealData:
    """A data set that has images enough for what is measured on it."""
    real = load(data)
    detection = settings.detection
    if detection is not None:
        fresh = fresh_of(real.test.label_N.size, detection, data.name)
        if fresh < detection.fresh:
            logger.warning(
                "%s: %s stay genuine beside the faulty ones, of %s that detection.fresh asks for",
                data.name,
                counted(fresh, "test image"),
                f"{detection.fresh:,}",
            )
    return real


def load(data: DataSet) -> RealData:
    """A data set's images, decoded to the shape that its reference images need.

    Raises:
        InputError: the data set has only one class.
    """
    source = open_source(data.references)
    if len(source.classes) < 2:
        raise InputError(f"data set {data.name} has one class; faults need two or more")
    reference_table = read_all(source)
    limits = Limits(levels=levels_of(values_of_all(image_bytes(reference_table), Limits())))
    first_images = list(
        zip(
            reference_table["id"].to_pylist()[:100], image_bytes(reference_table)[:100], strict=True
        )
    )
    shape = infer_shape(first_images, limits, None, None)
    test_source = open_source(data.test, split="test")
    test_table = match_labels(read_all(test_source), test_source.classes, source.classes)
    return RealData(
        name=data.name,
        classes=source.classes,
        train=_decode(reference_table, shape, limits),
        test=_decode(test_table, shape, limits),
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
    """Write the settings, or refuse them if the folder's draws were measured with others."""
    record = {
        **settings.model_dump(mode="json"),
        "rayqc_version": __version__,
        "faults_version": FAULTS_VERSION,
    }
    if folder.exists(SETTINGS):
        old = yaml.safe_load(folder.read(SETTINGS))
        changed = [
            change for change in differences(old, record) if not change.startswith(GROWS)
        ] + _compared_more(old, record)
        for line in _other_data(old, record):
            logger.warning("%s; what was measured is taken for draws of the same images", line)
        if changed:
            raise ConflictError(
                f"{folder} holds draws measured otherwise ({'; '.join(changed)}); use another --out"
            )
    folder.write(SETTINGS, yaml.safe_dump(record, sort_keys=False).encode())


def _compared_more(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Cells of table3 in which small networks are asked in draws that were measured without."""
    cells = [(tree.get("table3") or {}).get("cells") or [] for tree in (old, new)]
    before, now = ({_cell_name(cell): cell.get("compared") for cell in part} for part in cells)
    return [
        f"table3, {name}: compared: {before[name]} -> {now[name]}"
        for name in now
        if before.get(name) is not None and (now[name] is None or now[name] > before[name])
    ]


def _cell_name(cell: dict[str, Any]) -> str:
    """What tells a cell from others: all but how often it is drawn and compared."""
    told = {key: value for key, value in cell.items() if key not in ("compared", "draws")}
    return " ".join(f"{key} {value}" for key, value in sorted(told.items()) if value is not None)


def _other_data(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Changes of data sets that were there before; they may lie elsewhere now."""
    before = {data["name"]: data for data in old.get("data") or []}
    return [
        change
        for data in new.get("data") or []
        if data["name"] in before
        for change in differences(before[data["name"]], data, f"data {data['name']}")
    ]


def _take_up(folder: Folder) -> None:
    """Write the draws that `evaluation.json` tells of and the folder lacks.

    An evaluation then goes on elsewhere from `evaluation.yaml` and `evaluation.json` alone.
    """
    if not folder.exists(RESULT):
        return
    there = set(folder.names("draws"))
    for name, record in read_json(folder, RESULT).get("records", {}).items():
        if name not in there:
            write_json(folder, name, record)


def _conclude(folder: Folder, settings: Evaluation, jobs: list[Job]) -> EvaluateResult:
    if not jobs:
        raise InputError("nothing to evaluate: detection, accuracy and table3 are all left out")
    there = set(folder.names("draws"))
    records = {job.name: read_json(folder, job.name) for job in jobs if job.name in there}
    if not records:
        raise InputError(f"{folder} has no measured draw yet")
    result = {
        "rayqc_version": __version__,
        "faults_version": FAULTS_VERSION,
        "faults": SEVERITY,
        **summarise(list(records.values()), settings.first_draw),
        "records": records,
    }
    write_json(folder, RESULT, result)
    folder.write(TABLES, tables(result).encode())
    if result["table3"]:
        folder.write(PLOT, table3_plot(result["table3"]))
    return result
