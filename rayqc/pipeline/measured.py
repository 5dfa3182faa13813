"""What fitted regions do with real images that nothing was fitted on.

Shape suffixes: N images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from rayqc.config import Config
from rayqc.distributed.encode import encode_images
from rayqc.distributed.reduce import latent_matrix
from rayqc.images.decode import limits_of
from rayqc.images.references import decode_real
from rayqc.pipeline.artefacts import run_encoder, test_images
from rayqc.progress import Progress
from rayqc.regions import Candidates, FittedRegions
from rayqc.regions.calibrated import STATISTICS, CalibratedRegions
from rayqc.schema import image_bytes
from rayqc.storage import Folder

LEAST_SEPARATION = 0.6

Summary = dict[str, Any]


def measured_coverage(
    folder: Folder, config: Config, fitted: FittedRegions, progress: Progress
) -> Summary | None:
    """Share of real test images that each statistic accepts; no setting depends on it."""
    regions = fitted.regions
    most = config.regions.measure_images
    table = test_images(config, regions.classes, most) if most else None
    if table is None:
        return None
    latents = encode_images(table, folder.sub("model"), config, progress, "measure")
    fresh = Candidates(
        images_NHWC=decode_real(
            table["id"].to_pylist(),
            image_bytes(table),
            run_encoder(folder, config).image,
            limits_of(config.image),
        ),
        latent_ND=latent_matrix(in_order(latents, table)),
        label_N=np.asarray(table["label"]),
    )
    if isinstance(regions, CalibratedRegions):
        verdicts = regions.judge_each(fresh, STATISTICS)
        scores: dict[str, np.ndarray] = {
            name: found.score_N for name, found in zip(STATISTICS, verdicts, strict=True)
        }
    else:
        scores = {"distance": regions.judge(fresh, "joint").score_N}
    nearest_N = fitted.neighbours.nearest(fresh.latent_ND).distance_N
    return {
        "images": len(fresh),
        "near_copies": float((nearest_N < fitted.neighbours.copy_distance).mean()),
        **{
            name: _inside(score_N <= 1, fresh.label_N, regions.classes)
            for name, score_N in scores.items()
        },
    }


def in_order(latents: Any, images: pa.Table) -> pa.Table:
    """The latents in the images' order, whatever order the actors finished in."""
    table = pa.concat_tables(latents.iter_batches(batch_format="pyarrow", batch_size=None))
    place = {name: row for row, name in enumerate(table["id"].to_pylist())}
    return table.take(pa.array([place[name] for name in images["id"].to_pylist()]))


def warnings_of(separation: dict[str, float]) -> list[str]:
    """A line for each class that the label's score can hardly tell from others."""
    return [
        f"class {name} is hardly told from the others by its own references (AUROC {found:.2f}, "
        f"0.5 is chance): candidates with its label are accepted nearly at random"
        for name, found in separation.items()
        if found < LEAST_SEPARATION
    ]


def _inside(inside_N: np.ndarray, label_N: np.ndarray, classes: tuple[str, ...]) -> Summary:
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
