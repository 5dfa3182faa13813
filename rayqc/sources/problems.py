"""What was wrong with single images before any decoder saw them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from rayqc.errors import InputError
from rayqc.schema import PROBLEM

Problem = tuple[str, str]
"""Reason, `too_large` or `unreadable`, and message."""

MOST_BYTES = 2**31 - 1
"""Of one image, whatever the settings allow: what a value in an Arrow column may have."""


def most_bytes(max_bytes: int | None) -> int:
    """The limit in force."""
    return MOST_BYTES if max_bytes is None else min(max_bytes, MOST_BYTES)


def too_large(size: int, most: int) -> Problem:
    """The problem of an image of `size` bytes, in the decoder's words."""
    return "too_large", f"{size:,} bytes, limit {most:,}"


def with_problems(table: pa.Table, problems: Sequence[Problem | None]) -> pa.Table:
    """The table, and as its last column the rows' problems if there is any.

    Args:
        table: N rows.
        problems: N, None where there is none.
    """
    if not any(problems):
        return table
    rows = [found and {"reason": found[0], "message": found[1]} for found in problems]
    return table.append_column(PROBLEM, pa.array(rows, PROBLEM.type))


def problems_of(table: pa.Table) -> list[Problem | None]:
    """The rows' problems; N rows, N items."""
    if PROBLEM.name not in table.column_names:
        return [None] * int(table.num_rows)
    found = table[PROBLEM.name].to_pylist()
    return [one and (one["reason"], one["message"]) for one in found]


def refuse_problems(table: pa.Table) -> pa.Table:
    """A table of real images without the column of problems.

    Raises:
        InputError: an image has a problem; names its file.
    """
    if PROBLEM.name not in table.column_names:
        return table
    for row in table.filter(table[PROBLEM.name].is_valid()).to_pylist():
        found = row[PROBLEM.name]
        raise InputError(
            f"real image {row['id']} of {row['source']} is {found['reason'].replace('_', ' ')}: "
            f"{found['message']}; none of the real images is passed over, so put it right or take "
            "it out"
        )
    return table.drop_columns([PROBLEM.name])
