"""New verdicts from stored scores; no image is decoded or encoded."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.config.base import Statistic
from rayqc.errors import ConflictError, InputError
from rayqc.ledger.commit import Part, write_part
from rayqc.ledger.compact import OVER_CAP
from rayqc.ledger.manifest import Totals, is_finished, load_files, load_totals, publish
from rayqc.ledger.plan import LEDGER, MANIFEST, Work, clear, start_or_resume
from rayqc.regions import FittedRegions
from rayqc.regions.base import verdicts_of
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.report.acceptance import stored_scores
from rayqc.schema import kept_latent_dim, score_schema, verdict_schema
from rayqc.storage import Folder, digest, read_json, read_table
from rayqc.verdicts import ACCEPTED, ERROR, REJECTED, VERDICTS

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
    work = _work_of(source, fitted)
    if statistic is not None and len(getattr(fitted.regions, "scorers", ())) > 1:
        raise InputError(
            "regions of promise cv+ keep p-values for the statistic in force only; filter again "
            f"with the pool entry's `statistic: {statistic}`"
        )
    files = load_files(source)
    totals = load_totals(source)
    if not scores_only and totals.outcomes.get(REJECTED) and REJECTED not in files:
        raise InputError(
            f"{source} keeps no rejected images (filter.keep_rejected: none), so they cannot be "
            "taken back; use --scores-only, or filter the pool again"
        )
    if OVER_CAP in totals.reasons:
        logger.warning("refilter applies no cap: what was rejected as %s is judged anew", OVER_CAP)
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
    start_or_resume(out, ledger_claim, [])
    if is_finished(out):
        return load_totals(out)
    judge = _Judge(fitted=fitted, statistics=statistics, coverage=coverage)
    new_parts, new_totals = _scores(source, out, files["scores"], judge, totals)
    if not scores_only:
        new_parts += _images(source, out, files, judge)
    publish(out, new_totals, new_parts)
    logger.info("refilter: %s", new_totals)
    return new_totals


def _work_of(source: Folder, fitted: FittedRegions) -> Work:
    if not is_finished(source):
        raise InputError(
            f"{source} holds no finished filter (no _SUCCESS); run `rayqc filter` first"
        )
    work: Work = read_json(source, LEDGER)
    if work.get("regions_digest") != fitted.digest:
        raise ConflictError(
            f"{source} was judged by regions {str(work.get('regions_digest'))[:12]}, the run has "
            f"{fitted.digest[:12]}; give the run that judged it (--judged-by)"
        )
    return work


def _scores(
    source: Folder, out: Folder, parts: list[Part], judge: _Judge, totals: Totals
) -> tuple[list[Part], Totals]:
    """Write new score shards; return them, and totals counted from them."""
    classes = judge.fitted.regions.classes
    new_parts = []
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    by_class: dict[str, Counter[str]] = {}
    for shard_number, part in enumerate(parts):
        table = judge(read_table(source, part.path))
        table = table.cast(score_schema(classes, kept_latent_dim(table.schema)))
        shard_name = f"train-{shard_number:05d}-of-{len(parts):05d}.parquet"
        new_parts.append(write_part(out, "scores", shard_name, table))
        for row in (
            table.group_by(["label", "verdict", "reason"])
            .aggregate([([], "count_all")])
            .to_pylist()
        ):
            count = row["count_all"]
            outcomes[row["verdict"]] += count
            reasons[row["reason"]] += count
            class_name = "" if row["label"] is None else classes[row["label"]]
            by_class.setdefault(class_name, Counter())[row["verdict"]] += count
    new_totals = replace(
        totals,
        outcomes={kind: outcomes[kind] for kind in totals.outcomes},
        reasons=dict(sorted(reasons.items())),
        by_class={name: dict(sorted(by_class[name].items())) for name in sorted(by_class)},
    )
    return new_parts, new_totals


@dataclass(frozen=True, kw_only=True)
class _Move:
    """One image shard of the source, and the new verdicts that its rows have."""

    part: Part
    kinds: tuple[str, ...]


def _images(source: Folder, out: Folder, files: dict[str, list[Part]], judge: _Judge) -> list[Part]:
    """Write new image shards: of each verdict first the rows that had it before, then the others.

    A first pass judges without images, because a shard's name says how many shards its verdict has.
    The second pass reads the images once, and has one shard at a time in memory.
    """
    schema = verdict_schema(judge.fitted.regions.classes)
    columns = score_schema(judge.fitted.regions.classes).names
    moves = []
    for kind in VERDICTS:
        for part in files.get(kind, []):
            verdicts = judge(read_table(source, part.path, columns))["verdict"].unique().to_pylist()
            moves.append(
                _Move(
                    part=part, kinds=tuple(verdict for verdict in VERDICTS if verdict in verdicts)
                )
            )
    shard_names: dict[tuple[str, str], str] = {}
    for kind in VERDICTS:
        stayed = [move for move in moves if kind in move.kinds and move.part.kind == kind]
        arrived = [move for move in moves if kind in move.kinds and move.part.kind != kind]
        total = len(stayed) + len(arrived)
        for shard_number, move in enumerate([*stayed, *arrived]):
            shard_names[kind, move.part.path] = f"train-{shard_number:05d}-of-{total:05d}.parquet"
    new_parts = {}
    for move in moves:
        table = judge(read_table(source, move.part.path)).cast(schema)
        for kind in move.kinds:
            shard_name = shard_names[kind, move.part.path]
            rows_of_kind = table.filter(pc.equal(table["verdict"], kind))
            new_parts[kind, shard_name] = write_part(out, kind, shard_name, rows_of_kind)
    for kind in (ACCEPTED, REJECTED):  # readers expect at least one shard of each
        if not any(kind in move.kinds for move in moves):
            shard_name = "train-00000-of-00001.parquet"
            new_parts[kind, shard_name] = write_part(out, kind, shard_name, schema.empty_table())
    return [new_parts[key] for key in sorted(new_parts)]
