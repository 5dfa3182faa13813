"""The manifest: totals from commit records, checked against the plan, and the files that count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from rayqc.errors import LedgerError
from rayqc.ledger.commit import Commit, Part
from rayqc.ledger.plan import FOLDERS, LEDGER, MANIFEST, PLAN, SUCCESS, is_ours
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


def balance(units: list[Unit], commits: list[Commit], work: str) -> Totals:
    """Totals of all commits.

    Args:
        work: digest of the ledger, which every commit must carry.

    Raises:
        LedgerError: a unit without a commit or the reverse, a commit whose rows
            read are not those planned, or not the sum of its outcomes.
    """
    missing = set(range(len(units))) - {commit.unit for commit in commits}
    if missing or len(commits) != len(units):
        raise LedgerError(
            f"{len(units)} units planned, {len(commits)} committed; missing {sorted(missing)[:5]}"
        )
    for commit in commits:
        if commit.work != work:
            raise LedgerError(
                f"unit {commit.unit} was committed for other work ({commit.work[:12]}, this is "
                f"{work[:12]}); do it anew with --redo"
            )
        planned = int(units[commit.unit].rows().size)
        counted = sum(commit.outcomes.values())
        if not planned == commit.read == counted:
            raise LedgerError(
                f"unit {commit.unit}: {planned} rows planned, {commit.read} read, {counted} counted"
            )
    return Totals(
        units=len(units),
        read=sum(commit.read for commit in commits),
        outcomes=_sum(commit.outcomes for commit in commits),
        reasons=_sum(commit.reasons for commit in commits),
        by_class=_sum_by_class(commits),
    )


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
    files: dict[str, list[dict[str, object]]] = {}
    for shard in shards:
        files.setdefault(shard.kind, []).append(asdict(shard))
    write_json(
        folder,
        MANIFEST,
        {"format_version": MANIFEST_FORMAT, "totals": asdict(totals), "files": files},
    )
    finish(folder)


def finish(folder: Folder) -> None:
    """Delete parts that the manifest does not name, then write `_SUCCESS`."""
    named = {part.path for parts in load_files(folder).values() for part in parts}
    kept = {MANIFEST, LEDGER, PLAN, *named}
    lying = [name for name in folder.names() if is_ours(name) and not name.startswith("commits/")]
    folder.delete(name for name in lying if name not in kept)
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


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _sum_by_class(commits: list[Commit]) -> dict[str, dict[str, int]]:
    total: dict[str, Counter[str]] = {}
    for commit in commits:
        for name, outcomes in commit.by_class.items():
            total.setdefault(name, Counter()).update(outcomes)
    return {name: dict(sorted(total[name].items())) for name in sorted(total)}
