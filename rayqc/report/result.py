"""The run's result: the paper's Table 3 with a control column, and the results of all stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rayqc.results import ClassifyResult, FilterResult, FitResult, Interval, Table3
from rayqc.verdicts import ACCEPTED

RESULT = "result.json"
RESULT_FORMAT = 1


def build_result(table: Table3, parts: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The content of `result.json`.

    Args:
        parts: what each stage adds, by key.
    """
    return {
        "format_version": RESULT_FORMAT,
        "rayqc_version": version,
        "table3": table,
        **parts,
    }


def table3(fitted: FitResult, filtered: FilterResult, classified: ClassifyResult) -> Table3:
    """The paper's columns (images a class, pool, accepted, accuracy before and after), and the
    control it lacks: as many images per class drawn at random.

    Args:
        classified: empty where the classifier stage was left out.
    """
    counts = list(fitted["references"].values())
    arms = classified.get("arms", {})

    def accuracy(arm: str) -> Interval | None:
        return arms[arm]["accuracy"] if arm in arms else None

    return {
        "images_a_class": {"min": min(counts), "max": max(counts)},
        "pool": filtered["read"],
        "accepted": filtered["outcomes"][ACCEPTED],
        "before": accuracy("real"),
        "after": accuracy("accepted"),
        "random": accuracy("random"),
        "all": accuracy("all"),
        "rejected": accuracy("rejected"),
        "differences": classified.get("differences", {}),
        "seeds": max((arm["seeds"] for arm in arms.values()), default=0),
    }
