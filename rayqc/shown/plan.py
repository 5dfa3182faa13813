"""How `rayqc plan` is shown."""

from __future__ import annotations

from rayqc.printable import duration
from rayqc.shown.base import Shown, Table
from rayqc.tool_results import PlanResult


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
    return [
        f"{result['references']:,} references and {result['test_images']:,} test images, seen as "
        f"{height} x {width} x {channels} and at their own size",
        pool,
        stages,
        f"on {result['cpus']} CPUs: {duration(result['seconds'])} in all, up to "
        f"{size(result['memory_mb'])} of memory, {size(result['output_mb'])} written",
    ]


def size(mb: float) -> str:
    """10^6 bytes in words; a dash where there are none."""
    if mb < 0.05:
        return "-"
    return (
        f"{mb:,.1f} MB" if mb < 10 else f"{mb:,.0f} MB" if mb < 10_000 else f"{mb / 1000:,.0f} GB"
    )
