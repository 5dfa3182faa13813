"""The unit: one piece of planned work, read, judged and committed as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

READ_AT_ONCE = 32
"""Rows that are read at once where no unit is planned by its images' size: less than 2 GiB, which a
column of Arrow holds, of the largest images that settings allow."""
WHOLE = 10**12
"""A limit on rows that no unit reaches: each holds all that its source gives at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """Rows [start, stop) of one file, listing or generator.

    `first` is the position of row `start` in the whole pool. `sample` = (size, total) takes an even
    sample of `size` rows from the pool's `total`. A row's position decides whether it is taken, so
    the sample does not depend on how the pool is divided into units.
    """

    entry: int
    """Number of the pool entry."""
    path: str
    """File below its source; a generator's name; empty for a folder's listing."""
    start: int
    stop: int
    fingerprint: str
    """Changes when the input does."""
    names: tuple[str, ...] = ()
    """The files, where the rows are files of a folder's listing or members of a tar."""
    first: int = 0
    sample: tuple[int, int] | None = None

    def rows(self) -> np.ndarray:
        """Row numbers within [start, stop) to take, ascending."""
        row_N = np.arange(self.start, self.stop)
        if self.sample is None:
            return row_N
        sample_size, total = self.sample
        position_N = self.first + np.arange(self.stop - self.start)
        taken_N = (position_N + 1) * sample_size // total > position_N * sample_size // total
        return row_N[taken_N]

    def count(self) -> int:
        """Number of rows that `rows` gives."""
        if self.sample is None:
            return self.stop - self.start
        sample_size, total = self.sample
        stop_position = self.first + self.stop - self.start
        return stop_position * sample_size // total - self.first * sample_size // total


def number(units: Iterable[Unit], limit: int | None) -> list[Unit]:
    """Give each unit its position in the whole pool, and an even sample when `limit` is set."""
    positioned = []
    first = 0
    for unit in units:
        positioned.append(replace(unit, first=first))
        first += unit.stop - unit.start
    if limit is None or limit >= first:
        return positioned
    sampled_units = (replace(unit, sample=(limit, first)) for unit in positioned)
    return [unit for unit in sampled_units if unit.count()]


def evenly(total: int, most: int) -> np.ndarray:
    """Row numbers 0 to total - 1, or `most` of them, evenly spaced."""
    return np.linspace(0, total - 1, min(total, most)).astype(np.int64)


def single_rows(units: Sequence[Unit], most: int) -> list[Unit]:
    """Units of one row each, evenly spaced over what `units` cover, at most `most`."""
    total = sum(unit.stop - unit.start for unit in units)
    return rows_at(units, evenly(total, most)) if total else []


def rows_at(units: Sequence[Unit], positions: np.ndarray) -> list[Unit]:
    """Units of one row each, at these positions among all that `units` cover."""
    bounds = np.cumsum([0, *(unit.stop - unit.start for unit in units)])
    singles = []
    for position in positions:
        unit_number = int(np.searchsorted(bounds, position, side="right")) - 1
        unit = units[unit_number]
        offset = int(position - bounds[unit_number])
        row, names = unit.start + offset, unit.names[offset : offset + 1]
        singles.append(replace(unit, start=row, stop=row + 1, names=names, sample=None))
    return singles


def slices(total: int, most: int) -> list[tuple[int, int]]:
    """[start, stop) pairs that divide `total` rows evenly, each of at most `most` rows."""
    if total == 0:
        return []
    slice_count = -(-total // most)
    bounds = [total * index // slice_count for index in range(slice_count + 1)]
    return list(itertools.pairwise(bounds))
