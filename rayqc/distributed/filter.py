"""The filter on Ray: units through actors, then shards and the manifest."""

from __future__ import annotations

import functools

from rayqc.config import Config
from rayqc.config.settings import Filter
from rayqc.distributed.reduce import compact
from rayqc.distributed.resources import actors_per_gpu, cpus_per_gpu, gpus_wanted
from rayqc.distributed.units import run_units
from rayqc.generators.sampled import SampledSource
from rayqc.images.decode import limits_of
from rayqc.ledger.manifest import Totals
from rayqc.ledger.plan import Work, start_or_resume
from rayqc.progress import Progress
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.schema import SEEN_FIELDS, score_schema, verdict_schema
from rayqc.storage import Folder
from rayqc.units import Unit
from rayqc.verdicts import ACCEPTED, REJECTED, VERDICTS
from rayqc.work.filter_unit import FilterSpec, FilterWorker
from rayqc.work.match_classes import PoolSource


def filter_pool(
    run: Folder,
    out: Folder,
    sources: list[PoolSource],
    units: list[Unit],
    config: Config,
    statistics: StatisticChoice,
    latent_dim: int | None,
    work: Work,
    classes: tuple[str, ...],
    progress: Progress,
) -> Totals:
    """Judge every image of the sources and write accepted, rejected, errors and scores.

    Args:
        run: a fitted run.
        out: folder of the filter's ledger and shards.
        units: what to judge; their `entry` is an index into `sources`.
        statistics: which statistic judges which images.
        latent_dim: D of the encoder's latents, if they are to be kept; None keeps none.
        work: settings and digests that decide the result besides the input; the ledger keeps them.

    Returns:
        Totals of the balanced ledger.
    """
    settings = config.filter
    units = start_or_resume(out, work, units)
    gpu = gpus_wanted(config.resources.use_gpu)
    # A generator that makes the pool here has the GPU's memory to itself and its encoder.
    shared = not any(isinstance(part.source, SampledSource) for part in sources)
    a_gpu = (actors_per_gpu(settings.actors) if shared else 1) if gpu else 0
    spec = FilterSpec(
        out=out,
        model=run.sub("model"),
        trusted=config.encoder.target,
        regions=run.sub("regions"),
        run=run,
        sources=tuple(sources),
        limits=limits_of(config.image),
        micro_batch=settings.micro_batch,
        keep=tuple(kind for kind in VERDICTS if kind not in _dropped(settings)),
        statistics=statistics,
        keep_latents=latent_dim is not None,
        device="cuda" if gpu else "cpu",
        threads=max(1, cpus_per_gpu() // a_gpu) if gpu else 1,
        precision=config.encoder.precision,
    )
    make_worker = functools.partial(FilterWorker, spec)
    run_units(out, units, make_worker, config, a_gpu, progress, "filter")
    schemas = dict.fromkeys(spec.keep, verdict_schema(classes))
    schemas["scores"] = score_schema(classes, latent_dim, [field.name for field in SEEN_FIELDS])
    return compact(
        out, units, schemas, classes, settings.shard_mb, settings.max_accepted_per_class, progress
    )


def _dropped(settings: Filter) -> set[str]:
    """Verdicts whose images are not written."""
    dropped = set(VERDICTS) if settings.keep_pool == "none" else set()
    if settings.keep_rejected == "none" or settings.keep_pool == ACCEPTED:
        dropped.add(REJECTED)
    return dropped
