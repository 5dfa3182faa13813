"""Stage `fit`: encode the references, fit each class's region, measure it on real test images."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from rayqc.pipeline.stage import Stage
from rayqc.shown.base import Shown, Table, coverage_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pyarrow as pa

    from rayqc.pipeline.outlook import Expected, Outlook
    from rayqc.pipeline.run import Run
    from rayqc.regions.base import Altered
    from rayqc.results import FitResult, GuaranteeFacts

logger = logging.getLogger(__name__)

OF_POOL = "images of the pool"


def work(run: Run) -> FitResult:
    """Encode the references, fit the regions that the settings ask for, and measure them."""
    import numpy as np
    import pyarrow as pa

    from rayqc.distributed.fit import fit_regions
    from rayqc.encoders.vae import refuse_collapse, refuse_short
    from rayqc.pipeline.leaks import know_images
    from rayqc.pipeline.measured import measured_coverage, separation_warnings
    from rayqc.pipeline.pool_sample import pool_sample
    from rayqc.pipeline.real_latents import keep_test_latents
    from rayqc.pipeline.run import REFERENCES
    from rayqc.regions import save_regions
    from rayqc.regions.calibrated import CalibratedRegions
    from rayqc.regions.sphere import expected_coverage
    from rayqc.regions.thinning import thinned
    from rayqc.schema import LATENT
    from rayqc.storage import write_table
    from rayqc.work.latent_columns import finite_rows

    config, encoder, references = run.config, run.encoder, run.references
    refuse_collapse(encoder.record, config.encoder.allow_collapse)
    refuse_short(encoder.record, config, encoder.image.size)
    know_images(run)  # again, since the test images may have changed since training
    most = config.regions.measure_images
    test = run.test_images(most) if most else None
    pool = pool_sample(run)
    asked = {"references": references, "test images": test, OF_POOL: pool}
    tables = {what: table for what, table in asked.items() if table is not None}
    scored_M = thinned(np.asarray(references["label"]), config.regions.most_references, config.seed)
    (latents, *rest), altered = _encoded(run, tables, scored_M)
    if pool is not None and LATENT not in pool.column_names:
        pool = pool.append_column(LATENT, rest[-1][LATENT]).filter(pa.array(finite_rows(rest[-1])))
    write_table(run.folder, REFERENCES, latents)
    for name in latents.column_names:
        if name not in references.column_names:
            references = references.append_column(name, latents[name])
    fit = fit_regions(
        references,
        encoder.image,
        encoder.classes,
        config,
        encoder.digest,
        encoder.seen,
        run.progress,
        scored_M,
        altered,
        pool,
    )
    fitted = save_regions(run.folder.sub("regions"), fit.regions, fit.neighbours)
    run.keep(regions=fitted)
    count_K = np.bincount(np.asarray(references["label"]), minlength=len(encoder.classes)).tolist()
    summary: FitResult = {
        "kind": fit.regions.kind,
        "coverage": config.regions.coverage,
        "references": dict(zip(encoder.classes, count_K, strict=True)),
        "radius": dict(zip(encoder.classes, fit.neighbours.radius_K.tolist(), strict=True)),
        "separation": fit.separation,
        "measured": None,
        "pool_images": 0 if pool is None else pool.num_rows,
    }
    if test is not None:
        summary["measured"] = measured_coverage(run, fitted, test, rest[0])
        if encoder.network.computes and not encoder.seen:
            keep_test_latents(run, test, rest[0])
    if isinstance(fit.regions, CalibratedRegions):
        summary["guarantee"] = cast("GuaranteeFacts", asdict(fit.regions.guarantee))
        summary["thresholds"] = fit.regions.facts()["thresholds"]
        logger.info("fit: %s", fit.regions.guarantee.says)
    else:
        expected_coverages = [
            expected_coverage(count, config.regions.coverage) for count in count_K
        ]
        summary["expected_coverage"] = float(np.mean(expected_coverages))
    for line in separation_warnings(fit.separation):
        logger.warning(line)
    return summary


def _encoded(
    run: Run, tables: Mapping[str, pa.Table], scored_M: np.ndarray
) -> tuple[list[pa.Table], Altered | None]:
    """What the encoder says of images, and of altered copies of the scored ones where it is asked.

    Args:
        tables: by what they hold, the references first.
        scored_M: rows of the references.

    Raises:
        InputError: the encoder gives no number for a reference or a test image.
    """
    from rayqc.distributed.encode import encode_with_altered
    from rayqc.regions.fitting import learns_from_altered
    from rayqc.work.latent_columns import refuse_nonfinite

    config, encoder = run.config, run.encoder
    alters = learns_from_altered(config.regions, encoder.seen, encoder.network.computes)
    altered_M = scored_M if alters else scored_M[:0]
    encoded, altered = encode_with_altered(
        list(tables.values()), altered_M, run.model, encoder.input, config, run.progress, "encode"
    )
    for what, table in zip(tables, encoded, strict=True):
        if what != OF_POOL:  # such images are left out
            refuse_nonfinite(table, what)
    return encoded, altered


def show(summary: FitResult, folder: str) -> Shown:
    """Promised and measured coverage, and each class's references, radius and separation."""
    rows = [
        (
            name,
            f"{count:,}",
            f"{summary['radius'][name]:.3f}",
            f"{summary['separation'][name]:.3f}" if name in summary["separation"] else "-",
        )
        for name, count in summary["references"].items()
    ]
    table = Table(
        columns=("class", "references", "radius", "separation"),
        rows=rows,
        title=f"{summary['kind']} regions; separation: AUROC of the label, own against others",
    )
    threshold_lines = [
        f"threshold of {name}: {value:.3f} nats"
        for name, value in summary.get("thresholds", {}).items()
    ]
    return [table, *coverage_lines(summary), *threshold_lines, f"in {folder}"]


