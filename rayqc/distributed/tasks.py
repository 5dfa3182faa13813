"""Independent jobs as Ray tasks of one CPU each."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from typing import Any

import ray

from rayqc.distributed.register import open_register
from rayqc.distributed.session import plain_errors
from rayqc.distributed.watch import SECONDS_BETWEEN_LOOKS, STUCK_MINUTES, Watchdog
from rayqc.progress import Stage

MOST_AT_ONCE = 500
"""Tasks that Ray is told of; the others wait in the driver, where they are cheaper."""


def run_tasks(
    function: Callable[..., Any],
    jobs: Iterable[tuple[Any, ...]],
    stage: Stage | None = None,
    gpu: bool = False,
    minutes: float | None = STUCK_MINUTES,
) -> list[Any]:
    """What `function` returns for each job's arguments, in the jobs' order.

    A job whose worker or node dies is done again, at most three times.

    Args:
        function: one task is one call of it.
        jobs: arguments; those that `share` gave are fetched by the task.
        stage: advanced by one a job.
        gpu: give each task a GPU.
        minutes: with nobody at work and no job ended for so long, it is stopped.

    Raises:
        StoppedError: workers died too often, or nobody takes the jobs up.
    """
    register = open_register()

    # The register is an argument: one that the function held would live as long as the driver.
    def report(register: Any, number: int, *job: Any) -> Any:
        context = ray.get_runtime_context()
        ray.get(register.begin.remote(number, context.get_node_id(), os.getpid()))
        found = function(*job)
        register.end.remote(number)
        return found

    task = ray.remote(num_cpus=1, num_gpus=1 if gpu else 0)(report)
    name = stage.name if stage else function.__name__.strip("_")
    watchdog = Watchdog(name, minutes, lambda: ray.get(register.running.remote()))
    found: dict[int, Any] = {}
    pending: dict[Any, int] = {}
    try:
        with plain_errors():
            numbered = enumerate(jobs)
            while True:
                for n, job in itertools.islice(numbered, MOST_AT_ONCE - len(pending)):
                    pending[task.remote(register, n, *job)] = n
                if not pending:
                    break
                ready, _ = ray.wait([*pending], num_returns=1, timeout=SECONDS_BETWEEN_LOOKS)
                for ref in ready:
                    found[pending.pop(ref)] = ray.get(ref)
                if stage is not None and ready:
                    stage.advance(len(ready))
                watchdog.look(len(found))
    finally:
        for ref in pending:
            ray.cancel(ref, force=True)
        ray.kill(register)
    return [found[number] for number in sorted(found)]


def share(value: Any) -> Any:
    """A value in Ray's object store, for the arguments of many jobs."""
    return ray.put(value)
