"""New verdicts from stored scores; no image is decoded or encoded."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.config.base import Statistic
from rayqc.errors import InputError
from rayqc.ledger.manifest import Totals, load_files, load_totals
from rayqc.ledger.plan import MANIFEST, clear
from rayqc.pipeline.rewrite import rewrite, work_of
from rayqc.printable import percentage
from rayqc.regions import FittedRegions, Regions
from rayqc.regions.base import verdicts_of
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.conformal import least_scores, rank_of
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.report.acceptance import stored_scores
from rayqc.storage import Folder, digest
from rayqc.verdicts import ERROR, LEFT_OUT, REJECTED

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """Everything that decides a new verdict."""

    fitted: FittedRegions
    statistics: StatisticChoice
    coverage: float

    def __call__(self, table: pa.Table) -> pa.Table:
        """The table with new verdicts; rows of errors stay as they are."""
        error_N = np.asarray(pc.equal(table["verdict"], ERROR))
        row_numbers = np.flatnonzero(~error_N)
        readable = (
            table if row_numbers.size == table.num_rows else table.take(pa.array(row_numbers))
        )
        stored = stored_scores(readable, self.statistics)
        rejudged = self.fitted.regions.rejudge(stored, self.coverage)
        verdict_N, reason_N = verdicts_of(rejudged.score_N, rejudged.decided_by_N)
        new_columns: dict[str, Any] = {
            "score": rejudged.score_N,
            "decided_by": rejudged.decided_by_N,
            "verdict": verdict_N,
            "reason": reason_N,
        }
        if rejudged.p_value_N is not None:
            new_columns["p_value"] = rejudged.p_value_N
        for name, values_N in new_columns.items():
            column_number = table.schema.get_field_index(name)
            field = table.schema.field(column_number)
            column = pa.array(values_N, field.type, from_pandas=True)
            if row_numbers.size < table.num_rows:
                column = pc.replace_with_mask(
                    table[name].combine_chunks(), pa.array(~error_N), column
                )
            table = table.set_column(column_number, field, column)
        return table


def warn_beyond(regions: Regions, coverage: float) -> None:
    """Say where a coverage is beyond what the regions' scores can hold."""
    if not isinstance(regions, CalibratedRegions) or regions.guarantee.tail:
        return
    scores = regions.guarantee.scores
    if rank_of(scores, coverage) > scores:
        logger.warning(
            "%d scores calibrate, and %s needs %s: the largest is the threshold, as at %s",
            scores,
            percentage(coverage),
            f"{least_scores(coverage):,}" if coverage < 1 else "more than there can be",
            percentage(scores / (scores + 1)),
        )


def decide_again(
    source: Folder,
    out: Folder,
    fitted: FittedRegions,
    coverage: float,
    statistic: Statistic | None,
    scores_only: bool,
    redo: bool,
) -> Totals:
    """Write new verdicts of `source`, a finished filter's output, to `out` in the same layout.

    Args:
        statistic: what all images are judged by; None leaves each pool entry its own.
        scores_only: write no images.

    Raises:
        InputError: `source` is not finished, or lacks images or scores that are needed.
        ConflictError: `source` was judged by other regions, or `out` holds other work.
    """
    work = work_of(source, fitted)
    if statistic is not None and len(getattr(fitted.regions, "scorers", ())) > 1:
        raise InputError(
            "regions of promise cv+ keep p-values for the statistic in force only; filter again "
            f"with the pool entry's `statistic: {statistic}`"
        )
    warn_beyond(fitted.regions, coverage)
    files = load_files(source)
    totals = load_totals(source)
    if not scores_only and totals.outcomes.get(REJECTED) and REJECTED not in files:
        raise InputError(
            f"{source} keeps no rejected images (filter.keep_rejected: none), so they cannot be "
            "taken back; use --scores-only, or filter the pool again"
        )
    for reason in LEFT_OUT:
        if reason in totals.reasons:
            logger.warning("refilter chooses no set: what was %s is judged anew", reason)
    if redo:
        clear(out)
    statistics = (
        StatisticChoice(default=statistic) if statistic else StatisticChoice(**work["statistics"])
    )
    ledger_claim = {
        "stage": "refilter",
        "from": digest(source.read(MANIFEST)),
        "coverage": coverage,
        "statistic": statistic,
        "scores_only": scores_only,
        "regions_digest": fitted.digest,
        "statistics": asdict(statistics),
    }
    judge = _Judge(fitted=fitted, statistics=statistics, coverage=coverage)
    classes = fitted.regions.classes
    new_totals = rewrite(source, out, judge, ledger_claim, classes, scores_only)
    logger.info("refilter: %s", new_totals)
    return new_totals