def expect(outlook: Outlook) -> Expected:
    """References encoded, scorers fitted fold by fold, and test images measured."""
    from rayqc.config.encoder import COLUMN
    from rayqc.pipeline.outlook import Expected
    from rayqc.printable import counted
    from rayqc.regions.fitting import learns_from_altered
    from rayqc.work.altered import altered_copies

    regions = outlook.config.regions
    scored = min(outlook.references, regions.most_references)
    measured = min(outlook.tests, regions.measure_images)
    learned = min(outlook.config.pool_images(), outlook.candidates)
    computes = outlook.config.encoder.kind != COLUMN
    alters = learns_from_altered(regions, outlook.kind.saw_references, computes)
    copies = altered_copies(scored) if alters else 0
    seconds, blocks = outlook.encoding(outlook.references + copies + measured + learned)
    scorers = 0
    if regions.kind == "calibrated":
        folds = regions.folds
        scorers = folds * (folds + 1) // 2 if regions.promise == "cv+" else folds + 1
        seconds += outlook.shared(scorers * outlook.pace.scorer(scored), scorers)
    # Measured images are decoded and scored by the driver after they were encoded.
    seconds += (measured + learned) * outlook.reference_seconds / 2
    of_altered = f", {copies:,} altered copies" if copies else ""
    encoded = f"{outlook.references:,} references{of_altered} and {counted(measured, 'test image')}"
    of_pool = f" and up to {learned:,} images of the pool" if learned else ""
    return Expected(
        seconds=seconds,
        work=f"encode {encoded}{of_pool}, fit {scorers or 'no'} scorers",
        memory_mb=outlook.memory_mb(max(blocks, scorers)),
        at_once=outlook.at_once(max(blocks, scorers)),
        bound=outlook.bound(scorers or blocks, "scorers" if scorers else "blocks"),
        output_mb=outlook.references * outlook.pace.latent_dim * 4 / 1e6,
    )


STAGE = Stage(
    name="fit",
    help="fit each class's region to the references",
    needs=("train",),
    outputs=("regions", "references.parquet", "known_images.parquet", "test_latents.parquet"),
    work=work,
    refuse=lambda run: run.encoder,
    expect=expect,
    show=show,
    result=lambda summary: {"regions": summary},
)
