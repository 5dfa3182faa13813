"""How many workers, on what."""

from __future__ import annotations

from typing import Literal

import ray

from rayqc.config import Resources
from rayqc.errors import UserError


def gpus_wanted(use_gpu: bool | Literal["auto"]) -> bool:
    """Whether to use GPUs.

    Raises:
        UserError: they are asked for and Ray sees none.
    """
    seen = ray.cluster_resources().get("GPU", 0) >= 1
    if use_gpu is True and not seen:
        raise UserError("resources.use_gpu is true, but Ray sees no GPU; use auto or false")
    return seen if use_gpu == "auto" else use_gpu


def actor_count(asked: int | Literal["auto"], work: int, gpu: bool) -> int:
    """Actors to start: what was asked, or one a GPU or CPU; never more than there is work for.

    Each actor holds one CPU (and GPU) for good, and nothing else in its stage needs one,
    so a machine of one CPU is enough.
    """
    held = int(ray.cluster_resources().get("GPU" if gpu else "CPU", 1))
    most = held if asked == "auto" else min(asked, held)
    return max(1, min(most, work))


def training_cpus(resources: Resources) -> int:
    """CPUs of one training worker: as set, or an even share of the smallest node's."""
    if resources.cpus_per_worker is not None:
        return resources.cpus_per_worker
    nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    total = sum(int(cpus) for cpus in nodes)
    largest = int(max(nodes, default=1))
    return max(1, min(largest, total // resources.train_workers))
