"""Sources through a run's encoder and regions, and the closing steps of whatever was judged."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import cast

from rayqc.distributed.filter import filter_pool
from rayqc.errors import ErrorBudgetExceeded
from rayqc.kinds import OUTPUTS
from rayqc.ledger.manifest import Totals
from rayqc.ledger.plan import LEDGER
from rayqc.pipeline.run import Run
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.report.acceptance import acceptance_facts, starved
from rayqc.report.base import JudgedPool, Output
from rayqc.results import FilterResult, LedgerResult
from rayqc.storage import Folder, read_json
from rayqc.units import Unit
from rayqc.verdicts import ERROR
from rayqc.work.filter_unit import POISON
from rayqc.work.match_classes import PoolSource

logger = logging.getLogger(__name__)

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
        units: what to judge; `entry` counts the sources.
    """
    encoder = run.encoder
    work = {
        "stage": "filter",
        "encoder_digest": encoder.digest,
        "regions_digest": run.regions.digest,
        "statistics": asdict(statistics),
        "settings": {key: getattr(run.config.filter, key) for key in DECISIVE},
        "limits": asdict(run.limits),
    }
    totals = filter_pool(
        run.folder,
        out,
        sources,
        units,
        run.config,
        statistics,
        work,
        encoder.classes,
        run.progress,
    )
    logger.info("filter: %s", totals)
    return totals


def conclude(
    run: Run, judged: Folder, totals: Totals, *, coverage: float, own: bool
) -> FilterResult:
    """What was accepted of each class, warnings of starved ones, and the pictures.

    Args:
        judged: a finished filter's or refilter's output.
        coverage: that it was judged at.
        own: is it the run's own pool? Its pictures go to the run folder, and there are more.
    """
    statistics = StatisticChoice(**read_json(judged, LEDGER)["statistics"])
    fitted = run.regions
    facts = acceptance_facts(judged, fitted.regions, statistics, len(fitted.neighbours.ids))
    for line in starved(facts):
        logger.warning(line)
    pool = JudgedPool(
        folder=judged,
        totals=totals,
        classes=fitted.regions.classes,
        acceptance=facts,
        coverage=coverage,
        limits=run.limits,
        has_images=run.config.filter.keep_pool != "none",
    )
    place = run.folder if own else judged
    for file, record in OUTPUTS.items():
        output: Output = record
        if output.suits(own, pool.has_images):
            place.write(file, output.make(pool))
    return cast("FilterResult", {**asdict(totals), "acceptance": facts})


def ledger_of(totals: FilterResult) -> LedgerResult:
    """The totals in a filter's result."""
    return cast("LedgerResult", {k: v for k, v in totals.items() if k != "acceptance"})


def refuse_many_errors(totals: Totals, run: Run) -> None:
    """Called when all is written.

    Raises:
        ErrorBudgetExceeded: more images than are allowed could not be judged, or one killed its
            process.
    """
    most = run.config.filter.max_error_share
    if totals.error_share > most or totals.reasons.get(POISON):
        wrong = {k: v for k, v in totals.reasons.items() if not k.endswith("_region")}
        raise ErrorBudgetExceeded(
            f"finished and written, but {totals.outcomes[ERROR]:,} of {totals.read:,} images "
            f"could not be judged: {totals.error_share:.1%}, filter.max_error_share is {most:.1%} "
            f"and no image may kill its process; {wrong}; see errors/ in the output"
        )
