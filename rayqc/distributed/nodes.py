"""The nodes that a plan is made for: this machine, a cluster that is up, or one in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import yaml

from rayqc.errors import InputError

HEAD = "head"


@dataclass(frozen=True, kw_only=True)
class NodeKind:
    """Nodes that are alike."""

    name: str
    count: int
    """Of them; where a cluster grows, the most."""
    cpus: int
    gpus: int = 0
    dollars: float | None = None
    """Of one for an hour; None where nobody said."""


@dataclass(frozen=True)
class Nodes:
    """All nodes of a cluster."""

    kinds: tuple[NodeKind, ...]

    @property
    def cpus(self) -> int:
        """Of all nodes, at least 1."""
        return max(1, sum(kind.count * kind.cpus for kind in self.kinds))

    @property
    def gpus(self) -> int:
        """Of all nodes."""
        return sum(kind.count * kind.gpus for kind in self.kinds)

    @property
    def largest(self) -> int:
        """CPUs of the node that has the most."""
        return max(1, *(kind.cpus for kind in self.kinds))

    @property
    def dollars(self) -> float | None:
        """Of an hour of all nodes; None unless each has a price."""
        prices = [kind.count * kind.dollars for kind in self.kinds if kind.dollars is not None]
        return sum(prices) if len(prices) == len(self.kinds) else None

    def priced(self, dollars_by_kind: Mapping[str, float]) -> Nodes:
        """The same nodes, with prices.

        Raises:
            InputError: there is no kind of such a name.
        """
        names = [kind.name for kind in self.kinds]
        if unknown := sorted(set(dollars_by_kind) - set(names)):
            raise InputError(
                f"a price for {unknown[0]!r}, and no such nodes; expected one of {', '.join(names)}"
            )
        return Nodes(
            tuple(
                replace(kind, dollars=dollars_by_kind.get(kind.name, kind.dollars))
                for kind in self.kinds
            )
        )


def one_machine(cpus: int) -> Nodes:
    """A machine of so many CPUs, whose GPUs are not looked at."""
    return Nodes((NodeKind(name="this machine", count=1, cpus=cpus),))


def nodes_up() -> Nodes:
    """Those of the Ray session that this process has joined; nodes of one size are one kind."""
    found = Counter(
        (int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
        for node in ray.nodes()
        if node["Alive"]
    )
    return Nodes(
        tuple(
            NodeKind(
                name=f"{cpus} CPUs" + (f" {gpus} GPUs" if gpus else ""),
                count=count,
                cpus=cpus,
                gpus=gpus,
            )
            for (cpus, gpus), count in sorted(found.items())
        )
    )


def nodes_in(path: str) -> Nodes:
    """Those that a file asks for at most: of Ray's cluster launcher, or a RayJob of KubeRay.

    Raises:
        InputError: it cannot be read, is neither of the two, or says not how many CPUs a node has.
    """
    try:
        found = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    found = found if isinstance(found, dict) else {}
    if isinstance(found.get("available_node_types"), dict):
        return _of_launcher(path, found)
    spec = found.get("spec")
    spec = spec.get("rayClusterSpec", spec) if isinstance(spec, dict) else {}
    if isinstance(spec, dict) and "headGroupSpec" in spec:
        return _of_kuberay(path, spec)
    raise InputError(
        f"{path} names no nodes; expected available_node_types, as Ray's cluster launcher has, or "
        "a RayJob or RayCluster of KubeRay. For machines that are there, give their --address"
    )


def _of_launcher(path: str, found: dict[str, Any]) -> Nodes:
    head, left = found.get("head_node_type"), found.get("max_workers", 2)
    kinds = []
    for name, kind in found["available_node_types"].items():
        usual = 0 if name == head else left  # as Ray's launcher fills in what is left out
        workers = min(int(kind.get("max_workers", usual)), left)
        left -= workers
        resources = kind.get("resources") or {}
        if "CPU" not in resources:
            raise InputError(
                f"{path}: node type {name!r} says not how many CPUs it has; write "
                "`resources: {CPU: 16, GPU: 1}`, with its own numbers"
            )
        kinds.append(
            NodeKind(
                name=name,
                count=workers + (name == head),
                cpus=int(resources["CPU"]),
                gpus=int(resources.get("GPU", 0)),
            )
        )
    return Nodes(tuple(kinds))


def _of_kuberay(path: str, spec: dict[str, Any]) -> Nodes:
    groups = [{**spec["headGroupSpec"], "groupName": HEAD}, *spec.get("workerGroupSpecs", [])]
    return Nodes(tuple(_group(path, group) for group in groups))


def _group(path: str, group: dict[str, Any]) -> NodeKind:
    name = group["groupName"]
    asked: dict[str, Any] = {}
    containers: Sequence[dict[str, Any]] = group["template"]["spec"]["containers"]
    for part in ("limits", "requests"):  # KubeRay itself takes limits first
        asked = {**(containers[0].get("resources", {}).get(part) or {}), **asked}
    cpus = (group.get("rayStartParams") or {}).get("num-cpus", asked.get("cpu"))
    if cpus is None:
        raise InputError(f"{path}: group {name!r} says not how many CPUs it asks for")
    count = 1 if name == HEAD else group.get("maxReplicas", group.get("replicas", 1))
    return NodeKind(
        name=name,
        count=int(count),
        cpus=_whole(str(cpus)),
        gpus=int(asked.get("nvidia.com/gpu", 0)),
    )


def _whole(quantity: str) -> int:
    """Whole CPUs of a quantity such as `12` or `3500m`; at least 1, but for 0."""
    count = float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)
    return max(int(count), int(count > 0))
