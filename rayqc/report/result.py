"""The run's result: the paper's Table 3 with a control column, and what stands behind it."""

from __future__ import annotations

from typing import Any

RESULT_FORMAT = 1

Facts = dict[str, Any]


def build_result(stages: dict[str, Facts], classified: Facts, version: str) -> Facts:
    """What `result.json` holds.

    Args:
        stages: summaries of train, fit, generate and filter.
        classified: summary of the classifier stage; empty when it was left out.
    """
    totals = stages["filter"]
    return {
        "format_version": RESULT_FORMAT,
        "rayqc_version": version,
        "table3": table3(stages, classified),
        "acceptance": totals["acceptance"],
        "ledger": {key: value for key, value in totals.items() if key != "acceptance"},
        "encoder": stages["train"],
        "regions": stages["fit"],
        "classify": classified,
    }


def table3(stages: dict[str, Facts], classified: Facts) -> Facts:
    """The paper's columns (images a class, pool, accepted, accuracy before and after), and the
    control it lacks: as many images per class drawn at random.
    """
    counts = list(stages["fit"]["references"].values())
    totals = stages["filter"]
    arms = classified.get("arms", {})

    def accuracy(arm: str) -> Facts | None:
        return arms[arm]["accuracy"] if arm in arms else None

    return {
        "images_a_class": {"min": min(counts), "max": max(counts)},
        "pool": totals["read"],
        "accepted": totals["outcomes"]["accepted"],
        "before": accuracy("real"),
        "after": accuracy("accepted"),
        "random": accuracy("random"),
        "all": accuracy("all"),
        "rejected": accuracy("rejected"),
        "differences": classified.get("differences", {}),
        "seeds": max((arm["seeds"] for arm in arms.values()), default=0),
    }
