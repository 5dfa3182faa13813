"""Write a finished filter's output anew with other verdicts; no image is decoded or encoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from rayqc.errors import ConflictError, InputError
from rayqc.ledger.commit import Part, write_part
from rayqc.ledger.manifest import Totals, is_finished, load_files, load_totals, publish
from rayqc.ledger.plan import LEDGER, Work, start_or_resume
from rayqc.regions import FittedRegions
from rayqc.schema import cast_to, like_scores, score_schema, verdict_schema
from rayqc.storage import Folder, read_json, read_table
from rayqc.verdicts import ACCEPTED, REJECTED, VERDICTS

Judge = Callable[[pa.Table], pa.Table]
"""Gives a table of `scores/`, or of shards, with new verdicts."""


def work_of(source: Folder, fitted: FittedRegions) -> Work:
    """What a finished output was made by.

    Raises:
        InputError: it is not finished.
        ConflictError: other regions judged it.
    """
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


def rewrite(
    source: Folder,
    out: Folder,
    judge: Judge,
    claim: Work,
    classes: tuple[str, ...],
    scores_only: bool = False,
) -> Totals:
    """Write `source`, a finished output, with new verdicts to `out` in the same layout.

    Args:
        claim: everything that decides the new verdicts; `out` is claimed for it.
        scores_only: write no images.

    Raises:
        ConflictError: `out` holds other work.
    """
    start_or_resume(out, claim, [])
    if is_finished(out):
        return load_totals(out)
    files = load_files(source)
    new_parts, new_totals = _scores(
        source, out, files["scores"], judge, load_totals(source), classes
    )
    if not scores_only:
        new_parts += _images(source, out, files, judge, classes)
    publish(out, new_totals, new_parts)
    return new_totals


def _scores(
    source: Folder,
    out: Folder,
    parts: list[Part],
    judge: Judge,
    totals: Totals,
    classes: tuple[str, ...],
) -> tuple[list[Part], Totals]:
    """Write new score shards; return them, and totals counted from them."""
    new_parts = []
    tables = []
    for shard_number, part in enumerate(parts):
        table = judge(read_table(source, part.path))
        table = cast_to(table, like_scores(table.schema, classes))
        shard_name = f"train-{shard_number:05d}-of-{len(parts):05d}.parquet"
        new_parts.append(write_part(out, "scores", shard_name, table))
        tables.append(table.select(["label", "verdict", "reason"]))
    return new_parts, counted(tables, totals, classes)


def counted(tables: Iterable[pa.Table], totals: Totals, classes: tuple[str, ...]) -> Totals:
    """Totals with the verdicts of these tables.

    Args:
        tables: columns label, verdict, reason, together a row for each image of `totals`.
    """
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    by_class: dict[str, Counter[str]] = {}
    for table in tables:
        groups = table.group_by(["label", "verdict", "reason"]).aggregate([([], "count_all")])
        for row in groups.to_pylist():
            count = row["count_all"]
            outcomes[row["verdict"]] += count
            reasons[row["reason"]] += count
            class_name = "" if row["label"] is None else classes[row["label"]]
            by_class.setdefault(class_name, Counter())[row["verdict"]] += count
    return replace(
        totals,
        outcomes={kind: outcomes[kind] for kind in totals.outcomes},
        reasons=dict(sorted(reasons.items())),
        by_class={name: dict(sorted(by_class[name].items())) for name in sorted(by_class)},
    )


@dataclass(frozen=True, kw_only=True)
class _Move:
    """One image shard of the source, and the new verdicts that its rows have."""

    part: Part
    kinds: tuple[str, ...]


def _images(
    source: Folder,
    out: Folder,
    files: dict[str, list[Part]],
    judge: Judge,
    classes: tuple[str, ...],
) -> list[Part]:
    """Write new image shards: of each verdict first the rows that had it before, then the others.

    A first pass judges without images, because a shard's name says how many shards its verdict has.
    The second pass reads the images once, and has one shard at a time in memory.
    """
    schema = verdict_schema(classes)
    columns = score_schema(classes).names
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
        table = cast_to(judge(read_table(source, move.part.path)), schema)
        for kind in move.kinds:
            shard_name = shard_names[kind, move.part.path]
            rows_of_kind = table.filter(pc.equal(table["verdict"], kind))
            new_parts[kind, shard_name] = write_part(out, kind, shard_name, rows_of_kind)
    for kind in (ACCEPTED, REJECTED):  # readers expect at least one shard of each
        if not any(kind in move.kinds for move in moves):
            shard_name = "train-00000-of-00001.parquet"
            new_parts[kind, shard_name] = write_part(out, kind, shard_name, schema.empty_table())
    return [new_parts[key] for key in sorted(new_parts)]
