"""GPUs, actors and CPUs that a stage gets, and a check that every node sees its folder."""

from __future__ import annotations

import logging
import math
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import ray
from ray._private.state import available_resources_per_node
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayqc.config import Resources
from rayqc.errors import UserError
from rayqc.ledger.clean import MARKER
from rayqc.storage import Folder

logger = logging.getLogger(__name__)

CPUS_AN_ACTOR = 4
"""CPUs that each of the actors which share a GPU has for decoding and scoring."""
MOST_A_GPU = 4
"""Actors that share a GPU, unless more are asked for: each holds a copy of the encoder there."""
SHARED = "give a folder on a shared file system, or a URL of an object store"
SECONDS_TO_SETTLE = 3.0
"""Ray learns so late that a stage's actors have ended and hold their CPUs no more."""


def gpus_wanted(use_gpu: bool | Literal["auto"]) -> bool:
    """Should this run use GPUs?

    Raises:
        UserError: `use_gpu` is true and Ray sees no GPU.
    """
    has_gpu = ray.cluster_resources().get("GPU", 0) >= 1
    if use_gpu is True and not has_gpu:
        raise UserError("resources.use_gpu is true, but Ray sees no GPU; use auto or false")
    return has_gpu if use_gpu == "auto" else use_gpu


def cpus_per_gpu() -> int:
    """CPUs of the cluster for each of its GPUs, at least 1."""
    has = ray.cluster_resources()
    return max(1, int(has.get("CPU", 1) / max(has.get("GPU", 1), 1)))


def free_and_all(
    resource: Literal["CPU", "GPU"], enough: int | None = None
) -> tuple[list[int], list[int]]:
    """Whole CPUs or GPUs of each node: those that nobody holds, and all.

    Args:
        enough: so many free ones are not waited to become more; None waits for all to settle.
    """
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while True:
        free_by_node = available_resources_per_node()
        nodes = [node for node in ray.nodes() if node["Alive"]]
        totals = [int(node["Resources"].get(resource, 0)) for node in nodes]
        free = [int(free_by_node.get(node["NodeID"], {}).get(resource, 0)) for node in nodes]
        is_enough = enough is not None and sum(free) >= enough
        if is_enough or free == totals or time.monotonic() > deadline:
            return free, totals
        time.sleep(SECONDS_TO_SETTLE / 30)


def sharers(cpus: int) -> int:
    """How many actors share a GPU that has so many CPUs, unless a number is asked for."""
    return min(MOST_A_GPU, max(1, cpus // CPUS_AN_ACTOR))


def actors_per_gpu(asked: int | Literal["auto"]) -> int:
    """How many encoding actors share a GPU: it encodes faster than one process decodes and writes.

    Args:
        asked: the setting `filter.actors`; `auto` gives each GPU one for every `CPUS_AN_ACTOR` of
            its CPUs, at most `MOST_A_GPU`.
    """
    if asked == "auto":
        return sharers(cpus_per_gpu())
    return max(1, math.ceil(asked / max(1, int(ray.cluster_resources().get("GPU", 1)))))


@dataclass(frozen=True, kw_only=True)
class Actors:
    """How many actors a stage has."""

    first: int
    """Those that it begins with, and keeps."""
    most: int
    """Those that it may come to have, where nodes join or others leave theirs."""
    a_gpu: int
    """How many share a GPU; 0 for actors on CPUs."""


def actors_for(name: str, asked: int | Literal["auto"], work: int, a_gpu: int = 0) -> Actors:
    """Actors to start: `asked`, or as many as find room; never more than `work`.

    An actor keeps one CPU (and its share of a GPU) for the whole stage. Nothing else in the stage
    needs a CPU, so a machine with one CPU is enough. Where others hold all, one line says so.

    Args:
        name: of the stage, for that line.
        a_gpu: how many actors share a GPU; 0 for actors on CPUs.
    """
    most = work if asked == "auto" else min(asked, work)
    each = max(1, a_gpu)
    free = sum(free_and_all("GPU" if a_gpu else "CPU", enough=-(-most // each))[0])
    say_if_none_is_free(name, free, a_gpu > 0)
    return Actors(first=max(1, min(free * each, most)), most=max(1, most), a_gpu=a_gpu)


def say_if_none_is_free(name: str, free: int, gpu: bool) -> None:
    """Say that a stage waits for others, where they hold every GPU or CPU."""
    if free:
        return
    resource = "GPU" if gpu else "CPU"
    less = "resources.use_gpu: false needs none" if gpu else "no setting needs less than one"
    logger.warning(
        "%s: waits for a %s: all %d of this Ray are held by others; %s",
        name,
        resource,
        ray.cluster_resources().get(resource, 0),
        less,
    )


@contextmanager
def seen_by_all(folder: Folder) -> Iterator[str]:
    """Refuse a local folder that some node does not see, before work is lost in it.

    Yields:
        Name of a file that lies there meanwhile, for `require_seen` on nodes that join later; empty
        for a folder that is no local one.

    Raises:
        UserError: a node does not see a file that this process writes there.
    """
    if not folder.is_local:
        yield ""
        return
    marker = f"{MARKER}{uuid.uuid4().hex[:8]}"
    folder.write(marker, b"")
    try:
        _require_on_all(folder, marker)
        yield marker
    finally:
        folder.delete([marker])


def require_seen(folder: Folder, marker: str) -> None:
    """Refuse to work on this node in a folder of which `seen_by_all` left a marker elsewhere.

    Raises:
        UserError: this node does not see the marker.
    """
    if marker and not folder.exists(marker):
        raise UserError(
            f"{folder} is local, and node {socket.gethostname()}, which joined later, does not see "
            f"it; {SHARED}"
        )


def _require_on_all(folder: Folder, marker: str) -> None:
    node_ids = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    if len(node_ids) < 2:
        return
    task = ray.remote(num_cpus=0)(_sees)
    answer_refs = [
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)
        ).remote(folder, marker)
        for node_id in node_ids
    ]
    sees_marker = ray.get(answer_refs)
    if not all(sees_marker):
        raise UserError(
            f"{folder} is local, and {sees_marker.count(False)} of the cluster's {len(node_ids)} "
            f"nodes do not see it; {SHARED}"
        )


def _sees(folder: Folder, marker: str) -> bool:
    return folder.exists(marker)


def training_cpus(resources: Resources) -> int:
    """CPUs of one training worker: as set, or the most with which all workers fit on what is free.

    Where others hold so much that not all workers fit, one line says what is waited for.

    Raises:
        UserError: the workers do not even fit on the nodes, and training would wait for ever.
    """
    free, totals = free_and_all("CPU")
    workers, cpus_set = resources.fewest_workers, resources.cpus_per_worker
    cpu_counts = range(max(totals, default=1), 0, -1) if cpus_set is None else [cpus_set]
    for cpus in cpu_counts:
        if _fit(workers, cpus, free):
            return cpus
    least = cpus_set or 1
    if not _fit(workers, least, totals):
        raise UserError(
            f"resources.train_workers is {workers}, with {least} CPUs each, but Ray's nodes have "
            f"{totals} CPUs; ask for fewer"
        )
    logger.warning(
        "train: waits for %d workers of %d CPUs: others hold all but %d of %d; "
        "resources.train_workers%s asks for less",
        workers,
        least,
        sum(free),
        sum(totals),
        " or resources.cpus_per_worker" if least > 1 else "",
    )
    return least


def _fit(workers: int, cpus: int, node_cpus: list[int]) -> bool:
    return sum(available // cpus for available in node_cpus) >= workers
