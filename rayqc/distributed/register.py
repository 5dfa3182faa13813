"""Who is at which job since when: what a watchdog reports, and how a job that kills is known.

A job is begun here before it is done and ended after. One that is begun again without an end
took its worker down, unless the worker's whole node went, which says nothing of the job.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

DO, ISOLATE, LEAVE, GIVE_UP = "do", "isolate", "leave", "give up"

DEATHS_TO_ISOLATE = 2
DEATHS_TO_GIVE_UP = 6
SECONDS_TO_ANSWER = 30.0


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A job in the hands of a worker."""

    job: int
    node: str
    """Ray's id of the worker's node."""
    pid: int
    actor: str | None
    """Ray's id of the actor, the same after a restart; None for a task."""
    since: float
    """Seconds since 1970, on the register's clock."""


class Register:
    """Jobs in progress, deaths by job, and the workers' actors."""

    def __init__(self, living: Callable[[], set[str]]) -> None:
        self._living = living
        self._running: dict[int, Attempt] = {}
        self._ended: list[tuple[int, dict[str, int]]] = []
        self._deaths: Counter[int] = Counter()
        self._actors: dict[str, Any] = {}
        self._stopped = False

    def enrol(self, name: str, actor: Any) -> None:
        """An actor starts, or starts again: then it died of what it was at."""
        self._actors[name] = actor
        for attempt in [one for one in self._running.values() if one.actor == name]:
            self._bury(attempt)

    def begin(self, job: int, node: str, pid: int, actor: str | None = None) -> str:
        """A worker takes a job up; what it is to do with it."""
        if self._stopped:
            return LEAVE
        if job in self._running:
            self._bury(self._running[job])
        if self._deaths[job] >= DEATHS_TO_GIVE_UP:
            return GIVE_UP
        self._running[job] = Attempt(job=job, node=node, pid=pid, actor=actor, since=time.time())
        return ISOLATE if self._deaths[job] >= DEATHS_TO_ISOLATE else DO

    def end(self, job: int, outcomes: dict[str, int] | None = None) -> None:
        """The job is done, or failed with an error that the worker lived to tell.

        Args:
            outcomes: rows by outcome, if the job has such.
        """
        if self._running.pop(job, None):
            self._ended.append((job, outcomes or {}))

    def ended(self) -> list[tuple[int, dict[str, int]]]:
        """Jobs that ended since this was last asked, and their rows by outcome; one may stand here
        twice.
        """
        found, self._ended = self._ended, []
        return found

    def stop(self) -> None:
        """No job is taken up from now on."""
        self._stopped = True

    def running(self) -> list[Attempt]:
        """Jobs in the hands of workers whose nodes are alive."""
        living = self._living()
        return [attempt for attempt in self._running.values() if attempt.node in living]

    def _bury(self, attempt: Attempt) -> None:
        del self._running[attempt.job]
        if attempt.node in self._living():
            self._deaths[attempt.job] += 1

    def dismiss(self) -> list[Any]:
        """The actors enrolled, and forget them and what they had begun."""
        actors, self._actors, self._running = [*self._actors.values()], {}, {}
        return actors


def living_nodes() -> set[str]:
    """Ray's ids of the nodes that are up."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def still_there(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those whose processes live; asks their nodes."""
    task = ray.remote(num_cpus=0)(_lives)
    asked = [
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(attempt.node, soft=False)
        ).remote(attempt.pid)
        for attempt in attempts
    ]
    ready, _ = ray.wait(asked, num_returns=len(asked), timeout=SECONDS_TO_ANSWER)
    found = []
    for attempt, answer in zip(attempts, asked, strict=True):
        with suppress(RayError):  # its node is gone
            if answer in ready and ray.get(answer):
                found.append(attempt)
    return found


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def open_register() -> Any:
    """A register as an actor on the driver's node: it must not go down with another."""
    return on_this_node(Register).remote(living_nodes)


def on_this_node(kind: type) -> Any:
    """An actor class whose actors live on the driver's node and hold no CPU."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(kind)
