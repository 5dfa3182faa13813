"""Facts about each node of a Ray session, and warnings of what is wrong with it."""

from __future__ import annotations

import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path

import ray
from ray._common.utils import get_default_system_temp_dir
from ray._raylet import (  # type: ignore[attr-defined]
    AuthenticationMode,
    get_authentication_mode,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayqc.tool_results import DoctorResult, NodeFacts, NodeRow
from rayqc.version import __version__

PACKAGES = ("ray", "torch", "torchvision", "pyarrow", "numpy")
MOST_CLOCK_SECONDS = 80.0
"""Difference from the driver's clock that is not warned of. It stays below
`owner.DEAD_AFTER_SECONDS`; up to a minute of it may be the time that a node takes to answer."""
LEAST_SHM_SHARE = 0.2
LEAST_DISK_BYTES = 5e9
SECONDS_TO_ANSWER = 60.0
OPEN = (
    "this Ray asks for no token: whoever reaches it can run code on it. Start its nodes with "
    "RAY_AUTH_MODE=token and a token (`ray get-auth-token --generate`), or keep it on a network of "
    "its own"
)


def node_facts() -> NodeFacts:
    """Facts about the machine that this process runs on."""
    import torch  # noqa: PLC0415  (slow, and only a session that started needs it)

    shm = Path("/dev/shm")
    return {
        "versions": {
            "python": platform.python_version(),
            "rayqc": __version__,
            **{name: version(name) for name in PACKAGES},
        },
        "asks_for_token": get_authentication_mode() == AuthenticationMode.TOKEN,
        "clock": time.time(),
        "gpu_names": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "shm_bytes": shutil.disk_usage(shm).total if shm.is_dir() else None,
        "temporary_bytes_free": shutil.disk_usage(get_default_system_temp_dir()).free,
    }


def examine() -> DoctorResult:
    """Versions on the driver's machine, facts about each node, and warnings."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    task = ray.remote(num_cpus=0)(node_facts)
    facts_refs = {}
    for node in nodes:
        on_node = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        facts_refs[node["NodeID"]] = task.options(scheduling_strategy=on_node).remote()
    ray.wait(list(facts_refs.values()), num_returns=len(facts_refs), timeout=SECONDS_TO_ANSWER)
    driver_facts = node_facts()
    rows: list[NodeRow] = []
    warnings: list[str] = []
    for node in nodes:
        row: NodeRow = {
            "host": node["NodeManagerHostname"],
            "cpus": node["Resources"].get("CPU", 0),
            "gpus": node["Resources"].get("GPU", 0),
            "memory_bytes": node["Resources"].get("memory", 0),
            "object_store_bytes": node["Resources"].get("object_store_memory", 0),
        }
        try:
            facts = ray.get(facts_refs[node["NodeID"]], timeout=0)
        except Exception as error:  # what fails on a node is reported, not raised
            last_line = str(error).strip().splitlines()[-1]
            warnings.append(
                f"{row['host']}: no task runs there ({type(error).__name__}: {last_line})"
            )
        else:
            row.update(facts)
            warnings += _warnings_of_node(row, driver_facts)
        rows.append(row)
    if not all(row.get("asks_for_token", True) for row in rows):
        warnings.insert(0, OPEN)
    return {"versions": driver_facts["versions"], "nodes": rows, "warnings": warnings}


def _warnings_of_node(row: NodeRow, driver_facts: NodeFacts) -> list[str]:
    warnings = []
    for name, node_version in row["versions"].items():
        if node_version != driver_facts["versions"][name]:
            warnings.append(
                f"{name} is {node_version} there and {driver_facts['versions'][name]} here"
            )
    seconds_off = abs(row["clock"] - driver_facts["clock"])
    if seconds_off > MOST_CLOCK_SECONDS:
        warnings.append(
            f"its clock is {seconds_off:.0f} s off: who holds a folder is told by clocks"
        )
    if row["temporary_bytes_free"] < LEAST_DISK_BYTES:
        warnings.append(
            f"only {row['temporary_bytes_free'] / 1e9:.1f} GB free where Ray's files are"
        )
    shm_bytes, object_store_bytes = row["shm_bytes"], row["object_store_bytes"]
    if shm_bytes is not None and shm_bytes < LEAST_SHM_SHARE * object_store_bytes:
        warnings.append(
            f"/dev/shm has {shm_bytes / 1e6:.0f} MB: Ray's objects go to disk, which is slow"
        )
    if row["gpus"] != (torch_gpus := len(row["gpu_names"])):
        warnings.append(f"Ray counts {row['gpus']:.0f} GPUs and torch sees {torch_gpus}")
    return [f"{row['host']}: {warning}" for warning in warnings]
