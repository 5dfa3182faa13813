"""Reducers: latents into class statistics for regions, and ledger parts into shards.

Shape suffixes: N images, D latent, K classes, B blocks.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from rayqc.distributed.session import plain_errors
from rayqc.distributed.tasks import put_shared, run_tasks
from rayqc.ledger.commit import Part
from rayqc.ledger.compact import (
    Cut,
    ShardPlan,
    cut_of,
    plan_shards,
    smallest,
    totals_after_cut,
    write_shard,
)
from rayqc.ledger.manifest import Totals, finish, is_finished, load_totals, publish, survey
from rayqc.ledger.parts import Parts
from rayqc.ledger.plan import MANIFEST, work_digest
from rayqc.progress import Progress
from rayqc.regions.sphere import (
    MANY,
    ClassSums,
    SphereRegions,
    centers,
    class_sums,
    coarse,
    fit_spheres,
    order_statistics,
    own_distances,
)
from rayqc.storage import Folder, read_table
from rayqc.units import Unit
from rayqc.work.latent_columns import latent_matrix

ROWS_A_BLOCK = 8192
PARTS_A_TASK = 64


def reduce_spheres(
    latents: ray.data.Dataset,
    classes: tuple[str, ...],
    coverage: float,
    encoder_digest: str,
    kind: str,
) -> SphereRegions:
    """Spheres from encoded references, in two passes over their blocks.

    For a class of more than `MANY` references, equal rounded distances are counted and not kept one
    by one.

    Args:
        latents: columns id, label (int64) and latent (list of D float32), materialised.
        kind: `sphere` or `sphere_loo`.
    """
    class_count = len(classes)
    with plain_errors():
        block_sums = latents.map_batches(
            _block_sums, batch_size=ROWS_A_BLOCK, batch_format="pyarrow", fn_args=(class_count,)
        )
        sums = _merge(block_sums.iter_batches(batch_format="pyarrow", batch_size=None), class_count)
        centers_KD = centers(sums, classes)
        block_distances = latents.map_batches(
            _block_distances,
            batch_size=ROWS_A_BLOCK,
            batch_format="pyarrow",
            fn_args=(centers_KD, sums.count_K > MANY),
        )
        distance_tables = block_distances.iter_batches(batch_format="pyarrow", batch_size=None)
        by_class = _distances_by_class(distance_tables, sums.count_K > MANY)
    return fit_spheres(sums, by_class, classes, coverage, encoder_digest, kind)


def _block_sums(batch: pa.Table, classes: int) -> pa.Table:
    sums = class_sums(latent_matrix(batch), np.asarray(batch["label"]), classes)
    first_id = [batch["id"][0].as_py()] * classes
    return pa.table(
        {
            "first": first_id,
            "label": range(classes),
            "count": sums.count_K,
            "sum": list(sums.sum_KD),
        }
    )


def _merge(blocks: Iterable[pa.Table], classes: int) -> ClassSums:
    """Add blocks in the order of their first ids: rounding must not depend on which came first."""
    table = pa.concat_tables(blocks).sort_by([("first", "ascending"), ("label", "ascending")])
    count_BK = np.asarray(table["count"]).reshape(-1, classes)
    sum_BKD = np.array(table["sum"].to_pylist()).reshape(len(count_BK), classes, -1)
    block_sums = [
        ClassSums(sum_KD=sum_KD, count_K=count_K)
        for sum_KD, count_K in zip(sum_BKD, count_BK, strict=True)
    ]
    return functools.reduce(operator.add, block_sums)


def _block_distances(batch: pa.Table, centers_KD: np.ndarray, large_K: np.ndarray) -> pa.Table:
    """Distance of each image to its class's center; rounded and counted for large classes."""
    label_N = np.asarray(batch["label"])
    distance_N = own_distances(latent_matrix(batch), label_N, centers_KD)
    large_N = large_K[label_N]
    distance_N[large_N] = coarse(distance_N[large_N])
    table = pa.table(
        {"label": label_N, "distance": distance_N, "count": np.ones(len(label_N), np.int64)}
    )
    return pa.concat_tables(
        [table.filter(pa.array(~large_N)), _summed(table.filter(pa.array(large_N)))]
    )


