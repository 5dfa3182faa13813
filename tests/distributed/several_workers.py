"""Trainings whose workers are on several nodes, real raylets on this machine.

    python -m tests.distributed.several_workers CASE FOLDER

`together`: a VAE and a GAN by two workers, each on a node of its own, and by fewer nodes.
`grows`: an elastic training, which a node joins. `shrinks`: one that loses a node. Prints one JSON
object. A process of its own, since the tests' own Ray is another.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster
from safetensors.torch import load_file

import rayqc
from rayqc.config import Config
from tests.conftest import tiny
from tests.distributed.lose_a_node import LOST_NODE, Loss
from tests.distributed.more_nodes import Nodes

STEPS = 400
SNAPSHOT = Path("model", "checkpoints", "checkpoint_manager_snapshot.json")
GAN = {"kind": "gan", "steps": 12, "checkpoint_every": 6, "per_class": 1, "width": 4}


def settings(workers: Any, steps: int) -> Config:
    return rayqc.make_config(
        tiny(
            encoder={"steps": steps, "width": 0.05, "checkpoint_every": 10, "allow_collapse": True},
            pool=[GAN],
            resources={"train_workers": workers, "cpus_per_worker": 1, "stuck_minutes": 3.0},
        )
    )


def furthest(one: Path, other: Path) -> float:
    """The largest difference of two networks' weights, beside their largest."""
    first, second = load_file(one), load_file(other)
    assert first.keys() == second.keys()
    most = max(float(value.abs().max()) for value in first.values())
    return max(float((first[name] - second[name]).abs().max()) for name in first) / most


def trained(run: Path, workers: Any, steps: int = 40) -> int:
    """Train a VAE and a GAN; on how many nodes the VAE was trained."""
    nodes = Nodes()
    rayqc.train(settings(workers, steps), str(run))
    nodes.over.set()
    rayqc.generate(str(run))
    with_cpus = {node["NodeID"] for node in ray.nodes() if node["Resources"].get("CPU")}
    return len([node for node in with_cpus if nodes.busy[node] > 2])


def together(cluster: Cluster, folder: Path) -> dict[str, Any]:
    alone = trained(folder / "one", 1)
    second = cluster.add_node(**LOST_NODE)
    apart = trained(folder / "apart", 2)
    cluster.remove_node(second)
    cluster.remove_node(cluster.list_all_nodes()[1])
    cluster.add_node(num_cpus=2, object_store_memory=10**8)
    near = trained(folder / "near", 2)
    vae, gan = "model/weights.safetensors", "generators/gan/weights.safetensors"
    return {
        "nodes": [alone, apart, near],
        "vae": furthest(folder / "one" / vae, folder / "apart" / vae),
        "gan": furthest(folder / "near" / gan, folder / "apart" / gan),
    }


def record_of(run: Path) -> dict[str, Any]:
    record = json.loads((run / "model" / "model.json").read_text())["record"]
    return {"workers": record["workers"], "starts": record["starts"], "steps": record["steps"]}


def grows(cluster: Cluster, folder: Path) -> dict[str, Any]:
    from rayqc.distributed import trainer

    trainer.SECONDS_TO_LOOK = 5.0
    run = folder / "run"
    begun = run / SNAPSHOT
    work = threading.Thread(target=rayqc.train, args=(settings([1, 2], STEPS), str(run)))
    work.start()
    while not begun.exists():
        time.sleep(0.05)
    cluster.add_node(**LOST_NODE)
    work.join()
    return record_of(run)


def shrinks(cluster: Cluster, folder: Path) -> dict[str, Any]:
    cluster.add_node(**LOST_NODE)
    run = folder / "run"
    loss = Loss(cluster, (run / SNAPSHOT).exists)
    rayqc.train(settings([1, 2], STEPS), str(run))
    return {"lost": loss.lost, **record_of(run)}


CASES = {"together": together, "grows": grows, "shrinks": shrinks}


def main() -> None:
    """One case, on a cluster whose head has no CPU and whose first node has one."""
    case, folder = sys.argv[1], Path(sys.argv[2])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.add_node(**LOST_NODE)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    try:
        print(json.dumps(CASES[case](cluster, folder)))
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
