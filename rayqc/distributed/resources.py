"""How many workers, on what."""

from __future__ import annotations

import uuid
from typing import Literal

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayqc.config import Resources
from rayqc.errors import UserError
from rayqc.storage import Folder


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


def require_shared(folder: Folder) -> None:
    """Refuse a local folder that not every node of a cluster sees, before work is lost in it.

    Raises:
        UserError: a node does not see what this one writes there.
    """
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    if not folder.is_local or len(nodes) < 2:
        return
    marker = f".shared-{uuid.uuid4().hex[:8]}"
    folder.write(marker, b"")
    task = ray.remote(num_cpus=0)(_sees)
    asked = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            folder, marker
        )
        for node in nodes
    ]
    seen = ray.get(asked)
    folder.delete([marker])
    if not all(seen):
        raise UserError(
            f"{folder} is local, and {seen.count(False)} of the cluster's {len(nodes)} nodes do "
            "not see it; give a folder on a shared file system, or a URL of an object store"
        )


def _sees(folder: Folder, marker: str) -> bool:
    return folder.exists(marker)


def training_cpus(resources: Resources) -> int:
    """CPUs of one training worker: as set, or as many as let all workers fit on the nodes.

    Raises:
        UserError: the workers do not fit, so that training would wait for ever.
    """
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    wanted = resources.cpus_per_worker
    tries = range(max(nodes, default=1), 0, -1) if wanted is None else [wanted]
    for cpus in tries:
        if sum(node // cpus for node in nodes) >= resources.train_workers:
            return cpus
    raise UserError(
        f"resources.train_workers is {resources.train_workers}, with {wanted or 1} CPUs each, but "
        f"Ray's nodes have {nodes} CPUs; ask for fewer"
    )
