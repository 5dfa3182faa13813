"""Means over seeds with 95% intervals, and paired differences between arms."""

from __future__ import annotations

import numpy as np

from rayqc.results import ArmResult, ClassifyResult, Interval, TrainingRecord

LEVEL = 0.95
PAIRS = (("accepted", "random"), ("accepted", "all"), ("accepted", "real"))


def mean_interval(values: list[float]) -> Interval:
    """Mean of some values, and the half-width of its 95% Student interval; None for one value."""
    from scipy import stats  # noqa: PLC0415  (slow, and only classify needs it)

    sample = np.asarray(values, dtype=float)
    half_width = None
    if sample.size > 1:
        standard_error = float(sample.std(ddof=1)) / np.sqrt(sample.size)
        half_width = float(stats.t.ppf((1 + LEVEL) / 2, sample.size - 1) * standard_error)
    return {"mean": float(sample.mean()), "half_width": half_width}


def agreement(value_AS: np.ndarray) -> float:
    """ICC(1): the share of spread that lies between arms rather than between an arm's seeds.

    Near 0, seeds hide what arms differ in.

    Args:
        value_AS: (A, S), two or more arms with two or more seeds each.

    Source: Shrout & Fleiss 1979.
    """
    seeds = value_AS.shape[1]
    between = seeds * value_AS.mean(1).var(ddof=1)
    within = value_AS.var(axis=1, ddof=1).mean()
    return float((between - within) / max(between + (seeds - 1) * within, 1e-12))


def summarise(records: list[TrainingRecord]) -> ClassifyResult:
    """Accuracy of each arm over seeds, and differences paired by seed.

    The intervals cover other seeds (initial weights, batches, random subsets) with this
    run's references and test images. They do not cover other draws of references.
    """
    by_arm: dict[str, dict[int, TrainingRecord]] = {}
    for record in records:
        by_arm.setdefault(record["arm"], {})[record["seed"]] = record
    arms: dict[str, ArmResult] = {
        arm: {
            "accuracy": mean_interval([record["accuracy"] for record in seeds.values()]),
            "seeds": len(seeds),
            "added": next(iter(seeds.values()))["added"],
        }
        for arm, seeds in by_arm.items()
    }
    differences = {
        f"{first} - {second}": mean_interval(
            [
                by_arm[first][seed]["accuracy"] - by_arm[second][seed]["accuracy"]
                for seed in by_arm[first]
            ]
        )
        for first, second in [*PAIRS, *((arm, "real") for arm in by_arm if ":" in arm)]
        if first in by_arm and second in by_arm
    }
    return {"arms": arms, "differences": differences, "trainings": records}
