"""Independent jobs as Ray tasks of one CPU each."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from typing import Any

import ray

from rayqc.distributed.register import open_register
from rayqc.distributed.resources import free_and_all, say_if_none_is_free
from rayqc.distributed.session import plain_errors
from rayqc.distributed.watch import SECONDS_BETWEEN_LOOKS, STUCK_MINUTES, Watchdog
from rayqc.progress import Stage

MOST_AT_ONCE = 500
"""Most tasks that Ray holds at once; the others wait in the driver, where they cost less."""


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
        jobs: arguments; a task gets the value of an argument that `put_shared` made.
        stage: advanced by one a job.
        gpu: give each task a GPU.
        minutes: the work is stopped after this time without an ended job and without a worker at
            a job; None never stops it.

    Raises:
        StoppedError: workers died too often, or no worker takes the jobs up.
    """
    register = open_register()

    # The register is an argument, since one in the closure would live as long as the driver.
    def report(register: Any, number: int, *job: Any) -> Any:
        context = ray.get_runtime_context()
        # Not waited for: a task that waits gives its CPU away, and comes back as one too many.
        register.begin.remote(number, context.get_node_id(), os.getpid())
        result = function(*job)
        register.end.remote(number)
        return result

    task = ray.remote(num_cpus=1, num_gpus=1 if gpu else 0)(report)
    name = stage.name if stage else function.__name__.strip("_")
    say_if_none_is_free(name, sum(free_and_all("GPU" if gpu else "CPU", enough=1)[0]), gpu)
    watchdog = Watchdog(name, minutes, lambda: ray.get(register.running.remote()))
    results: dict[int, Any] = {}
    pending: dict[Any, int] = {}
    try:
        with plain_errors():
            numbered = enumerate(jobs)
            while True:
                for number, job in itertools.islice(numbered, MOST_AT_ONCE - len(pending)):
                    pending[task.remote(register, number, *job)] = number
                if not pending:
                    break
                ready, _ = ray.wait([*pending], num_returns=1, timeout=SECONDS_BETWEEN_LOOKS)
                for ref in ready:
                    results[pending.pop(ref)] = ray.get(ref)
                if stage is not None and ready:
                    stage.advance(len(ready))
                watchdog.look(len(results))
    finally:
        for ref in pending:
            ray.cancel(ref, force=True)
        ray.kill(register)
    return [results[number] for number in sorted(results)]


def get_shared(reference: Any) -> Any:
    """The value that `put_shared` put."""
    return ray.get(reference)


def put_shared(value: Any) -> Any:
    """Put a value in Ray's object store once, for the arguments of many jobs."""
    return ray.put(value)
