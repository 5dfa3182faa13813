"""Cut a list of images into units."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rayqc.units import slices

UNIT_BYTES = 256_000_000
"""Most bytes of encoded images in a unit; its number of rows has a limit of its own."""


def cut(sizes: Sequence[int], most_rows: int) -> list[tuple[int, int]]:
    """[start, stop) pairs that cover images of these sizes, within `most_rows` and `UNIT_BYTES`.

    An image of more than `UNIT_BYTES` has a unit to itself.
    """
    bounds, byte_count = [0], 0
    for row, size in enumerate(sizes):
        if byte_count + size > UNIT_BYTES and row > bounds[-1]:
            bounds.append(row)
            byte_count = 0
        byte_count += size
    runs = itertools.pairwise([*bounds, len(sizes)])
    return [
        (first + start, first + stop)
        for first, end in runs
        for start, stop in slices(end - first, most_rows)
    ]


def cut_groups(counts: Sequence[int], most_rows: int) -> list[tuple[int, int]]:
    """[start, stop) pairs that cover row groups of these row counts, within `most_rows`.

    A unit is a run of whole groups or lies within one group, since the group at a unit's end is
    read again where the next unit goes on inside it.
    """
    ranges: list[tuple[int, int]] = []
    start = end = 0
    for count in counts:
        if end > start and end + count - start > most_rows:
            ranges.append((start, end))
            start = end
        end += count
        if count > most_rows:
            ranges += [(start + first, start + last) for first, last in slices(count, most_rows)]
            start = end
    return [*ranges, (start, end)] if end > start else ranges
