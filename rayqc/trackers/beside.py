"""Run a tracker in a thread beside the run, so that its failure or delay costs the run nothing.

A tracker that fails is warned of once, and left out from then on.
"""

from __future__ import annotations

import logging
import queue
import re
from collections.abc import Callable, Mapping
from typing import Any

from rayqc.background import begin
from rayqc.kinds import TRACKERS
from rayqc.printable import printable
from rayqc.trackers.base import TrackedRun, Tracker

logger = logging.getLogger(__name__)

SECONDS_TO_END = 20.0
"""How long the end of a run waits for what a tracker has not yet taken."""
MOST_WAITING = 100_000
"""Values that wait for a slow tracker; later ones are dropped."""
ODD = re.compile(r"[^\w\-. /]")

Call = Callable[[Tracker], None]


class Beside:
    """One tracker, in its thread."""

    def __init__(self, kind: str, run: TrackedRun) -> None:
        self._kind = kind
        self._waiting: queue.Queue[Call | None] = queue.Queue(MOST_WAITING)
        self._ended = begin(lambda: self._serve(run))

    def measured(self, name: str, value: float, step: int) -> None:
        """Pass a value on."""
        # MLflow and TensorBoard take letters, digits and few marks in a name.
        own_name = ODD.sub("_", printable(name))
        self._pass(lambda tracker: tracker.measured(own_name, float(value), step))

    def file(self, name: str, data: bytes) -> None:
        """Pass a picture or a page on."""
        self._pass(lambda tracker: tracker.file(name, data))

    def close(self, whole: bool) -> None:
        """Wait until it has taken everything, but not for long."""
        self._pass(lambda tracker: tracker.close(whole))
        self._pass(None)
        try:
            self._ended.result(timeout=SECONDS_TO_END)
        except TimeoutError:
            logger.warning(
                "tracker %s: it has not answered for %g s, so the end of the run is missing there",
                self._kind,
                SECONDS_TO_END,
            )

    def _pass(self, call: Call | None) -> None:
        try:
            self._waiting.put_nowait(call)
        except queue.Full:
            logger.debug("tracker %s is too slow; a value is dropped", self._kind)

    def _serve(self, run: TrackedRun) -> None:
        try:
            tracker: Tracker = TRACKERS[self._kind](run)
            while (call := self._waiting.get()) is not None:
                call(tracker)
        except ImportError as error:
            hint = f"{error}; pip install 'rayqc[{self._kind}]'"
            logger.warning("tracker %s: %s; the run goes on without it", self._kind, hint)
        except Exception as error:
            logger.warning(
                "tracker %s: %s: %s; the run goes on without it",
                self._kind,
                type(error).__name__,
                printable(str(error))[:500],
            )


def numbers_in(value: Any, name: str) -> dict[str, float]:
    """All numbers in nested mappings, by their keys joined with slashes; lists are left out."""
    if isinstance(value, Mapping):
        return {
            key: number
            for inner_name, inner in value.items()
            for key, number in numbers_in(inner, f"{name}/{inner_name}").items()
        }
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {name: float(value)}
    return {}
