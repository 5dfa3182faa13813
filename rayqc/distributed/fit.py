"""Fit regions on Ray: spheres by reducing latents, calibrated ones by a task a fold.

Shape suffixes: N images, D latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import ray.data
import torch

from rayqc.config import Config
from rayqc.distributed.reduce import latent_matrix, reduce_spheres
from rayqc.distributed.tasks import run_tasks, share
from rayqc.images.decode import ImageShape, limits_of
from rayqc.images.references import decode_real
from rayqc.kinds import REGIONS
from rayqc.progress import Progress
from rayqc.regions import Candidates, Regions
from rayqc.regions.base import RegionKind
from rayqc.regions.fitting import fit_calibrated, settings_of
from rayqc.regions.neighbours import Neighbours, find_neighbours
from rayqc.regions.scorer_tasks import FittedScorer, ScorerTask, fit_task
from rayqc.regions.views.base import LabelSettings
from rayqc.schema import image_bytes
from rayqc.seeds import SCORED_REFERENCES


@dataclass(frozen=True, kw_only=True)
class RegionsFit:
    """What a fit gave."""

    regions: Regions
    neighbours: Neighbours
    separation: dict[str, float]
    """Class to AUROC of the label's score, own images against others'; empty for spheres."""


def fit_regions(
    references: pa.Table,
    latents: ray.data.MaterializedDataset,
    image: ImageShape,
    classes: tuple[str, ...],
    config: Config,
    encoder_digest: str,
    seen: bool,
    progress: Progress,
) -> RegionsFit:
    """Regions of the kind that is set, and each class's sphere beside them.

    Args:
        references: columns id, label, image, and latent.
        latents: columns id, label, latent, of the same images in any order.
        seen: the encoder was trained on the references.
    """
    chosen = config.regions
    kind: RegionKind = REGIONS[chosen.kind]
    sphere = reduce_spheres(latents, classes, chosen.coverage, encoder_digest, kind.sphere)
    latent_ND = latent_matrix(references)
    neighbours = find_neighbours(
        references["id"].to_pylist(), latent_ND, sphere.centers_KD, sphere.radius_K
    )
    if not kind.calibrated:
        return RegionsFit(regions=sphere, neighbours=neighbours, separation={})
    rows = _chosen_rows(references.num_rows, chosen.most_references, config.seed)
    some = references.take(pa.array(rows))
    known = Candidates(
        images_NHWC=decode_real(
            some["id"].to_pylist(), image_bytes(some), image, limits_of(config.image)
        ),
        latent_ND=latent_ND[rows],
        label_N=np.asarray(some["label"]),
    )
    settings = settings_of(chosen, image.channels, seen)
    shared = share(known)

    def run(tasks: Sequence[ScorerTask]) -> list[FittedScorer]:
        jobs = [(task, shared, len(classes), settings.label, config.seed) for task in tasks]
        with progress.stage("fold", len(jobs), "scorers") as stage:
            return run_tasks(_fit_one, jobs, stage, minutes=config.resources.stuck_minutes)

    regions, separation = fit_calibrated(
        known,
        classes,
        settings,
        config.seed,
        encoder_digest,
        run,
        "latent" in settings.label.views and seen,
    )
    return RegionsFit(regions=regions, neighbours=neighbours, separation=separation)


def _fit_one(
    task: ScorerTask, references: Candidates, classes: int, settings: LabelSettings, seed: int
) -> FittedScorer:
    torch.set_num_threads(1)
    return fit_task(task, references, classes, settings, seed)


def _chosen_rows(total: int, most: int, seed: int) -> np.ndarray:
    if total <= most:
        return np.arange(total)
    return np.sort(
        np.random.default_rng([seed, SCORED_REFERENCES]).choice(total, most, replace=False)
    )
