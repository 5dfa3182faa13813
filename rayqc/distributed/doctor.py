"""What a Ray session has to offer and what is wrong with it, node by node."""

from __future__ import annotations

import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray
from ray._raylet import (  # type: ignore[attr-defined]
    AuthenticationMode,
    get_authentication_mode,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayqc.results import DoctorResult
from rayqc.version import __version__

PACKAGES = ("ray", "torch", "torchvision", "pyarrow", "numpy")
MOST_CLOCK_SECONDS = 80.0
"""Below `owner.DEAD_AFTER_SECONDS`; an answer may take up to a minute of it."""
LEAST_SHM_SHARE = 0.2
LEAST_DISK_BYTES = 5e9
SECONDS_TO_ANSWER = 60.0
OPEN = (
    "this Ray asks for no token: whoever reaches it can run code on it. Start its nodes with "
    "RAY_AUTH_MODE=token and a token (`ray get-auth-token --generate`), or keep it on a network of "
    "its own"
)


def node_facts() -> dict[str, Any]:
    """Facts of the machine this runs on."""
    import torch  # noqa: PLC0415  (seconds, and not needed to find Ray at fault)

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
        "temporary_bytes_free": shutil.disk_usage("/tmp").free,
    }


def examine() -> DoctorResult:
    """Facts of the driver's machine and of each node, and warnings."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    task = ray.remote(num_cpus=0)(node_facts)
    asked = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[node["NodeID"]] = task.options(scheduling_strategy=there).remote()
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=SECONDS_TO_ANSWER)
    here = node_facts()
    rows: list[dict[str, Any]] = []
    warnings: list[str] = []
    for node in nodes:
        row = {
            "host": node["NodeManagerHostname"],
            "cpus": node["Resources"].get("CPU", 0),
            "gpus": node["Resources"].get("GPU", 0),
            "memory_bytes": node["Resources"].get("memory", 0),
            "object_store_bytes": node["Resources"].get("object_store_memory", 0),
        }
        try:
            found = ray.get(asked[node["NodeID"]], timeout=0)
        except Exception as error:  # whatever is wrong there is what was asked for
            first = str(error).strip().splitlines()[-1]
            warnings.append(f"{row['host']}: no task runs there ({type(error).__name__}: {first})")
        else:
            row |= found
            warnings += _warnings_of_node(row, here)
        rows.append(row)
    if not all(row.get("asks_for_token", True) for row in rows):
        warnings.insert(0, OPEN)
    return {"versions": here["versions"], "nodes": rows, "warnings": warnings}


def _warnings_of_node(row: dict[str, Any], here: dict[str, Any]) -> list[str]:
    said = []
    for name, found in row["versions"].items():
        if found != here["versions"][name]:
            said.append(f"{name} is {found} there and {here['versions'][name]} here")
    apart = abs(row["clock"] - here["clock"])
    if apart > MOST_CLOCK_SECONDS:
        said.append(f"its clock is {apart:.0f} s off: who holds a folder is told by clocks")
    if row["temporary_bytes_free"] < LEAST_DISK_BYTES:
        said.append(f"only {row['temporary_bytes_free'] / 1e9:.1f} GB free in /tmp, Ray's place")
    shm, wanted = row["shm_bytes"], row["object_store_bytes"]
    if shm is not None and shm < LEAST_SHM_SHARE * wanted:
        said.append(f"/dev/shm has {shm / 1e6:.0f} MB: Ray's objects go to disk, which is slow")
    if row["gpus"] != (seen := len(row["gpu_names"])):
        said.append(f"Ray counts {row['gpus']:.0f} GPUs and torch sees {seen}")
    return [f"{row['host']}: {text}" for text in said]
