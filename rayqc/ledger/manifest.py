"""The manifest: totals from commit records, checked against the plan, and the files that count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from rayqc.errors import LedgerError
from rayqc.ledger.commit import Commit, Part, iter_commits
from rayqc.ledger.parts import Parts, PartTables
from rayqc.ledger.plan import FOLDERS, LEDGER, MANIFEST, MOVED, PLAN, SUCCESS, is_ours
from rayqc.storage import Folder, read_json, write_json
from rayqc.units import Unit

MANIFEST_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Rows of the whole work."""

    units: int
    read: int
    outcomes: dict[str, int]
    reasons: dict[str, int]
    by_class: dict[str, dict[str, int]]

    def __str__(self) -> str:
        found = [f"{self.outcomes[kind]:,} {kind}" for kind in FOLDERS if kind in self.outcomes]
        return f"{self.read:,} read = {' + '.join(found)}"

    @property
    def error_share(self) -> float:
        """Rows that could not be judged, as a share of all."""
        return self.outcomes.get("error", 0) / self.read if self.read else 0.0


def balance(units: Sequence[Unit], commits: Iterable[Commit], work: str) -> Totals:
    """Totals of all commits, which are looked at once and not kept.

    Args:
        work: digest of the ledger, which every commit must carry.

    Raises:
        LedgerError: a unit without a commit or the reverse, a commit whose rows
            read are not those planned, or not the sum of its outcomes.
    """
    seen, committed = np.zeros(len(units), bool), 0
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    by_class: dict[str, Counter[str]] = {}
    for commit in commits:
        committed += 1
        if commit.unit >= len(units):
            continue  # not planned; said below
        seen[commit.unit] = True
        if commit.work != work:
            raise LedgerError(
                f"unit {commit.unit} was committed for other work ({commit.work[:12]}, this is "
                f"{work[:12]}); do it anew with --redo"
            )
        planned = units[commit.unit].count()
        counted = sum(commit.outcomes.values())
        if not planned == commit.read == counted:
            raise LedgerError(
                f"unit {commit.unit}: {planned} rows planned, {commit.read} read, {counted} counted"
            )
        outcomes.update(commit.outcomes)
        reasons.update(commit.reasons)
        for name, counts in commit.by_class.items():
            by_class.setdefault(name, Counter()).update(counts)
    missing = np.flatnonzero(~seen)
    if missing.size or committed != len(units):
        raise LedgerError(
            f"{len(units)} units planned, {committed} committed; missing {missing[:5].tolist()}"
        )
    return Totals(
        units=len(units),
        read=sum(outcomes.values()),
        outcomes=dict(sorted(outcomes.items())),
        reasons=dict(sorted(reasons.items())),
        by_class={name: dict(sorted(by_class[name].items())) for name in sorted(by_class)},
    )


def survey(folder: Folder, units: Sequence[Unit], work: str) -> tuple[Totals, Parts]:
    """`balance` over all commits of a folder, and tables of the parts that they name.

    Of a million units the records would not fit in the driver's memory; the tables do.
    """
    parts = PartTables()

    def noted() -> Iterator[Commit]:
        for commit in iter_commits(folder):
            parts.add(commit)
            yield commit

    totals = balance(units, noted(), work)
    return totals, parts.tables()


def publish(folder: Folder, totals: Totals, shards: list[Part]) -> None:
    """Swap in the manifest, delete what it does not name, and write `_SUCCESS` last.

    Raises:
        LedgerError: the shards of a kind do not hold the rows that were counted.
    """
    for kind in {shard.kind for shard in shards}:
        held = sum(shard.rows for shard in shards if shard.kind == kind)
        counted = totals.read if kind == "scores" else totals.outcomes.get(kind, 0)
        if held != counted:
            raise LedgerError(f"{folder}: {kind} shards hold {held} rows, {counted} were counted")
    _write_manifest(folder, totals, shards)
    finish(folder)


def publish_all(folder: Folder, totals: Totals, shards: list[Part]) -> None:
    """A manifest over finished works that lie below the folder, and `_SUCCESS`."""
    _write_manifest(folder, totals, shards)
    folder.write(SUCCESS, b"")


def _write_manifest(folder: Folder, totals: Totals, shards: list[Part]) -> None:
    files: dict[str, list[dict[str, object]]] = {}
    for shard in shards:
        files.setdefault(shard.kind, []).append(asdict(shard))
    facts = {"format_version": MANIFEST_FORMAT, "totals": asdict(totals), "files": files}
    write_json(folder, MANIFEST, facts)


def finish(folder: Folder) -> None:
    """Delete parts that the manifest does not name, then write `_SUCCESS`."""
    files = load_files(folder)
    named = {part.path for parts in files.values() for part in parts}
    kept = {MANIFEST, LEDGER, PLAN, MOVED, *named}
    # Of a filter every kind's, since a retry may leave no shard of errors.
    kinds = files if "pool" in files else [kind for kind in FOLDERS if kind != "pool"]
    for prefix in {FOLDERS[kind].rstrip("/") for kind in kinds}:
        lying = (name for name in folder.names(prefix) if is_ours(name) and name not in kept)
        folder.delete(name for name in lying if not name.startswith("commits/"))
    folder.write(SUCCESS, b"")


def is_finished(folder: Folder) -> bool:
    """Is the work whole?"""
    return folder.exists(SUCCESS)


def load_totals(folder: Folder) -> Totals:
    """Totals of finished work."""
    return Totals(**read_json(folder, MANIFEST)["totals"])


def load_files(folder: Folder) -> dict[str, list[Part]]:
    """Files of finished work by kind, in order."""
    files = read_json(folder, MANIFEST)["files"]
    return {kind: [Part(**part) for part in parts] for kind, parts in files.items()}
