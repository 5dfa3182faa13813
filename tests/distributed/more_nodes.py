"""A filter that begins on one node while others are still to come.

    python -m tests.distributed.more_nodes CASE FOLDER

`late`: two nodes join in the middle. `uneven`: all are there, and differ in size. `blind`: one
joins that has another folder at the same place, behind a mount of its own. `autoscaled`: Ray's own
autoscaler, with its provider that starts raylets on this machine, adds up to two nodes if they are
asked for, and takes away what idles. Prints one JSON object. A process of its own, since the tests'
own Ray is another.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

import rayqc
from rayqc.errors import UserError
from tests.conftest import free_port
from tests.distributed import faulty
from tests.distributed.lose_a_node import BUNDLED, LOST_NODE, count, run_config
from tests.distributed.test_faults import outcome

IMAGES = 1000
SECONDS_TO_IDLE = 90
RAY = str(Path(sys.executable).parent / "ray")
WITHOUT_TOKEN = os.environ | {"RAY_AUTH_MODE": "disabled"}
"""As `Cluster` has it."""
CLUSTER = "cluster.json"
OF_IMAGES = "ray_rayqc_images_total"
LABELS = ("stage=", "verdict=", "reason=", "value=")


class Nodes:
    """Which nodes held work, looked at twice a second."""

    def __init__(self) -> None:
        self.busy: Counter[str] = Counter()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        from ray._private.state import available_resources_per_node

        while not self.over.wait(0.5):
            for node, free in available_resources_per_node().items():
                if not free.get("CPU"):
                    self.busy[node] += 1


def alive() -> int:
    return sum(node["Alive"] for node in ray.nodes())


def prepared(folder: Path) -> Path:
    """A fitted run, and a filter of its pool that is left undisturbed."""
    import rayqc.distributed.filter as filter_module

    run = folder / "run"
    config = run_config(1)
    resources = config.resources.model_copy(update={"use_gpu": False})
    filters = config.filter.model_copy(update={"actors": "auto"})
    rayqc.train(config.model_copy(update={"filter": filters, "resources": resources}), str(run))
    rayqc.fit(str(run))
    rayqc.filter_pool(str(run), str(BUNDLED), str(folder / "sound"), limit=IMAGES)
    filter_module.FilterWorker = faulty.SlowWorker  # type: ignore[misc]
    return run


def filtered(folder: Path, meanwhile: Any = lambda out: None) -> dict[str, Any]:
    """Filter in a thread, as only the main thread of a process may start nodes."""
    run, out = folder / "run", folder / "out"
    nodes = Nodes()
    found: list[Any] = []

    def work() -> None:
        try:
            found.append(rayqc.filter_pool(str(run), str(BUNDLED), str(out), limit=IMAGES))
        except UserError as error:
            found.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    meanwhile(out)
    worker.join()
    nodes.over.set()
    if isinstance(found[0], UserError):
        raise found[0]
    return {
        "same": outcome(out) == outcome(folder / "sound"),
        "errors": found[0]["outcomes"]["error"],
        "units": found[0]["units"],
        "commits": count(out, "commits/*.json"),
        "nodes": len([node for node, times in nodes.busy.items() if times > 2]),
    }


def late(folder: Path) -> dict[str, Any]:
    cluster = Cluster(initialize_head=True, head_node_args=LOST_NODE)
    ray.init(address=cluster.address, log_to_driver=False)
    prepared(folder)

    def two_more(out: Path) -> None:
        while count(out, "commits/*.json") < 3:
            time.sleep(0.05)
        for _ in range(2):
            cluster.add_node(**LOST_NODE)

    found = filtered(folder, two_more)
    ray.shutdown()
    cluster.shutdown()
    return found


def uneven(folder: Path) -> dict[str, Any]:
    """Nodes of one, two and three CPUs; one says that it has a GPU, which is not to be used."""
    cluster = Cluster(initialize_head=True, head_node_args=LOST_NODE)
    cluster.add_node(**LOST_NODE | {"num_cpus": 2, "num_gpus": 1})
    cluster.add_node(**LOST_NODE | {"num_cpus": 3})
    ray.init(address=cluster.address, log_to_driver=False)
    prepared(folder)
    found = filtered(folder)
    ray.shutdown()
    cluster.shutdown()
    return found


def blind(folder: Path) -> dict[str, Any]:
    cluster = Cluster(initialize_head=True, head_node_args=LOST_NODE)
    ray.init(address=cluster.address, log_to_driver=False)
    prepared(folder)
    covered = f"mount -t tmpfs none {folder} && exec {RAY} start --address {cluster.address}"
    options = f"--block --num-cpus 1 --object-store-memory {10**8} --disable-usage-stats"
    joined: list[subprocess.Popen[bytes]] = []

    def one_more(out: Path) -> None:
        while count(out, "commits/*.json") < 3:
            time.sleep(0.05)
        command = ["unshare", "--mount", "sh", "-c", f"{covered} {options}"]
        joined.append(subprocess.Popen(command, stdout=sys.stderr, env=WITHOUT_TOKEN))

    try:
        filtered(folder, one_more)
    except UserError as error:
        return {"refused": str(error), "succeeded": (folder / "out" / "_SUCCESS").exists()}
    finally:
        joined[0].terminate()
        joined[0].wait(60)
        ray.shutdown()
        cluster.shutdown()
    return {"refused": ""}


def autoscaling(address: str) -> dict[str, Any]:
    """A cluster's settings, for Ray's provider that starts raylets on this machine."""
    small = {"CPU": 1, "object_store_memory": 10**8}
    head = {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0}
    commands = ("initialization", "setup", "head_setup", "worker_setup")
    starts = ("head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "more-nodes",
        "max_workers": 2,
        "idle_timeout_minutes": 0.2,
        "upscaling_speed": 1.0,
        "provider": {"type": "fake_multinode", "gcs_address": address, "launch_multiple": True},
        "auth": {"ssh_user": "nobody"},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        **{f"{name}_commands": [] for name in (*commands, *starts)},
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": head,
            "small": {"resources": small, "node_config": {}, "min_workers": 0, "max_workers": 2},
        },
    }


def wait_for(head: subprocess.Popen[bytes], log: Path) -> None:
    """Until the head says that it is up; its process must live."""
    while "Ray runtime started" not in log.read_text():
        assert head.poll() is None, log.read_text()
        time.sleep(0.5)


@contextmanager
def head_of_one_cpu(folder: Path, *options: str, **environment: str) -> Iterator[None]:
    """A head with one CPU, started as a user would, and this process joined to it.

    Args:
        options: of `ray start`.
    """
    port = free_port()
    address = f"{ray.util.get_node_ip_address()}:{port}"
    command = [
        *(RAY, "start", "--head", "--block", "--num-cpus", "1", "--port", str(port)),
        *("--include-dashboard", "false", "--object-store-memory", str(10**8)),
        *("--disable-usage-stats", *options),
    ]
    if "--autoscaling-config" in options:
        (folder / CLUSTER).write_text(json.dumps(autoscaling(address)))
    with (folder / "head.log").open("w") as log:
        head = subprocess.Popen(command, stdout=log, stderr=log, env=WITHOUT_TOKEN | environment)
    try:
        wait_for(head, folder / "head.log")
        ray.init(address=address, log_to_driver=False)
        yield
        ray.shutdown()
    finally:
        head.terminate()
        head.wait(60)


def autoscaled(folder: Path) -> dict[str, Any]:
    options = ("--autoscaling-config", str(folder / CLUSTER))
    environment = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    with head_of_one_cpu(folder, *options, **environment):
        prepared(folder)
        before = alive()
        most = [before]

        def look(out: Path) -> None:
            while not (out / "_SUCCESS").exists():
                most[0] = max(most[0], alive())
                time.sleep(0.5)

        found = filtered(folder, look)
        limit = time.monotonic() + SECONDS_TO_IDLE
        while alive() > 1 and time.monotonic() < limit:
            time.sleep(1)
        return found | {"before": before, "most": most[0], "after": alive()}


def scraped(folder: Path) -> dict[str, Any]:
    """What Prometheus would read of a run and one more filter, asked every other second."""
    port = free_port()
    seen: dict[str, float] = {}
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(2):
            with suppress(OSError):
                seen.update(metrics(port))

    with head_of_one_cpu(folder, "--metrics-export-port", str(port)):
        scraper = threading.Thread(target=scrape)
        scraper.start()
        prepared(folder)
        filtered(folder)
        wanted, limit = 2.0 * IMAGES, time.monotonic() + SECONDS_TO_IDLE
        images = 0.0
        while images < wanted and time.monotonic() < limit:
            time.sleep(1)
            images = sum(value for name, value in seen.items() if name.startswith(OF_IMAGES))
        over.set()
        scraper.join()
        return {"images": images, "wanted": wanted, "names": sorted(seen)}


def metrics(port: int) -> dict[str, float]:
    """Name of a metric, its stage and what else tells it apart, to its sum over workers."""
    url = f"http://{ray.util.get_node_ip_address()}:{port}/metrics"
    found: dict[str, float] = {}
    for line in urllib.request.urlopen(url, timeout=10).read().decode().splitlines():
        if not line.startswith("ray_rayqc"):
            continue
        name, _, rest = line.partition("{")
        labels, _, value = rest.rpartition("} ")
        own = [label for label in labels.split(",") if label.startswith(LABELS)]
        key = " ".join([name, *own])
        found[key] = found.get(key, 0) + float(value)
    return found


CASES = {
    "late": late,
    "uneven": uneven,
    "blind": blind,
    "autoscaled": autoscaled,
    "scraped": scraped,
}


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    print(json.dumps(CASES[sys.argv[1]](folder)))


if __name__ == "__main__":
    main()
