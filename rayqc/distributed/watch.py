"""Blocking work watched from outside: what is stuck is said, and nothing waits for ever."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from typing import TypeVar

import ray

from rayqc.background import begin
from rayqc.distributed.register import Attempt, still_there
from rayqc.errors import StoppedError

logger = logging.getLogger(__name__)

T = TypeVar("T")

SECONDS_BETWEEN_LOOKS = 0.5
SAY_AFTER_SECONDS = 120.0
"""Without movement for so long, a line says where things stand; the next after twice as long."""
STUCK_MINUTES = 30.0


class Watchdog:
    """Warns of a stage in which nothing moves, and stops one in which nobody is at work."""

    def __init__(
        self,
        name: str,
        minutes: float | None = STUCK_MINUTES,
        running: Callable[[], Sequence[Attempt]] | None = None,
    ) -> None:
        """`running`: jobs in progress, during which nothing is stopped; None where nobody knows."""
        self._name, self._minutes, self._running = name, minutes, running
        self._done = 0
        self._moved = time.monotonic()
        self._say_after = SAY_AFTER_SECONDS
        self._nodes = len(_nodes())

    def look(self, done: int) -> None:
        """Call it every second or so.

        Raises:
            StoppedError: nothing has moved for the minutes set, and nobody is at work.
        """
        now = time.monotonic()
        if done != self._done:
            self._done, self._moved, self._say_after = done, now, SAY_AFTER_SECONDS
            return
        quiet = now - self._moved
        stuck = self._minutes is not None and quiet > 60 * self._minutes
        if stuck and (self._running is None or not self._running()):
            raise StoppedError(f"{self._say(quiet)}; stopped, run again to resume")
        if quiet > self._say_after:
            if stuck and self._running and not still_there(self._running()):
                raise StoppedError(f"{self._say(quiet)}; all dead, stopped, run again to resume")
            self._say_after = 2 * quiet
            # Jobs that take long are no reason for an alarm.
            running = self._running() if self._running else ()
            level = logging.INFO if running and still_there(running) else logging.WARNING
            logger.log(level, self._say(quiet))

    def _say(self, quiet: float) -> str:
        return f"{self._name}: nothing has moved for {quiet:.0f} s; {self._describe()}"

    def _describe(self) -> str:
        nodes = _nodes()
        lost = f" of {self._nodes} at the start" if len(nodes) < self._nodes else ""
        free, held = ray.available_resources(), ray.cluster_resources()
        text = f"Ray has {len(nodes)} node{'' if len(nodes) == 1 else 's'}{lost}, "
        text += f"{free.get('CPU', 0):.0f} of {held.get('CPU', 0):.0f} CPUs free"
        if held.get("GPU"):
            text += f", {free.get('GPU', 0):.0f} of {held['GPU']:.0f} GPUs free"
        if self._running is None:
            return text
        running = self._running()
        if not running:
            return f"{text}; no worker is at anything"
        oldest = sorted(running, key=lambda attempt: attempt.since)[:5]
        names = {node["NodeID"]: node["NodeManagerHostname"] for node in nodes}
        at = ", ".join(
            f"number {one.job} (process {one.pid} on {names.get(one.node, one.node[:8])}, for "
            f"{time.time() - one.since:.0f} s)"
            for one in oldest
        )
        return f"{text}; {len(running)} in progress, the oldest {at}"


def in_thread(work: Callable[[], T], look: Callable[[], None]) -> T:
    """What `work` returns or raises, while this thread calls `look` again and again.

    Ray's blocking calls run in a daemon thread: in the main thread Ray Train takes Ctrl-C for
    itself and exits without a word, and nothing could end a wait that has no end.
    """
    answer = begin(work)
    while not answer.done():
        wait([answer], timeout=SECONDS_BETWEEN_LOOKS)
        look()
    return answer.result()


def _nodes() -> list[dict[str, str]]:
    return [node for node in ray.nodes() if node["Alive"]]