def _distances_by_class(tables: Iterable[pa.Table], large_K: np.ndarray) -> list[np.ndarray]:
    """Distances of each class; of large classes, order statistics of them."""
    small_class_tables: list[pa.Table] = []
    large_classes: pa.Table | None = None
    for table in tables:
        large_N = pa.array(large_K[np.asarray(table["label"])])
        small_class_tables.append(table.filter(pc.invert(large_N)))
        large_rows = table.filter(large_N)
        large_classes = (
            large_rows
            if large_classes is None
            else _summed(pa.concat_tables([large_classes, large_rows]))
        )
    small_classes = pa.concat_tables(small_class_tables)

    def column_of_class(table: pa.Table, k: int, name: str) -> np.ndarray:
        return np.asarray(table.filter(pc.equal(table["label"], k))[name])

    return [
        order_statistics(
            column_of_class(large_classes, k, "distance"),
            column_of_class(large_classes, k, "count"),
            MANY,
        )
        if large_K[k]
        else column_of_class(small_classes, k, "distance")
        for k in range(large_K.size)
    ]


def _summed(table: pa.Table) -> pa.Table:
    """One row for each class and distance, with the sum of its counts."""
    summed = table.group_by(["label", "distance"]).aggregate([("count", "sum")])
    return summed.rename_columns({"count_sum": "count"}).select(table.column_names)


@dataclass(frozen=True, kw_only=True)
class _Cap:
    """Where the cap cuts off classes, and how many accepted images it leaves them."""

    cut: Cut
    kept_by_class: dict[str, int]
    """Class name to accepted images after the cut."""


def compact(
    folder: Folder,
    units: list[Unit],
    schemas: dict[str, pa.Schema],
    classes: tuple[str, ...],
    shard_mb: float,
    cap: int | None,
    progress: Progress,
) -> Totals:
    """Balance the ledger, merge parts into shards, publish the manifest and `_SUCCESS`.

    Args:
        schemas: columns of each kind of part that is merged.
        cap: the most accepted images of a class, drawn at random; None keeps all.
    """
    if is_finished(folder):
        return load_totals(folder)
    if folder.exists(MANIFEST):  # an earlier command stopped before _SUCCESS
        finish(folder)
        return load_totals(folder)
    totals, parts = survey(folder, units, work_digest(folder))
    with plain_errors():
        class_cap = _cap(folder, parts, classes, cap) if cap else _Cap(cut={}, kept_by_class={})
        plans = plan_shards(parts, tuple(schemas), shard_mb * 1e6, class_cap.cut)
        shards = _write_shards(folder, plans, schemas, class_cap.cut, progress)
    totals = totals_after_cut(totals, class_cap.kept_by_class)
    publish(folder, totals, shards)
    return totals


def _write_shards(
    folder: Folder,
    plans: list[ShardPlan],
    schemas: dict[str, pa.Schema],
    cut: Cut,
    progress: Progress,
) -> list[Part]:
    with progress.stage("shards", len(plans), "shards") as stage:
        if all(plan.of == 1 for plan in plans):  # starting workers would take longer
            shards = []
            for plan in plans:
                shards.append(write_shard(folder, plan, schemas[plan.kind], cut))
                stage.advance(1)
            return shards
        cut_ref = put_shared(cut)
        jobs = ((folder, plan.alone(), schemas[plan.kind], cut_ref) for plan in plans)
        return run_tasks(write_shard, jobs, stage)


def _cap(folder: Folder, parts: Parts, classes: tuple[str, ...], cap: int) -> _Cap:
    score_paths = parts["scores"]["path"].to_pylist()
    path_groups = [
        score_paths[start : start + PARTS_A_TASK]
        for start in range(0, len(score_paths), PARTS_A_TASK)
    ]
    tables = run_tasks(_smallest_of, [(folder, path_group, cap) for path_group in path_groups])
    merged = pa.concat_tables(tables)
    cut = cut_of(merged, cap)
    return _Cap(cut=cut, kept_by_class={classes[label]: cap for label in cut})


def _smallest_of(folder: Folder, paths: list[str], cap: int) -> pa.Table:
    columns = ["label", "id", "verdict"]
    tables = [read_table(folder, path, columns=columns) for path in paths]
    return smallest(pa.concat_tables(tables), cap)
