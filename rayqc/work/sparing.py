"""Work on many images at once, of which some make it fail: only those are failures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Failures = dict[int, Exception]
"""What each of some rows made the work raise."""


def failures_of(work: Callable[[np.ndarray], object], rows: np.ndarray) -> Failures:
    """Rows that make the work fail when they are done alone, and how.

    The rows are halved until those that fail stand alone, so that one failure among N rows costs
    about 2 log2(N) pieces of work. Rows that fail only together are none of them.

    Args:
        work: does some of the rows; may be called with the same row several times.
        rows: (n,) row numbers, on all of which the work has failed.
    """
    failures: Failures = {}
    waiting = [rows]
    while waiting:
        some = waiting.pop()
        try:
            work(some)
        except Exception as error:  # whatever it is, a row is to blame or the work itself
            if len(some) == 1:
                failures[int(some[0])] = error
            else:
                waiting += np.array_split(some, 2)
    return failures


def words_of(error: Exception) -> str:
    """An exception's kind and its first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
