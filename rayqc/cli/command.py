"""What a command is: its help, its arguments and its work."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Arguments = argparse.Namespace
Common = dict[str, Any]
"""Keyword arguments that every command of a run takes: redo, address, num_cpus, progress."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of `rayqc`."""

    help: str
    arguments: tuple[str, ...]
    """Names in `arguments.ARGUMENTS`."""
    work: Callable[[Arguments, Common], Any]
    """Returns a result that knows how it is shown (`shown.displayed`)."""
    takes: tuple[str, ...] = ("redo", "address", "num-cpus")
    """Which of the arguments that several commands share it takes."""
    settings: str | None = None
    """The settings that a stage adds, described in words; shown below its help."""


def overrides_of(arguments: Arguments) -> tuple[str, ...]:
    limit = [] if arguments.limit is None else [f"filter.limit={arguments.limit}"]
    return (*arguments.set, *limit)
