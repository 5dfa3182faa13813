"""The plan: what decides the work's result, and its units; fixed when the work starts."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
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
MOVED = "_moved.json"
"""The files' fingerprints now, where they were copied or mounted anew; see `ledger.moved`."""
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
"""Kinds of parts, and the folder of each."""

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


Work = Mapping[str, Any]
"""Everything that decides a result, as plain JSON."""


def start_or_resume(folder: Folder, work: Work, units: list[Unit]) -> list[Unit]:
    """Claim a folder for this work, or resume this work where it is claimed already.

    Args:
        work: the units' inputs are added to it, their division into units is not.
        units: the plan of the work, used where it is new.

    Returns:
        The plan in force: the stored one when resuming, so that commits stay valid
        when the unit size has changed.

    Raises:
        ConflictError: the folder holds other work; the text says what differs.
    """
    inputs = inputs_digest(units)
    moved = read_json(folder, MOVED) if folder.exists(MOVED) else {}
    has_moved = moved.get("inputs") == inputs
    if has_moved:
        inputs = read_json(folder, LEDGER)["inputs"]
    if not folder.exists(LEDGER):
        # The plan is written before the claim, so that a claimed folder always has one. A plan
        # that an earlier start left without a claim is overwritten.
        folder.write(PLAN, table_bytes(_to_table(units)))
    claim(folder, {**work, "inputs": inputs})
    plan = load_plan(folder)
    if inputs_digest(plan) != inputs:
        raise ConflictError(
            f"{folder.path(PLAN)} is not the plan of the work in {LEDGER}, as when two commands "
            "started there at once; choose another folder, or --redo (redo=True in Python) to do "
            "it anew"
        )
    if not has_moved:
        return plan
    fingerprint_by_file = {(entry, path): value for entry, path, value in moved["files"]}
    return [replace(unit, fingerprint=fingerprint_by_file[unit.entry, unit.path]) for unit in plan]


def claim(folder: Folder, work: Work) -> None:
    """Claim a folder, unless this work has claimed it already; raises as `start_or_resume`."""
    record = json.loads(canonical_json({"format_version": LEDGER_FORMAT, **work}))  # as read back
    if folder.create(LEDGER, canonical_json(record)):
        return
    differing_settings = differences(read_json(folder, LEDGER), record)
    if differing_settings:
        raise ConflictError(
            f"{folder} holds work made otherwise ({'; '.join(differing_settings)}); "
            "choose another folder, or --redo (redo=True in Python) to do it anew"
        )


def work_digest(folder: Folder) -> str:
    """Identity of the work that a folder is claimed for; commit records carry it."""
    return digest(folder.read(LEDGER))


def load_plan(folder: Folder) -> list[Unit]:
    """The units of the work in a folder."""
    units: list[Unit] = []
    for batch in read_table(folder, PLAN).to_batches(max_chunksize=ROWS_AT_ONCE):
        columns = batch.to_pydict()
        for row_values in zip(*(columns[name] for name in PLAN_SCHEMA.names), strict=True):
            row = dict(zip(PLAN_SCHEMA.names, row_values, strict=True))
            row |= {name: sys.intern(row[name]) for name in ("path", "fingerprint")}
            row |= {"names": tuple(row["names"]), "sample": _pair(row["sample"])}
            units.append(Unit(**row))
    return units


def inputs_digest(units: list[Unit]) -> str:
    """Digest of what the units read; it does not depend on how they divide it."""
    rows_by_file: dict[tuple[int, str, str], int] = {}
    for unit in units:
        key = (unit.entry, unit.path, unit.fingerprint)
        rows_by_file[key] = rows_by_file.get(key, 0) + unit.count()
    return digest(canonical_json(sorted([*key, rows] for key, rows in rows_by_file.items())))


def clear(folder: Folder) -> None:
    """Delete a folder's work: first what marks it finished, last what claims the folder.

    Files that the work did not write stay.
    """
    # The claim goes before the plan: a new start replaces a plan that has no claim, but could not
    # resume a claim that has no plan.
    claim_files = [LEDGER, PLAN]
    folder.delete([SUCCESS, MANIFEST])
    folder.delete(name for name in folder.names() if is_ours(name) and name not in claim_files)
    folder.delete(claim_files)


def is_ours(name: str) -> bool:
    """Is this the name of a file that a ledger's work writes?"""
    if ROUND.match(name):  # drawing until classes are full: each round has a ledger
        name_in_round = name.split("/", 2)[2]
        return name_in_round == SECONDS or is_ours(name_in_round)
    directory, _, file_name = name.rpartition("/")
    if directory == "commits":
        return file_name.endswith(".json")
    if f"{directory}/" in FOLDERS.values() or not directory:
        is_data = file_name.startswith(("unit-", "train-")) and file_name.endswith(".parquet")
        return is_data or name in (SUCCESS, MANIFEST, LEDGER, PLAN, MOVED, REPORT)
    return False


def _to_table(units: list[Unit]) -> pa.Table:
    columns = [
        pa.array((getattr(unit, field.name) for unit in units), field.type, size=len(units))
        for field in PLAN_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=PLAN_SCHEMA)


def _pair(values: list[int] | None) -> tuple[int, int] | None:
    return None if values is None else (values[0], values[1])
