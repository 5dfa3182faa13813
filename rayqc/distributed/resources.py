"""GPUs, actors and CPUs that a stage gets, and a check that every node sees its folder."""

from __future__ import annotations

import uuid
from typing import Literal

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayqc.config import Resources
from rayqc.errors import UserError
from rayqc.storage import Folder


def gpus_wanted(use_gpu: bool | Literal["auto"]) -> bool:
    """Should this run use GPUs?

    Raises:
        UserError: `use_gpu` is true and Ray sees no GPU.
    """
    has_gpu = ray.cluster_resources().get("GPU", 0) >= 1
    if use_gpu is True and not has_gpu:
        raise UserError("resources.use_gpu is true, but Ray sees no GPU; use auto or false")
    return has_gpu if use_gpu == "auto" else use_gpu


def actor_count(asked: int | Literal["auto"], work: int, gpu: bool) -> int:
    """Number of actors to start: `asked`, or one for each GPU or CPU; never more than `work`.

    An actor keeps one CPU (and one GPU, with `gpu`) for the whole stage. Nothing else in the stage
    needs a CPU, so a machine with one CPU is enough.
    """
    available = int(ray.cluster_resources().get("GPU" if gpu else "CPU", 1))
    limit = available if asked == "auto" else min(asked, available)
    return max(1, min(limit, work))


def require_shared(folder: Folder) -> None:
    """Refuse a local folder that some node does not see, before work is lost in it.

    Raises:
        UserError: a node does not see a file that this process writes there.
    """
    node_ids = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    if not folder.is_local or len(node_ids) < 2:
        return
    marker = f".shared-{uuid.uuid4().hex[:8]}"
    folder.write(marker, b"")
    task = ray.remote(num_cpus=0)(_sees)
    answer_refs = [
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)
        ).remote(folder, marker)
        for node_id in node_ids
    ]
    sees_marker = ray.get(answer_refs)
    folder.delete([marker])
    if not all(sees_marker):
        raise UserError(
            f"{folder} is local, and {sees_marker.count(False)} of the cluster's {len(node_ids)} "
            "nodes do not see it; give a folder on a shared file system, or a URL of an "
            "object store"
        )


def _sees(folder: Folder, marker: str) -> bool:
    return folder.exists(marker)


def training_cpus(resources: Resources) -> int:
    """CPUs of one training worker: as set, or the most with which all workers fit on the nodes.

    Raises:
        UserError: the workers do not fit, and training would wait for ever.
    """
    node_cpus = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    cpus_set = resources.cpus_per_worker
    cpu_counts = range(max(node_cpus, default=1), 0, -1) if cpus_set is None else [cpus_set]
    for cpus in cpu_counts:
        if sum(available // cpus for available in node_cpus) >= resources.train_workers:
            return cpus
    raise UserError(
        f"resources.train_workers is {resources.train_workers}, with {cpus_set or 1} CPUs each, "
        f"but Ray's nodes have {node_cpus} CPUs; ask for fewer"
    )
