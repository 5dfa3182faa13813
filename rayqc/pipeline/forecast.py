"""What each stage of a run is expected to take, said before any begins; needs no Ray."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from rayqc.config import Config
from rayqc.distributed.nodes import Nodes
from rayqc.distributed.resources import sharers
from rayqc.pipeline.inputs import Looked
from rayqc.pipeline.outlook import Expected, Outlook
from rayqc.pipeline.stage import stage
from rayqc.printable import duration
from rayqc.tool_results import PlannedNodes, PlannedPool, PlannedStage, PlanResult

logger = logging.getLogger(__name__)

LEAST_SECONDS = 0.5


def expected_of(outlook: Outlook, names: Iterable[str]) -> dict[str, Expected]:
    """What these stages are expected to take; those that say nothing of it are left out."""
    found = {}
    for name in names:
        expect = stage(name).expect
        if expect is not None:
            found[name] = expect(outlook)
    return found


def foretell(
    config: Config, looked: Looked, nodes: Nodes, names: Iterable[str]
) -> dict[str, Expected]:
    """What these stages are expected to take, with one line for all that take any time.

    Raises:
        UserError: an image of the references cannot be read, or a generator makes nothing.
    """
    found = expected_of(Outlook(config, looked, nodes), names)
    expected = {name: each for name, each in found.items() if each.seconds >= LEAST_SECONDS}
    if expected:
        each = ", ".join(f"{name} {duration(found.seconds)}" for name, found in expected.items())
        total = duration(sum(found.seconds for found in expected.values()))
        logger.info("expected on %d CPUs: %s; %s in all", nodes.cpus, each, total)
    return expected


def plan_of(config: Config, looked: Looked, nodes: Nodes, names: Iterable[str]) -> PlanResult:
    """Sizes of a run, and what its stages are expected to take; raises as `foretell`."""
    outlook = Outlook(config, looked, nodes)
    expected = expected_of(outlook, names)
    stages: dict[str, PlannedStage] = {
        name: {
            "work": found.work,
            "seconds": found.seconds,
            "memory_mb": found.memory_mb,
            "output_mb": found.output_mb,
            "at_once": found.at_once,
            "bound": found.bound,
            "lost_with_a_node": found.lost,
            "seconds_beside_gpus": found.beside_gpus if nodes.gpus else None,
        }
        for name, found in expected.items()
    }
    pool: dict[str, PlannedPool] = {
        entry.name: {
            "candidates": entry.candidates,
            "units": entry.units,
            "mb": entry.candidates * entry.bytes / 1e6,
            "made_here": entry.made,
        }
        for entry in outlook.entries
    }
    seconds = sum(found.seconds for found in expected.values())
    kinds: list[PlannedNodes] = [
        {
            "name": kind.name,
            "count": kind.count,
            "cpus": kind.cpus,
            "gpus": kind.gpus,
            "dollars_an_hour": kind.dollars,
        }
        for kind in nodes.kinds
    ]
    return {
        "cpus": nodes.cpus,
        "gpus": nodes.gpus,
        "actors_a_gpu": sharers(nodes.cpus // nodes.gpus) if nodes.gpus else 0,
        "nodes": kinds,
        "classes": looked.classes,
        "image": list(outlook.image.pixels),
        "references": outlook.references,
        "test_images": outlook.tests,
        "pool": pool,
        "stages": stages,
        "seconds": seconds,
        "dollars": None if nodes.dollars is None else nodes.dollars * seconds / 3600,
        "memory_mb": max((found.memory_mb for found in expected.values()), default=0.0),
        "output_mb": sum(found.output_mb for found in expected.values()),
    }
