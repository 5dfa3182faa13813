"""Coverage of fitted regions, measured on real test images that nothing was fitted on.

Shape suffixes: N images.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa

from rayqc.config.base import JOINT
from rayqc.pipeline.run import Run
from rayqc.regions import Candidates, FittedRegions, Regions
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.results import MeasuredCoverage, MeasuredShare
from rayqc.work.latent_columns import inner_matrices, latent_matrix
from rayqc.work.real_candidates import real_candidates

LEAST_SEPARATION = 0.6


def measured_coverage(
    run: Run, fitted: FittedRegions, table: pa.Table, encoded: pa.Table
) -> MeasuredCoverage:
    """Share of real test images that each statistic accepts; no setting depends on it.

    Args:
        table: columns id, label, image.
        encoded: columns latent and those of features of inner layers, of the same images.
    """
    regions = fitted.regions
    test_images = real_candidates(
        table,
        latent_matrix(encoded),
        inner_matrices(encoded),
        run.encoder.image,
        regions.detail,
        run.limits,
    )
    nearest_N = fitted.neighbours.nearest(test_images.latent_ND).distance_N
    share_by_statistic = {
        name: _share_inside(score_N <= 1, test_images.label_N, regions.classes)
        for name, score_N in _scores(regions, test_images).items()
    }
    near_copies = float((nearest_N < fitted.neighbours.copy_distance).mean())
    return cast(
        "MeasuredCoverage",
        {"images": len(test_images), "near_copies": near_copies, **share_by_statistic},
    )


def _scores(regions: Regions, test_images: Candidates) -> dict[str, np.ndarray]:
    """Statistic to the (N,) scores by it."""
    if not isinstance(regions, CalibratedRegions):
        return {"distance": regions.judge(test_images, JOINT).score_N}
    statistics = (*regions.scores, JOINT)
    verdicts = regions.judge_each(test_images, statistics)
    return {name: judged.score_N for name, judged in zip(statistics, verdicts, strict=True)}


def separation_warnings(separation: dict[str, float]) -> list[str]:
    """A line for each class that the label's score hardly tells from the others."""
    return [
        f"class {name} is hardly told from the others by its own references (AUROC {auroc:.2f}, "
        f"0.5 is chance): candidates with its label are accepted nearly at random"
        for name, auroc in separation.items()
        if auroc < LEAST_SEPARATION
    ]


def _share_inside(
    inside_N: np.ndarray, label_N: np.ndarray, classes: tuple[str, ...]
) -> MeasuredShare:
    by_class = {
        name: float(inside_N[label_N == k].mean())
        for k, name in enumerate(classes)
        if np.any(label_N == k)
    }
    lowest = min(by_class, key=by_class.__getitem__)
    return {
        "pooled": float(inside_N.mean()),
        "lowest_class": lowest,
        "lowest": by_class[lowest],
        "by_class": by_class,
    }
