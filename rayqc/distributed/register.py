"""Who is at which job since when: what a watchdog reports, and how a job that kills is known.

A job is begun here before it is done and ended after. One that is begun again without an end
took its worker down, unless the worker's whole node went, which says nothing of the job.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

DO, ISOLATE, LEAVE, GIVE_UP = "do", "isolate", "leave", "give up"

DEATHS_TO_ISOLATE = 2
DEATHS_TO_GIVE_UP = 6


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A job in the hands of a worker."""

    job: int
    node: str
    """Ray's id of the worker's node."""
    pid: int
    since: float
    """Seconds since 1970, on the register's clock."""


class Register:
    """Jobs in progress, deaths by job, and the workers' actors."""

    def __init__(self, living: Callable[[], set[str]]) -> None:
        self._living = living
        self._running: dict[int, Attempt] = {}
        self._deaths: Counter[int] = Counter()
        self._actors: list[Any] = []
        self._stopped = False

    def enrol(self, actor: Any) -> None:
        """Remember a worker's actor."""
        if actor not in self._actors:
            self._actors.append(actor)

    def begin(self, job: int, node: str, pid: int) -> str:
        """A worker takes a job up; what it is to do with it."""
        if self._stopped:
            return LEAVE
        earlier = self._running.get(job)
        if earlier is not None and earlier.node in self._living():
            self._deaths[job] += 1
        if self._deaths[job] >= DEATHS_TO_GIVE_UP:
            return GIVE_UP
        self._running[job] = Attempt(job=job, node=node, pid=pid, since=time.time())
        return ISOLATE if self._deaths[job] >= DEATHS_TO_ISOLATE else DO

    def end(self, job: int) -> None:
        """The job is done, or failed with an error that the worker lived to tell."""
        self._running.pop(job, None)

    def stop(self) -> None:
        """No job is taken up from now on."""
        self._stopped = True

    def running(self) -> list[Attempt]:
        """Jobs in the hands of workers whose nodes are alive."""
        living = self._living()
        return [attempt for attempt in self._running.values() if attempt.node in living]

    def dismiss(self) -> list[Any]:
        """The actors enrolled, and forget them and what they had begun."""
        actors, self._actors, self._running = self._actors, [], {}
        return actors


def living_nodes() -> set[str]:
    """Ray's ids of the nodes that are up."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def open_register() -> Any:
    """A register as an actor on the driver's node: it must not go down with another."""
    return on_this_node(Register).remote(living_nodes)


def on_this_node(kind: type) -> Any:
    """An actor class whose actors live on the driver's node and hold no CPU."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(kind)
