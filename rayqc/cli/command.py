"""What a command is: its help, its arguments, its work, and how its result is shown."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rayqc.shown import Shown

Arguments = argparse.Namespace
Common = dict[str, Any]
"""Keyword arguments that every command of a run takes: redo, address, num_cpus, progress."""

Show = Callable[[Any, str], Shown]
"""Takes a result, and where its files are."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of `rayqc`."""

    help: str
    arguments: tuple[str, ...]
    """Names in `arguments.ARGUMENTS`."""
    work: Callable[[Arguments, Common], Any]
    show: Show
    takes: tuple[str, ...] = ("redo", "address", "num-cpus")
    """Which of the arguments that several commands share it takes."""
    settings: str | None = None
    """The settings that a stage adds, described in words; shown below its help."""
    show_until: Show | None = None
    """Shows the result of a command that does something else with --until."""

    def show_of(self, arguments: Arguments) -> Show:
        """How the result of a command with these arguments is shown."""
        if self.show_until is not None and arguments.until is not None:
            return self.show_until
        return self.show


def overrides_of(arguments: Arguments) -> tuple[str, ...]:
    limit = [] if arguments.limit is None else [f"filter.limit={arguments.limit}"]
    return (*arguments.set, *limit)
