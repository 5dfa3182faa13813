"""A tracker: something that records runs, to look at them and to compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from rayqc.storage import Folder


class Tracker(Protocol):
    """Records one run. Its methods may fail or wait: they are called beside the run."""

    def measured(self, name: str, value: float, step: int) -> None:
        """Record a value; names of a stage's values begin with its name and a slash."""
        ...

    def file(self, name: str, data: bytes) -> None:
        """Record a picture or a page that the run made."""
        ...

    def close(self, whole: bool) -> None:
        """End the record; `whole` is false if the run failed or was stopped."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """What a tracker is told of a run when it starts."""

    folder: Folder
    settings: Mapping[str, str]
    """Dotted name of a setting to its value as text."""


StartTracker = Callable[[TrackedRun], Tracker]
"""A kind of tracker. It is called again where a run goes on, and should go on with its record."""
