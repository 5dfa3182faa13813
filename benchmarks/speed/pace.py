"""Images a second of a filter while all its actors were at work, by the times of their commits."""

from __future__ import annotations

import json
from pathlib import Path

ENOUGH_UNITS = 8
"""Commits, below which no steady rate is told."""


def pace(out: Path, actors: int) -> dict[str, float]:
    """`rate` in images a second, and the stretch that it is of, `begun` to `ended` in Unix time.

    Empty where there are fewer than `ENOUGH_UNITS` commits, or no whole round of the actors.
    """
    commits = sorted((out / "commits").iterdir(), key=lambda place: place.stat().st_mtime_ns)
    # As many rounds as there are whole ones: actors often commit together, one after another.
    first = actors - 1
    last = first + (len(commits) - 1 - first) // actors * actors
    if len(commits) < ENOUGH_UNITS or last <= first:
        return {}
    rows = sum(json.loads(place.read_text())["read"] for place in commits[first + 1 : last + 1])
    begun, ended = (commits[row].stat().st_mtime for row in (first, last))
    return {"rate": rows / (ended - begun), "begun": begun, "ended": ended}
