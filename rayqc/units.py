"""The unit: one piece of planned work, read, judged and committed as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

WHOLE = 10**12
"""Rows a unit may have where it is to hold as much as its source gives at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """Rows [start, stop) of one file, listing or generator.

    `first` is the row's place in the whole pool; with `sample` = (wanted, total) only
    those rows are taken whose place an even sample of `wanted` in `total` meets, so the
    sample does not depend on how the pool is divided into units.
    """

    entry: int
    """Which pool entry."""
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
        wanted, total = self.sample
        place_N = self.first + np.arange(self.stop - self.start)
        taken_N = (place_N + 1) * wanted // total > place_N * wanted // total
        return row_N[taken_N]

    def count(self) -> int:
        """How many rows `rows` has."""
        if self.sample is None:
            return self.stop - self.start
        wanted, total = self.sample
        last = self.first + self.stop - self.start
        return last * wanted // total - self.first * wanted // total


def number(units: Iterable[Unit], limit: int | None) -> list[Unit]:
    """Give each unit its rows' places in the whole, and an even sample when `limit` is set."""
    placed = []
    first = 0
    for unit in units:
        placed.append(replace(unit, first=first))
        first += unit.stop - unit.start
    if limit is None or limit >= first:
        return placed
    sampled = (replace(unit, sample=(limit, first)) for unit in placed)
    return [unit for unit in sampled if unit.count()]


def evenly(total: int, most: int) -> np.ndarray:
    """Row numbers 0 to total - 1, or `most` of them, evenly spaced."""
    return np.linspace(0, total - 1, min(total, most)).astype(np.int64)


def slices(total: int, most: int) -> list[tuple[int, int]]:
    """[start, stop) pairs that cover 0..total in even parts of at most `most`."""
    if total == 0:
        return []
    parts = -(-total // most)
    bounds = [total * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(bounds))
