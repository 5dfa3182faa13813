"""The filter on Ray: units through actors, then shards and the manifest."""

from __future__ import annotations

import functools
from typing import Any

from rayqc.config import Config
from rayqc.config.settings import Filter
from rayqc.distributed.filter_work import UNKNOWN, FilterSpec, FilterWorker, PoolSource
from rayqc.distributed.reduce import compact
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.units import run_units
from rayqc.errors import InputError
from rayqc.images.decode import limits_of
from rayqc.ledger.manifest import Totals
from rayqc.ledger.plan import start_or_resume
from rayqc.progress import Progress
from rayqc.regions.statistics import Statistics
from rayqc.schema import score_schema, verdict_schema
from rayqc.sources import Source
from rayqc.storage import Folder
from rayqc.units import Unit

IMAGE_KINDS = ("accepted", "rejected", "error")


def match_classes(source: Source, prefix: str, classes: tuple[str, ...]) -> PoolSource:
    """A pool whose classes are matched to the references' by name.

    Raises:
        InputError: not one class in common.
    """
    index = {name: label for label, name in enumerate(classes)}
    to_class = tuple(index.get(name, UNKNOWN) for name in source.classes)
    if all(label == UNKNOWN for label in to_class):
        raise InputError(
            f"the pool shares no class with the references: it has {_few(source.classes)}, "
            f"they have {_few(classes)}; classes are matched by name"
        )
    return PoolSource(source=source, prefix=prefix, to_class=to_class)


def filter_pool(
    run: Folder,
    out: Folder,
    sources: list[PoolSource],
    units: list[Unit],
    config: Config,
    statistics: Statistics,
    work: dict[str, Any],
    classes: tuple[str, ...],
    progress: Progress,
) -> Totals:
    """Judge every image of the sources and write accepted, rejected, errors and scores.

    Args:
        run: a fitted run.
        out: where the work goes.
        units: what to judge; `entry` counts the sources.
        statistics: which statistic judges which images.
        work: what decides the result besides the input, for the ledger.

    Returns:
        Totals of the balanced ledger.
    """
    settings = config.filter
    units = start_or_resume(out, work, units)
    gpu = gpus_wanted(config.resources.use_gpu)
    spec = FilterSpec(
        out=out,
        model=run.sub("model"),
        trusted=config.encoder.target,
        regions=run.sub("regions"),
        sources=tuple(sources),
        limits=limits_of(config.image),
        micro_batch=settings.micro_batch,
        keep=tuple(kind for kind in IMAGE_KINDS if kind not in _dropped(settings)),
        statistics=statistics,
        device="cuda" if gpu else "cpu",
        precision=config.encoder.precision,
    )
    make_worker = functools.partial(FilterWorker, spec)
    run_units(out, units, make_worker, config, gpu, progress, "filter")
    schemas = dict.fromkeys(spec.keep, verdict_schema(classes))
    schemas["scores"] = score_schema(classes)
    return compact(
        out, units, schemas, classes, settings.shard_mb, settings.max_accepted_per_class, progress
    )


def _dropped(settings: Filter) -> set[str]:
    """Verdicts whose images are not written."""
    dropped = {"accepted", "rejected", "error"} if settings.keep_pool == "none" else set()
    if settings.keep_rejected == "none" or settings.keep_pool == "accepted":
        dropped.add("rejected")
    return dropped


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
