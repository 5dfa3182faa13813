"""Fit regions on Ray: spheres by reducing latents, calibrated regions by a task for each scorer.

Shape suffixes: N images, D latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import ray.data
import torch

from rayqc.config import Config
from rayqc.config.pool import made_in_the_runs_size
from rayqc.distributed.reduce import reduce_spheres
from rayqc.distributed.tasks import put_shared, run_tasks
from rayqc.images.decode import limits_of
from rayqc.images.look import ImageShape
from rayqc.kinds import REGIONS
from rayqc.progress import Progress
from rayqc.regions import Candidates, Regions
from rayqc.regions.base import Altered, RegionKind
from rayqc.regions.fitting import AT_OWN_SIZE, fit_calibrated, settings_of
from rayqc.regions.neighbours import Neighbours, find_neighbours
from rayqc.regions.scorer_tasks import FittedScorer, ScorerTask, fit_task
from rayqc.regions.views.base import ScorerSettings
from rayqc.regions.views.edges import NAME as EDGES
from rayqc.regions.views.latent import NAME as LATENTS
from rayqc.regions.views.pool import NAME as POOL
from rayqc.regions.views.pool import learn_from_pool
from rayqc.schema import LATENT, take_rows
from rayqc.units import slices
from rayqc.work.latent_columns import inner_matrices, latent_matrix
from rayqc.work.real_candidates import detail_of, real_candidates

BLOCK = 512
"""References whose latents are reduced at once."""


@dataclass(frozen=True, kw_only=True)
class RegionsFit:
    """Fitted regions, and what is stored beside them."""

    regions: Regions
    neighbours: Neighbours
    separation: dict[str, float]
    """Class to AUROC of the label's score, own images against others'; empty for spheres."""


def fit_regions(
    references: pa.Table,
    image: ImageShape,
    classes: tuple[str, ...],
    config: Config,
    encoder_digest: str,
    seen: bool,
    progress: Progress,
    scored_M: np.ndarray,
    altered: Altered | None,
    pool: pa.Table | None = None,
) -> RegionsFit:
    """Regions of the kind that the settings name, with spheres and neighbours for every kind.

    Args:
        references: columns id, label, image, latent, and those of features of inner layers.
        seen: was the encoder trained on the references?
        scored_M: (M,) rows of the references that scores are fitted on (`regions.thinning`).
        altered: copies of these; None where no score learns from any.
        pool: columns id, label, image and latent of images of the pool that the label learns from.
    """
    region_settings = config.regions
    kind: RegionKind = REGIONS[region_settings.kind]
    latents = references.select(["id", "label", LATENT])
    blocks = [latents.slice(start, stop - start) for start, stop in slices(len(latents), BLOCK)]
    dataset = ray.data.from_blocks(blocks)
    sphere = reduce_spheres(dataset, classes, region_settings.coverage, encoder_digest, kind.sphere)
    latent_ND, inner = latent_matrix(references), inner_matrices(references)
    label_N = np.asarray(references["label"])
    neighbours = find_neighbours(
        references["id"].to_pylist(), latent_ND, label_N, sphere.centers_KD, sphere.radius_K
    )
    if not kind.calibrated:
        return RegionsFit(regions=sphere, neighbours=neighbours, separation={})
    scored_table = take_rows(references, scored_M)
    limits = limits_of(config.image)
    scores = region_settings.scores
    wanted = (
        not made_in_the_runs_size(config.pool) if scores is None else set(AT_OWN_SIZE) & {*scores}
    )
    detail = detail_of(scored_table, image, limits, region_settings.detail_side) if wanted else None
    scored_inner = {name: value_NF[scored_M] for name, value_NF in inner.items()}
    scored_references = real_candidates(
        scored_table, latent_ND[scored_M], scored_inner, image, detail, limits
    )
    scored_references = replace(scored_references, altered=altered)
    learned = {}
    if pool is not None:
        images = real_candidates(pool, latent_matrix(pool), {}, image, None, limits)
        # Latents of an encoder that was trained on the references know them from all others.
        looks_at = EDGES if seen else LATENTS
        learned[POOL] = learn_from_pool(images, scored_references, len(classes), looks_at)
    settings = settings_of(region_settings, image.channels, seen, inner, learned)
    references_ref = put_shared(scored_references)

    def fit_scorers(tasks: Sequence[ScorerTask]) -> list[FittedScorer]:
        jobs = [
            (task, references_ref, len(classes), settings.scorer, config.seed) for task in tasks
        ]
        with progress.stage("fold", len(jobs), "scorers") as stage:
            return run_tasks(_fit_scorer, jobs, stage, minutes=config.resources.stuck_minutes)

    regions, separation = fit_calibrated(
        scored_references,
        classes,
        settings,
        config.seed,
        encoder_digest,
        fit_scorers,
        detail,
    )
    return RegionsFit(regions=regions, neighbours=neighbours, separation=separation)


def _fit_scorer(
    task: ScorerTask, references: Candidates, classes: int, settings: ScorerSettings, seed: int
) -> FittedScorer:
    torch.set_num_threads(1)
    return fit_task(task, references, classes, settings, seed)
