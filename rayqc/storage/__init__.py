"""Files of a run on a local disk or an object store; readers see a whole file or none."""

from rayqc.storage.folder import Folder, is_url
from rayqc.storage.formats import (
    arrays_bytes,
    canonical_json,
    digest,
    read_arrays,
    read_json,
    read_schema,
    read_table,
    table_bytes,
    table_of,
    write_json,
    write_table,
)

__all__ = [
    "Folder",
    "arrays_bytes",
    "canonical_json",
    "digest",
    "is_url",
    "read_arrays",
    "read_json",
    "read_schema",
    "read_table",
    "table_bytes",
    "table_of",
    "write_json",
    "write_table",
]
