"""One stage on a cluster of three real raylets, one of which is killed in the middle of it.

    python -m tests.distributed.lose_a_node STAGE FOLDER

Prints one JSON object: what came out, undisturbed and disturbed. A process of its own, since the
tests' own Ray is another.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray._private.state import available_resources_per_node
from ray.cluster_utils import Cluster

import rayqc
from rayqc.errors import StoppedError
from tests.conftest import tiny
from tests.distributed import faulty
from tests.distributed.test_faults import outcome

BUNDLED = Path(rayqc.__file__).parent / "data" / "mnist5k-test.parquet"
STEPS = 300
LOST_NODE = {"num_cpus": 1, "object_store_memory": 10**8}


class Loss:
    """Kills a node that holds work, once something has happened.

    `lost` is True only if a task or an actor held the node's CPU when it went.
    """

    def __init__(self, cluster: Cluster, when: Callable[[], bool]) -> None:
        self.cluster, self.when, self.lost = cluster, when, False
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        while not self.when():
            time.sleep(0.05)
        while not (busy := self._busy()):
            time.sleep(0.05)
        self.cluster.remove_node(busy[-1], allow_graceful=False)
        self.lost = True

    def _busy(self) -> list[Any]:
        free = available_resources_per_node()
        nodes = self.cluster.list_all_nodes()[1:]
        return [node for node in nodes if not free.get(node.node_id, {"CPU": 1}).get("CPU")]


def count(folder: Path, pattern: str) -> int:
    return len(list(folder.glob(pattern)))


def run_config(workers: int) -> rayqc.Config:
    return rayqc.make_config(
        tiny(
            encoder={"steps": STEPS, "width": 0.05, "checkpoint_every": 20, "allow_collapse": True},
            resources={"train_workers": workers, "cpus_per_worker": 1, "stuck_minutes": 2.0},
            filter={"unit_rows": 30, "actors": 3},
            classify={"seeds": 3, "steps": 60, "arms": ["real", "all", "accepted"]},
        )
    )


def lose_in_train_with_one_to_spare(cluster: Cluster, folder: Path) -> dict[str, object]:
    run = folder / "run"
    snapshot = run / "model" / "checkpoints" / "checkpoint_manager_snapshot.json"
    loss = Loss(cluster, snapshot.exists)
    rayqc.train(run_config(2), str(run))
    record = json.loads((run / "model" / "model.json").read_text())["record"]
    steps = [one["step"] for one in record["history"]]
    return {"lost": loss.lost, "steps": steps, "starts": record["starts"]}


def lose_in_train(cluster: Cluster, folder: Path) -> dict[str, object]:
    """Three workers on three nodes; with two left they wait until there is a third again."""
    run = folder / "run"
    snapshot = run / "model" / "checkpoints" / "checkpoint_manager_snapshot.json"
    loss = Loss(cluster, snapshot.exists)
    stopped = ""
    try:
        rayqc.train(run_config(3), str(run))
    except StoppedError as error:
        stopped = str(error)
        cluster.add_node(**LOST_NODE)
        rayqc.train(run_config(3), str(run))
    record = json.loads((run / "model" / "model.json").read_text())["record"]
    steps = [one["step"] for one in record["history"]]
    return {"lost": loss.lost, "stopped": stopped, "steps": steps, "starts": record["starts"]}


def lose_in_fit(cluster: Cluster, folder: Path) -> dict[str, object]:
    run = folder / "run"
    rayqc.train(run_config(1), str(run))
    rayqc.fit(str(run))
    sound = {path.name: path.read_bytes() for path in (run / "regions").glob("*")}
    loss = Loss(cluster, lambda: not count(run / "regions", "*"))
    rayqc.fit(str(run), redo=True)
    loss.thread.join(timeout=60)
    found = {path.name: path.read_bytes() for path in (run / "regions").glob("*")}
    return {"lost": loss.lost, "same": found == sound}


def lose_in_filter(cluster: Cluster, folder: Path) -> dict[str, object]:
    """Two of three nodes go, one after the other; the images are healthy all the while."""
    import rayqc.distributed.filter as filter_module

    run, out = folder / "run", folder / "out"
    rayqc.train(run_config(1), str(run))
    rayqc.fit(str(run))
    rayqc.filter_pool(str(run), str(BUNDLED), str(folder / "sound"), limit=900)
    filter_module.FilterWorker = faulty.SlowWorker  # type: ignore[misc]
    losses = 0

    def lose_again_and_again() -> None:
        nonlocal losses
        for commits in (3, 12):
            while count(out, "commits/*.json") < commits:
                time.sleep(0.05)
            cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
            losses += 1

    threading.Thread(target=lose_again_and_again, daemon=True).start()
    totals = rayqc.filter_pool(str(run), str(BUNDLED), str(out), limit=900)
    return {
        "lost": losses,
        "same": outcome(out) == outcome(folder / "sound"),
        "units": totals["units"],
        "commits": count(out, "commits/*.json"),
        "errors": totals["outcomes"]["error"],
    }


def lose_in_classify(cluster: Cluster, folder: Path) -> dict[str, object]:
    run = folder / "run"
    rayqc.run(run_config(1), str(run))
    sound = {path.name: path.read_text() for path in (run / "classify").glob("*")}
    loss = Loss(cluster, lambda: (run / "classify.json").exists() is False)
    rayqc.classify(str(run), redo=True)
    loss.thread.join(timeout=60)
    found = {path.name: path.read_text() for path in (run / "classify").glob("*")}
    return {"lost": loss.lost, "same": found == sound, "trainings": len(found)}


STAGES = {
    "train": lose_in_train,
    "train with one to spare": lose_in_train_with_one_to_spare,
    "fit": lose_in_fit,
    "filter": lose_in_filter,
    "classify": lose_in_classify,
}


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    cluster = Cluster(initialize_head=True, head_node_args=LOST_NODE)
    for _ in range(2):
        cluster.add_node(**LOST_NODE)
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.wait_for_nodes()
    found = STAGES[sys.argv[1]](cluster, Path(sys.argv[2]))
    print(json.dumps(found))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
