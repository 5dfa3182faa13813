"""How `rayqc plan` is shown."""

from __future__ import annotations

from rayqc.printable import duration
from rayqc.shown.base import Shown, Table
from rayqc.tool_results import PlannedStage, PlanResult


def planned(result: PlanResult, folder: str) -> Shown:
    """The pool and the stages as tables, and what all of it takes; the log has the classes."""
    pool = Table(
        columns=("pool", "candidates", "units", "size"),
        rows=[
            (
                f"{name} (made here)" if entry["made_here"] else name,
                f"{entry['candidates']:,}",
                f"{entry['units']:,}",
                size(entry["mb"]),
            )
            for name, entry in result["pool"].items()
        ],
    )
    stages = Table(
        columns=("stage", "work", "time", "memory", "output"),
        rows=[
            (
                name,
                stage["work"],
                duration(stage["seconds"]),
                size(stage["memory_mb"]),
                size(stage["output_mb"]),
            )
            for name, stage in result["stages"].items()
        ],
    )
    height, width, channels = result["image"]
    slowest = max(result["stages"], key=lambda name: result["stages"][name]["seconds"])
    bound = result["stages"][slowest]["bound"]
    return [
        f"{result['references']:,} references and {result['test_images']:,} test images, seen as "
        f"{height} x {width} x {channels} and at their own size",
        pool,
        stages,
        f"on {_nodes(result)}: {duration(result['seconds'])} in all, up to "
        f"{size(result['memory_mb'])} of memory, {size(result['output_mb'])} written"
        f"{_cost(result)}",
        f"{slowest} takes longest, bound by: {bound}",
        *_several(result),
    ]


def _spread(result: PlanResult) -> Table:
    """How stages spread over nodes, and what bounds each."""
    return Table(
        columns=("stage", "workers at once", "bound by", "with GPUs"),
        rows=[
            (name, f"{stage['at_once']:,}", stage["bound"], _least(stage))
            for name, stage in result["stages"].items()
        ],
    )


def _least(stage: PlannedStage) -> str:
    seconds = stage["seconds_beside_gpus"]
    return "-" if seconds is None else f"from {duration(seconds)}"


def _nodes(result: PlanResult) -> str:
    """All CPUs, and the nodes that have them where there are several."""
    cpus = f"{result['cpus']:,} CPUs"
    if sum(kind["count"] for kind in result["nodes"]) < 2:
        return cpus
    of = ", ".join(f"{kind['count']:,} of {kind['name']}" for kind in result["nodes"])
    return f"{cpus} ({of})"


def _cost(result: PlanResult) -> str:
    if result["dollars"] is not None:
        return f"; ${result['dollars']:,.2f}"
    unpriced = [kind["name"] for kind in result["nodes"] if kind["dollars_an_hour"] is None]
    if len(unpriced) == len(result["nodes"]):
        return ""
    return f"; no cost, for want of a price of {', '.join(unpriced)}"


def _several(result: PlanResult) -> Shown:
    """What is said of nodes that may go, and of GPUs, which are not measured here."""
    if sum(kind["count"] for kind in result["nodes"]) < 2 and not result["gpus"]:
        return []
    lost = result["stages"]["filter"]["lost_with_a_node"]
    lines: Shown = [
        _spread(result),
        "a node that is taken away costs filter the units that it is at, at most "
        f"{duration(max(1.0, lost))} of work for each of its CPUs",
    ]
    if result["gpus"]:
        lines.append(
            f"these are times of CPUs like this machine's. {result['gpus']:,} GPUs, with "
            f"{result['actors_a_gpu']} encoding actors each, train and encode in less, which is "
            "not foretold; images are decoded and scored on CPUs beside them"
        )
    return lines


def size(mb: float) -> str:
    """10^6 bytes in words; a dash where there are none."""
    if mb < 0.05:
        return "-"
    return (
        f"{mb:,.1f} MB" if mb < 10 else f"{mb:,.0f} MB" if mb < 10_000 else f"{mb / 1000:,.0f} GB"
    )
