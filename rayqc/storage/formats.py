"""File formats of a run: JSON, Parquet tables, safetensors arrays, and the digest of bytes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from rayqc.errors import ArtefactError
from rayqc.storage.folder import Folder
from rayqc.units import READ_AT_ONCE

MOST_ROWS = 1024
"""Rows of a group of a Parquet file, and of what is read of a large one at once; at most."""
GROUP_BYTES = 2**24
"""Bytes of such rows, as they are in memory; at most, but of a row that has more. Who looks for one
image reads as many."""
READ_WHOLE = 2**30
"""Bytes of a file's columns up to which it is read at once: PyArrow reads no column of images, a
struct, of 2 GiB and more."""


def digest(data: bytes) -> str:
    """SHA-256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys: equal values give equal bytes."""
    return (json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def read_json(folder: Folder, name: str) -> Any:
    """A JSON file's value; `ArtefactError` when it is not JSON."""
    try:
        return json.loads(folder.read(name))
    except ValueError as error:
        raise ArtefactError(f"{folder.path(name)} is not valid JSON: {error}") from error


def write_json(folder: Folder, name: str, value: Any) -> None:
    """Write or replace a JSON file; readers never see a part of it."""
    folder.write(name, canonical_json(value))


def table_bytes(table: pa.Table) -> bytes:
    """A table as one Parquet file; zstd is kept light, since images are compressed already."""
    sink = io.BytesIO()
    rows = rows_of_bytes(table.num_rows, table.nbytes, MOST_ROWS)
    pq.write_table(table, sink, compression="zstd", row_group_size=rows)
    return sink.getvalue()


def table_of(data: bytes) -> pa.Table:
    """The table that `table_bytes` wrote."""
    return _read(pq.ParquetFile(io.BytesIO(data)), None)


def rows_of_bytes(rows: int, size: int, most: int) -> int:
    """How many rows have `GROUP_BYTES`, where so many have `size`; 1 to `most`."""
    return max(1, min(most, GROUP_BYTES * rows // max(1, size)))


def _read(file: pq.ParquetFile, columns: list[str] | None) -> pa.Table:
    size = sum(_bytes_of(file.metadata.row_group(n), columns) for n in range(file.num_row_groups))
    rows = rows_of_bytes(file.metadata.num_rows, size, MOST_ROWS)
    if size < READ_WHOLE:
        try:
            return file.read(columns=columns)
        except pa.ArrowNotImplementedError:  # equal images, which the file holds once
            rows = READ_AT_ONCE
    batches = list(file.iter_batches(rows, columns=columns))
    return pa.Table.from_batches(batches).replace_schema_metadata(file.schema_arrow.metadata)


def _bytes_of(group: pq.RowGroupMetaData, columns: list[str] | None) -> int:
    parts = [group.column(number) for number in range(group.num_columns)]
    asked = [c for c in parts if columns is None or c.path_in_schema.split(".")[0] in columns]
    return sum(part.total_uncompressed_size for part in asked)


def read_table(folder: Folder, name: str, columns: list[str] | None = None) -> pa.Table:
    """A Parquet file as a table; `ArtefactError` when it is damaged."""
    with _parquet(folder, name) as file:
        return _read(file, columns)


def read_schema(folder: Folder, name: str) -> pa.Schema:
    """A Parquet file's columns and metadata, without its rows; `ArtefactError` as above."""
    with _parquet(folder, name) as file:
        return file.schema_arrow


@contextlib.contextmanager
def _parquet(folder: Folder, name: str) -> Iterator[pq.ParquetFile]:
    with contextlib.closing(folder.open(name)) as file:
        try:
            yield pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise ArtefactError(f"{folder.path(name)} is not readable Parquet: {error}") from error


def write_table(folder: Folder, name: str, table: pa.Table) -> None:
    """Write or replace a Parquet file; readers never see a part of it."""
    folder.write(name, table_bytes(table))


def arrays_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Arrays as one safetensors file."""
    return save_safetensors({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def read_arrays(folder: Folder, name: str) -> dict[str, np.ndarray]:
    """A safetensors file's arrays; `ArtefactError` when it is damaged."""
    try:
        return load_safetensors(folder.read(name))
    except SafetensorError as error:
        raise ArtefactError(f"{folder.path(name)} is not readable safetensors: {error}") from error
