"""All parts of a work as one Arrow table: a hundred bytes a part, where objects take a thousand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from rayqc.ledger.commit import Commit, Part

SCHEMA = pa.schema(
    [
        ("unit", pa.int64()),
        ("kind", pa.dictionary(pa.int8(), pa.string())),
        ("path", pa.string()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("sha256", pa.binary()),
    ]
)
PARTS_A_BATCH = 65_536


Parts = dict[str, pa.Table]
"""By kind, each in the units' order."""


class PartTables:
    """Collects the parts of commits."""

    def __init__(self) -> None:
        self._batches: dict[str, list[pa.RecordBatch]] = {}
        self._rows: dict[str, list[tuple[object, ...]]] = {}

    def add(self, commit: Commit) -> None:
        """Note the commit's parts."""
        for one in commit.parts:
            rows = self._rows.setdefault(one.kind, [])
            digest = bytes.fromhex(one.sha256)
            rows.append((commit.unit, one.kind, one.path, one.rows, one.bytes, digest))
            if len(rows) >= PARTS_A_BATCH:
                self._flush(one.kind)

    def tables(self) -> Parts:
        """What was noted, with the columns of `SCHEMA`, in the order noted."""
        for kind in self._rows:
            self._flush(kind)
        return {
            kind: pa.Table.from_batches(batches, schema=SCHEMA)
            for kind, batches in self._batches.items()
        }

    def _flush(self, kind: str) -> None:
        rows, self._rows[kind] = self._rows[kind], []
        columns = zip(*rows, strict=True) if rows else [[]] * len(SCHEMA)
        arrays = [pa.array(c, field.type) for c, field in zip(columns, SCHEMA, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
        self._batches.setdefault(kind, []).append(batch)


def parts_of_kinds(parts: Parts, kinds: list[str]) -> pa.Table:
    """The parts of some kinds together, in the units' order."""
    found = [parts[kind] for kind in kinds if kind in parts]
    if len(found) == 1:
        return found[0]
    table = pa.concat_tables([SCHEMA.empty_table(), *found]).unify_dictionaries()
    return table.sort_by([("unit", "ascending")])


def parts_of(table: pa.Table) -> Iterator[Part]:
    """The parts in a table."""
    for row in table.to_pylist():
        yield Part(
            kind=row["kind"],
            path=row["path"],
            rows=row["rows"],
            bytes=row["bytes"],
            sha256=row["sha256"].hex(),
        )


def groups(table: pa.Table, most_bytes: float) -> list[pa.Table]:
    """Consecutive units' parts, together up to a size; a unit's parts stay together.

    Returns:
        At least one slice of the table, empty where there are no parts.
    """
    unit_P, bytes_P = np.asarray(table["unit"]), np.asarray(table["bytes"])
    first_U = np.flatnonzero(np.diff(unit_P, prepend=-1))
    size_U = np.add.reduceat(bytes_P, first_U) if unit_P.size else bytes_P
    starts, held = [0], 0
    for first, size in zip(first_U.tolist(), size_U.tolist(), strict=True):
        if held and held + size > most_bytes:
            starts.append(first)
            held = 0
        held += size
    bounds = zip(starts, [*starts[1:], table.num_rows], strict=True)
    return [table.slice(start, stop - start) for start, stop in bounds]
