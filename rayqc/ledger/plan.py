"""The plan: what the work is, and its units; fixed when the work starts."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pyarrow as pa

from rayqc.config import differences
from rayqc.errors import ConflictError
from rayqc.storage import (
    Folder,
    canonical_json,
    digest,
    read_json,
    read_table,
    table_bytes,
)
from rayqc.units import Unit

LEDGER_FORMAT = 1
LEDGER = "ledger.json"
PLAN = "_plan"
MANIFEST = "manifest.json"
SUCCESS = "_SUCCESS"

ROUNDS = "rounds"
ROUND = re.compile(r"rounds/\d{4,}/")
SECONDS = "seconds.json"
REPORT = "generate.json"

FOLDERS = {
    "pool": "",
    "accepted": "accepted/",
    "rejected": "rejected/",
    "error": "errors/",
    "scores": "scores/",
}
"""Kinds of parts, and where they lie."""

ROWS_AT_ONCE = 10_000

PLAN_SCHEMA = pa.schema(
    [
        ("entry", pa.int64()),
        ("path", pa.string()),
        ("start", pa.int64()),
        ("stop", pa.int64()),
        ("fingerprint", pa.string()),
        ("names", pa.list_(pa.string())),
        ("first", pa.int64()),
        ("sample", pa.list_(pa.int64())),
    ]
)


def start_or_resume(folder: Folder, work: dict[str, Any], units: list[Unit]) -> list[Unit]:
    """Claim a folder for this work, or find it claimed for the same.

    Args:
        work: everything that decides the result, as plain JSON. The units' inputs
            are added to it, their division into units is not.
        units: the plan, should the work be new.

    Returns:
        The plan in force: the stored one when resuming, so that another unit size
        does not undo what is committed.

    Raises:
        ConflictError: the folder holds other work; says what differs.
    """
    inputs = inputs_digest(units)
    if not folder.exists(LEDGER):
        # The plan comes before the claim: a claimed folder always has one, and one that an
        # earlier start left without a claim is not taken over.
        folder.write(PLAN, table_bytes(_to_table(units)))
    claim(folder, {**work, "inputs": inputs})
    plan = load_plan(folder)
    if inputs_digest(plan) != inputs:
        raise ConflictError(
            f"{folder.path(PLAN)} is not the plan of the work in {LEDGER}, as when two commands "
            "started there at once; choose another folder, or --redo to do it anew"
        )
    return plan


def claim(folder: Folder, work: dict[str, Any]) -> None:
    """Claim a folder for this work, or find it claimed for the same; raises as above."""
    mine = json.loads(canonical_json({"format_version": LEDGER_FORMAT, **work}))  # as it reads back
    if folder.create(LEDGER, canonical_json(mine)):
        return
    found = differences(read_json(folder, LEDGER), mine)
    if found:
        raise ConflictError(
            f"{folder} holds work made otherwise ({'; '.join(found)}); "
            "choose another folder, or --redo to do it anew"
        )


def work_digest(folder: Folder) -> str:
    """Identity of the work that a folder is claimed for; commit records carry it."""
    return digest(folder.read(LEDGER))


def load_plan(folder: Folder) -> list[Unit]:
    """The units of the work in a folder."""
    units: list[Unit] = []
    for batch in read_table(folder, PLAN).to_batches(max_chunksize=ROWS_AT_ONCE):
        columns = batch.to_pydict()
        for values in zip(*(columns[name] for name in PLAN_SCHEMA.names), strict=True):
            row = dict(zip(PLAN_SCHEMA.names, values, strict=True))
            row |= {name: sys.intern(row[name]) for name in ("path", "fingerprint")}
            row |= {"names": tuple(row["names"]), "sample": _pair(row["sample"])}
            units.append(Unit(**row))
    return units


def inputs_digest(units: list[Unit]) -> str:
    """One digest of what the units read, however they divide it."""
    files: dict[tuple[int, str, str], int] = {}
    for unit in units:
        key = (unit.entry, unit.path, unit.fingerprint)
        files[key] = files.get(key, 0) + unit.count()
    return digest(canonical_json(sorted([*key, rows] for key, rows in files.items())))


def clear(folder: Folder) -> None:
    """Delete a folder's work, what makes it readable first and what claims it last.

    Files that the work did not write stay.
    """
    last = [LEDGER, PLAN]  # a plan without a claim is written anew, the reverse is not
    folder.delete([SUCCESS, MANIFEST])
    folder.delete(name for name in folder.names() if is_ours(name) and name not in last)
    folder.delete(last)


def is_ours(name: str) -> bool:
    """Is this the name of a file that a ledger's work writes?"""
    if ROUND.match(name):  # draws until classes are full: rounds with a ledger each
        below = name.split("/", 2)[2]
        return below == SECONDS or is_ours(below)
    place, _, file = name.rpartition("/")
    if place == "commits":
        return file.endswith(".json")
    if f"{place}/" in FOLDERS.values() or not place:
        part = file.startswith(("unit-", "train-")) and file.endswith(".parquet")
        return part or name in (SUCCESS, MANIFEST, LEDGER, PLAN, REPORT)
    return False


def _to_table(units: list[Unit]) -> pa.Table:
    columns = [
        pa.array((getattr(unit, field.name) for unit in units), field.type, size=len(units))
        for field in PLAN_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=PLAN_SCHEMA)


def _pair(values: list[int] | None) -> tuple[int, int] | None:
    return None if values is None else (values[0], values[1])
