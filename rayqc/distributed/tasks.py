"""Independent jobs as Ray tasks of one CPU each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray

from rayqc.distributed.session import plain_errors
from rayqc.progress import Stage


def run_tasks(
    function: Callable[..., Any],
    jobs: Sequence[tuple[Any, ...]],
    stage: Stage | None = None,
    gpu: bool = False,
) -> list[Any]:
    """What `function` returns for each job's arguments, in the jobs' order.

    Args:
        function: one task is one call of it.
        jobs: arguments; those that `share` gave are fetched by the task.
        stage: advanced by one a job.
        gpu: give each task a GPU.
    """
    task = ray.remote(num_cpus=1, num_gpus=1 if gpu else 0)(function)
    with plain_errors():
        refs = [task.remote(*job) for job in jobs]
        pending = refs
        while pending:
            ready, pending = ray.wait(pending, num_returns=1)
            ray.get(ready)
            if stage is not None:
                stage.advance(len(ready))
        return [ray.get(ref) for ref in refs]


def share(value: Any) -> Any:
    """A value in Ray's object store, for the arguments of many jobs."""
    return ray.put(value)
