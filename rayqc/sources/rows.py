"""Row ranges of a Parquet file, without a whole row group in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rayqc.storage.formats import rows_of_bytes

MOST_ROWS = 512
"""Rows that are decoded at once, at most; of large images as many as `rows_of_bytes` gives."""


class RowReader:
    """Reads row ranges of a Parquet file that mostly follow one another, one batch at a time.

    A row group may be larger than memory; only the range asked for is kept of it.
    """

    def __init__(self, file: pq.ParquetFile, columns: list[str]) -> None:
        self._file = file
        self._columns = columns
        counts = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        self._group_start = np.cumsum([0, *counts])
        self._next_row = 0
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._remainder: pa.RecordBatch | None = None

    def read(self, start: int, stop: int) -> pa.Table:
        """Rows [start, stop), fewer where the file ends first."""
        group = int(np.searchsorted(self._group_start, start, side="right")) - 1
        if (
            start < self._next_row
            or self._group_start[group] > self._next_row
            or self._batches is None
        ):
            self._next_row = int(self._group_start[group])
            self._batches = self._batches_from(group)
            self._remainder = None
        batches = []
        while self._next_row < stop:
            # No batch is read ahead: damage further on concerns another range.
            batch = next(self._batches, None) if self._remainder is None else self._remainder
            if batch is None:
                break
            skipped = max(start - self._next_row, 0)
            taken = min(batch.num_rows, stop - self._next_row)
            if taken > skipped:
                batches.append(batch.slice(skipped, taken - skipped))
            self._next_row += taken
            remainder = batch.slice(taken)
            self._remainder = remainder if remainder.num_rows else None
        return pa.Table.from_batches(batches)

    def _batches_from(self, first_group: int) -> Iterator[pa.RecordBatch]:
        for number in range(first_group, self._file.num_row_groups):
            group = self._file.metadata.row_group(number)
            rows = rows_of_bytes(group.num_rows, group.total_byte_size, MOST_ROWS)
            yield from self._file.iter_batches(rows, row_groups=[number], columns=self._columns)
