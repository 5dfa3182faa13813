"""Judge sources by a run's encoder and regions; the last steps of every filter and refilter."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from rayqc.config.settings import Filter
from rayqc.distributed.filter import filter_pool
from rayqc.errors import ErrorBudgetExceeded
from rayqc.images.guarded import POISON
from rayqc.ledger.manifest import Totals
from rayqc.pipeline.making import compare_making, record_making
from rayqc.pipeline.run import Run
from rayqc.pipeline.same_content import go_on_with_copies
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.storage import Folder
from rayqc.units import Unit
from rayqc.verdicts import ERROR, LEFT_OUT
from rayqc.work.match_classes import PoolSource

MOST_KEPT = 1_000_000
"""Images of which `filter.keep_latents: auto` keeps the latents."""

logger = logging.getLogger(__name__)

POOL = "the pool"
"""What a pool is called that has no name of its own."""
DECISIVE = ("keep_rejected", "keep_pool", "shard_mb", "max_accepted_per_class", "limit")
"""Settings of the filter that decide what it writes."""


def judge_sources(
    run: Run,
    out: Folder,
    sources: list[PoolSource],
    units: list[Unit],
    statistics: StatisticChoice,
) -> Totals:
    """Judge sources by a run's encoder and regions, into `out`.

    Args:
        units: what to judge; a unit's `entry` is the number of its source in `sources`.

    Raises:
        ConfigError: the regions have no such statistic.
    """
    encoder, regions = run.encoder, run.regions.regions
    if isinstance(regions, CalibratedRegions):
        for statistic in {statistics.default, *statistics.by_entry.values()}:
            regions.refuse_unknown(statistic)
    work: dict[str, Any] = {
        "stage": "filter",
        "encoder_digest": encoder.digest,
        "regions_digest": run.regions.digest,
        "statistics": asdict(statistics),
        "settings": {key: getattr(run.config.filter, key) for key in DECISIVE},
        # Levels that no earlier version knew are left out, so that its work goes on.
        "limits": {name: value for name, value in asdict(run.limits).items() if value is not None},
    }
    images = sum(unit.count() for unit in units)
    kept = keeps_latents(run.config.filter, images)
    latent_dim = encoder.network.latent_dim if kept else None
    if latent_dim is not None:
        work["settings"]["keep_latents"] = True
    made_otherwise = {
        source.prefix or POOL: compare_making(
            run,
            source.prefix or POOL,
            source.source,
            [unit for unit in units if unit.entry == number],
        )
        for number, source in enumerate(sources)
        if source.prefix or out != run.filtered  # not the run's own candidates, in the run's size
    }
    go_on_with_copies(out, sources, units, run.limits.max_bytes, run.progress)
    totals = filter_pool(
        run.folder,
        out,
        sources,
        units,
        run.config,
        statistics,
        latent_dim,
        work,
        encoder.classes,
        run.progress,
    )
    record_making(out, {name: found for name, found in made_otherwise.items() if found})
    logger.info("filter: %s", totals)
    return totals


def keeps_latents(settings: Filter, images: int) -> bool:
    """Whether the latents of so many images are kept; see `filter.keep_latents`."""
    asked = settings.keep_latents
    return images <= MOST_KEPT if asked == "auto" else asked


def refuse_many_errors(totals: Totals, run: Run) -> None:
    """Refuse, once all is written, output with too many images that could not be judged.

    Raises:
        ErrorBudgetExceeded: more images than allowed could not be judged, or an image killed its
            process.
    """
    limit = run.config.filter.max_error_share
    if totals.error_share > limit or totals.reasons.get(POISON):
        error_reasons = ", ".join(
            f"{count:,} {reason}"
            for reason, count in totals.reasons.items()
            if not reason.endswith("_region") and reason not in LEFT_OUT
        )
        killers = totals.reasons.get(POISON, 0)
        killed = f"; {killers:,} took the process down" if killers else ""
        raise ErrorBudgetExceeded(
            f"finished and written, but {totals.outcomes[ERROR]:,} of {totals.read:,} images "
            f"could not be judged ({error_reasons}): {totals.error_share:.1%}, and "
            f"filter.max_error_share is {limit:.1%}{killed}; `rayqc list --errors` on the output "
            "shows them"
        )
