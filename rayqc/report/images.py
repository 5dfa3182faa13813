"""The images of some ids, out of a filter's shards of any size."""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rayqc.ledger.commit import Part
from rayqc.ledger.manifest import load_files
from rayqc.storage import Folder
from rayqc.verdicts import VERDICTS


def images_of(filtered: Folder, ids: set[str]) -> Iterator[tuple[str, bytes | None]]:
    """Id and encoded bytes of each image of these ids that the shards hold.

    Of row groups without one only ids are read, and nothing where the least and the largest id say
    that there is none.
    """
    names = sorted(ids)
    wanted = pa.array(names, pa.string())
    files = load_files(filtered)
    for part in (part for verdict in VERDICTS for part in files.get(verdict, [])):
        with opened(filtered, part) as file:
            for group in range(file.num_row_groups):
                if not _may_hold(file.metadata.row_group(group), names):
                    continue
                hit = pc.is_in(file.read_row_group(group, columns=["id"])["id"], wanted)
                if pc.any(hit).as_py():
                    table = file.read_row_group(group, columns=["id", "image"]).filter(hit)
                    for row in table.to_pylist():
                        yield row["id"], (row["image"] or {}).get("bytes")


@contextlib.contextmanager
def opened(folder: Folder, part: Part) -> Iterator[pq.ParquetFile]:
    """A shard as a Parquet file."""
    with contextlib.closing(folder.open(part.path)) as file:
        yield pq.ParquetFile(file)


def _may_hold(group: pq.RowGroupMetaData, names: list[str]) -> bool:
    """May a row group hold one of these ids, by its statistics?

    Args:
        names: sorted.
    """
    columns = (group.column(number) for number in range(group.num_columns))
    statistics = next((c.statistics for c in columns if c.path_in_schema == "id"), None)
    if statistics is None or not statistics.has_min_max:
        return True
    place = bisect.bisect_left(names, statistics.min)
    return place < len(names) and names[place] <= statistics.max
