"""The commit: what a finished unit says of itself, published once."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from rayqc.errors import ArtefactError, StorageError
from rayqc.ledger.plan import FOLDERS, is_ours
from rayqc.storage import Folder, canonical_json, digest, table_bytes, table_of


@dataclass(frozen=True, kw_only=True)
class Part:
    """One Parquet file of a unit or, later, a shard."""

    kind: str
    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A unit's account: rows read = the sum of its outcomes."""

    unit: int
    work: str
    """Digest of the ledger this was done for: settings, model, regions and input."""
    read: int
    outcomes: dict[str, int]
    """Rows by outcome: pool, or accepted / rejected / error."""
    reasons: dict[str, int]
    by_class: dict[str, dict[str, int]]
    """Class name to rows by outcome; rows without a known class are under the empty name."""
    parts: tuple[Part, ...]
    content: str = ""
    """Digest of the images that were read; empty in records of 0.1.0, and of what was made here."""


COMMIT = TypeAdapter(Commit)
READERS = 32
RECORDS_AT_ONCE = 4096
RECORD = re.compile(r"commits/\d{7,}\.json")


def commit_name(unit: int) -> str:
    """File of a unit's commit record."""
    return f"commits/{unit:07d}.json"


def is_committed(folder: Folder, unit: int) -> bool:
    """Has any attempt at this unit been published?"""
    return folder.exists(commit_name(unit))


def commit_unit(
    folder: Folder,
    unit: int,
    work: str,
    tables: dict[str, pa.Table],
    outcomes: dict[str, int],
    reasons: dict[str, int],
    by_class: dict[str, dict[str, int]],
    content: str = "",
) -> Commit | None:
    """Write a unit's parts under names of this attempt, then publish its record.

    Returns:
        The record; None when another attempt was published first, and this one's parts are deleted.
    """
    name = f"unit-{unit:07d}-{uuid.uuid4().hex[:8]}.parquet"
    kinds = [kind for kind, table in tables.items() if table.num_rows]
    try:
        parts = tuple(write_part(folder, kind, name, tables[kind]) for kind in kinds)
    except StorageError:
        if folder.is_local:  # a full disk should not get fuller by each attempt
            with suppress(StorageError):
                folder.delete(FOLDERS[kind] + name for kind in kinds)
        raise
    record = Commit(
        unit=unit,
        work=work,
        read=sum(outcomes.values()),
        outcomes=outcomes,
        reasons=reasons,
        by_class=by_class,
        parts=parts,
        content=content,
    )
    if folder.create(commit_name(unit), canonical_json(asdict(record))):
        return record
    folder.delete(part.path for part in parts)
    return None


def write_part(folder: Folder, kind: str, name: str, table: pa.Table) -> Part:
    """Write one Parquet file and say what it holds."""
    data = table_bytes(table)
    path = FOLDERS[kind] + name
    folder.write(path, data)
    return Part(kind=kind, path=path, rows=table.num_rows, bytes=len(data), sha256=digest(data))


def read_part(folder: Folder, part: Part) -> pa.Table:
    """A part's rows.

    Raises:
        ArtefactError: the file is not the one that was committed.
    """
    data = folder.read(part.path)
    if digest(data) != part.sha256:
        raise ArtefactError(
            f"{folder.path(part.path)} is not the file that was committed (SHA-256 "
            f"{digest(data)[:12]}, committed {part.sha256[:12]}); it was damaged or replaced, and "
            "--redo does the stage anew"
        )
    return table_of(data)


def iter_commits(folder: Folder) -> Iterator[Commit]:
    """All published records, by unit; those of a store are fetched many at a time."""

    def read(name: str) -> Commit:
        return parse_commit(folder.read(name), folder.path(name))

    names = _record_names(folder)
    if folder.is_local:
        yield from map(read, names)
        return
    with ThreadPoolExecutor(READERS) as readers:
        for start in range(0, len(names), RECORDS_AT_ONCE):
            yield from readers.map(read, names[start : start + RECORDS_AT_ONCE])


def load_commits(folder: Folder) -> list[Commit]:
    """All published records, by unit."""
    return list(iter_commits(folder))


def committed_units(folder: Folder) -> set[int]:
    """Numbers of the units with a record, from one listing."""
    return {int(name.rpartition("/")[2].removesuffix(".json")) for name in _record_names(folder)}


def _record_names(folder: Folder) -> list[str]:
    """Names of records; what else a file system may leave there (`.nfs000...`) is passed over."""
    return [name for name in folder.names("commits") if RECORD.fullmatch(name)]


def parse_commit(data: bytes, name: str) -> Commit:
    """A record as `commit_unit` published it under `name`.

    Raises:
        ArtefactError: anything else.
    """
    try:
        found = COMMIT.validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ArtefactError(f"{name} is not a commit record: {where}: {first['msg']}") from error
    if not name.endswith(commit_name(found.unit)):
        raise ArtefactError(f"{name} is a commit record of unit {found.unit}")
    for part in found.parts:
        if part.kind not in FOLDERS or not is_ours(part.path):
            raise ArtefactError(f"{name} names {part.path!r}, which is no part of a unit")
    return found
