"""Problems of single images, noticed before any decoder sees them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from rayqc.errors import InputError
from rayqc.schema import PROBLEM

Problem = tuple[str, str]
"""Reason (`too_large` or `unreadable`) and message."""

MOST_BYTES = 2**31 - 1
"""Most bytes of one image whatever the settings allow: the limit of a value in an Arrow column."""


def most_bytes(max_bytes: int | None) -> int:
    """The limit in bytes: `max_bytes`, but never more than `MOST_BYTES`."""
    return MOST_BYTES if max_bytes is None else min(max_bytes, MOST_BYTES)


def too_large(size: int, most: int) -> Problem:
    """The problem of an image of `size` bytes where `most` are allowed, in the decoder's words."""
    return "too_large", f"{size:,} bytes, limit {most:,}"


def with_problems(table: pa.Table, problems: Sequence[Problem | None]) -> pa.Table:
    """The table with the rows' problems as its last column; unchanged where there are none.

    Args:
        table: N rows.
        problems: N items, None for a row without a problem.
    """
    if not any(problems):
        return table
    rows = [problem and {"reason": problem[0], "message": problem[1]} for problem in problems]
    return table.append_column(PROBLEM, pa.array(rows, PROBLEM.type))


def problems_of(table: pa.Table) -> list[Problem | None]:
    """The problem of each row, None where it has none; N items for N rows."""
    if PROBLEM.name not in table.column_names:
        return [None] * int(table.num_rows)
    rows = table[PROBLEM.name].to_pylist()
    return [row and (row["reason"], row["message"]) for row in rows]


def refuse_problems(table: pa.Table) -> pa.Table:
    """The table of real images without its column of problems.

    Raises:
        InputError: an image has a problem; the message names its file.
    """
    if PROBLEM.name not in table.column_names:
        return table
    for row in table.filter(table[PROBLEM.name].is_valid()).to_pylist():
        problem = row[PROBLEM.name]
        raise InputError(
            f"real image {row['id']} of {row['source']} is {problem['reason'].replace('_', ' ')}: "
            f"{problem['message']}; none of the real images is passed over, so put it right or "
            "take it out"
        )
    return table.drop_columns([PROBLEM.name])
