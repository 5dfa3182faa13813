"""Where a list of images is cut into units."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rayqc.units import slices

UNIT_BYTES = 256_000_000
"""Encoded images of a unit, at most, besides its number of rows."""


def cut(sizes: Sequence[int], most_rows: int) -> list[tuple[int, int]]:
    """[start, stop) pairs that cover images of these sizes, within `most_rows` and `UNIT_BYTES`.

    A larger image has a unit to itself.
    """
    bounds, held = [0], 0
    for row, size in enumerate(sizes):
        if held + size > UNIT_BYTES and row > bounds[-1]:
            bounds.append(row)
            held = 0
        held += size
    runs = itertools.pairwise([*bounds, len(sizes)])
    return [
        (first + a, first + b) for first, stop in runs for a, b in slices(stop - first, most_rows)
    ]


def cut_groups(counts: Sequence[int], most_rows: int) -> list[tuple[int, int]]:
    """[start, stop) pairs that cover row groups of so many rows, within `most_rows`.

    A unit is whole groups, or a part of one: what lies across a group's end is read twice.
    """
    found: list[tuple[int, int]] = []
    start = at = 0
    for count in counts:
        if at > start and at + count - start > most_rows:
            found.append((start, at))
            start = at
        at += count
        if count > most_rows:
            found += [(start + a, start + b) for a, b in slices(count, most_rows)]
            start = at
    return [*found, (start, at)] if at > start else found
