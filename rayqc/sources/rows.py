"""Row ranges of a Parquet file, without holding a row group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_A_BATCH = 512


class RowReader:
    """Reads row ranges of a Parquet file that mostly follow one another, a batch at a time.

    A row group may be larger than memory; of it no more than the range asked for is held.
    """

    def __init__(self, file: pq.ParquetFile, columns: list[str]) -> None:
        self._file = file
        self._columns = columns
        counts = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        self._first = np.cumsum([0, *counts])
        self._at = 0
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._rest: pa.RecordBatch | None = None

    def read(self, start: int, stop: int) -> pa.Table:
        """Rows [start, stop)."""
        group = int(np.searchsorted(self._first, start, side="right")) - 1
        if start < self._at or self._first[group] > self._at or self._batches is None:
            self._at = int(self._first[group])
            self._batches = self._from(group)
            self._rest = None
        parts = []
        while self._at < stop:
            # Never ahead of what is asked for: damage further on is another range's trouble.
            rest = next(self._batches, None) if self._rest is None else self._rest
            if rest is None:
                break
            skipped = max(start - self._at, 0)
            taken = min(rest.num_rows, stop - self._at)
            if taken > skipped:
                parts.append(rest.slice(skipped, taken - skipped))
            self._at += taken
            left = rest.slice(taken)
            self._rest = left if left.num_rows else None
        return pa.Table.from_batches(parts)

    def _from(self, group: int) -> Iterator[pa.RecordBatch]:
        for later in range(group, self._file.num_row_groups):
            yield from self._file.iter_batches(
                ROWS_A_BATCH, row_groups=[later], columns=self._columns
            )
