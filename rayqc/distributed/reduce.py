"""Reducers: class statistics for regions, and parts into shards.

Shape suffixes: N images, D latent, K classes.
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
from rayqc.distributed.tasks import run_tasks, share
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

ROWS_A_BLOCK = 8192
PARTS_A_TASK = 64


def reduce_spheres(
    latents: ray.data.Dataset,
    classes: tuple[str, ...],
    coverage: float,
    encoder_digest: str,
    kind: str,
) -> SphereRegions:
    """Regions from encoded references, in two passes over their blocks.

    Of a class of more than `MANY` the distances are counted, not kept.

    Args:
        latents: columns label (int64) and latent (list of D float32), materialised.
        kind: `sphere` or `sphere_loo`.
    """
    count = len(classes)
    with plain_errors():
        blocks = latents.map_batches(
            _block_sums, batch_size=ROWS_A_BLOCK, batch_format="pyarrow", fn_args=(count,)
        )
        sums = _merge(blocks.iter_batches(batch_format="pyarrow", batch_size=None), count)
        centers_KD = centers(sums, classes)
        measured = latents.map_batches(
            _block_distances,
            batch_size=ROWS_A_BLOCK,
            batch_format="pyarrow",
            fn_args=(centers_KD, sums.count_K > MANY),
        )
        parts = measured.iter_batches(batch_format="pyarrow", batch_size=None)
        by_class = _distances_by_class(parts, sums.count_K > MANY)
    return fit_spheres(sums, by_class, classes, coverage, encoder_digest, kind)


def latent_matrix(batch: pa.Table) -> np.ndarray:
    """(N, D) float32 of a batch's `latent` column."""
    column = batch["latent"].combine_chunks()
    return np.asarray(pc.list_flatten(column)).reshape(batch.num_rows, -1)


def _block_sums(batch: pa.Table, classes: int) -> pa.Table:
    sums = class_sums(latent_matrix(batch), np.asarray(batch["label"]), classes)
    first = [batch["id"][0].as_py()] * classes
    return pa.table(
        {"first": first, "label": range(classes), "count": sums.count_K, "sum": list(sums.sum_KD)}
    )


def _merge(blocks: Iterable[pa.Table], classes: int) -> ClassSums:
    """Add blocks up in the order of their first ids: rounding must not follow who came first."""
    table = pa.concat_tables(blocks).sort_by([("first", "ascending"), ("label", "ascending")])
    count_BK = np.asarray(table["count"]).reshape(-1, classes)
    sum_BKD = np.array(table["sum"].to_pylist()).reshape(len(count_BK), classes, -1)
    parts = [
        ClassSums(sum_KD=sum_KD, count_K=count_K)
        for sum_KD, count_K in zip(sum_BKD, count_BK, strict=True)
    ]
    return functools.reduce(operator.add, parts)


def _block_distances(batch: pa.Table, centers_KD: np.ndarray, many_K: np.ndarray) -> pa.Table:
    """Distances of each class; those of large ones are coarse, and each value is there once."""
    label_N = np.asarray(batch["label"])
    distance_N = own_distances(latent_matrix(batch), label_N, centers_KD)
    many_N = many_K[label_N]
    distance_N[many_N] = coarse(distance_N[many_N])
    found = pa.table(
        {"label": label_N, "distance": distance_N, "count": np.ones(len(label_N), np.int64)}
    )
    return pa.concat_tables(
        [found.filter(pa.array(~many_N)), _summed(found.filter(pa.array(many_N)))]
    )


def _distances_by_class(parts: Iterable[pa.Table], many_K: np.ndarray) -> list[np.ndarray]:
    """Each class's distances; of large classes, order statistics."""
    few: list[pa.Table] = []
    counted: pa.Table | None = None
    for part in parts:
        many_N = pa.array(many_K[np.asarray(part["label"])])
        few.append(part.filter(pc.invert(many_N)))
        here = part.filter(many_N)
        counted = here if counted is None else _summed(pa.concat_tables([counted, here]))
    kept = pa.concat_tables(few)

    def of(table: pa.Table, k: int, name: str) -> np.ndarray:
        return np.asarray(table.filter(pc.equal(table["label"], k))[name])

    return [
        order_statistics(of(counted, k, "distance"), of(counted, k, "count"), MANY)
        if many_K[k]
        else of(kept, k, "distance")
        for k in range(many_K.size)
    ]


def _summed(found: pa.Table) -> pa.Table:
    """Equal distances of a class as one row."""
    summed = found.group_by(["label", "distance"]).aggregate([("count", "sum")])
    return summed.rename_columns({"count_sum": "count"}).select(found.column_names)


@dataclass(frozen=True, kw_only=True)
class _Cap:
    """The cut, and how many of each class it keeps."""

    cut: Cut
    kept: dict[str, int]


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
        schemas: kinds of parts to merge, and their columns.
        cap: most accepted a class, the most central first.
    """
    if is_finished(folder):
        return load_totals(folder)
    if folder.exists(MANIFEST):  # stopped between the manifest and _SUCCESS
        finish(folder)
        return load_totals(folder)
    totals, parts = survey(folder, units, work_digest(folder))
    with plain_errors():
        found = _cap(folder, parts, classes, cap) if cap else _Cap(cut={}, kept={})
        plans = plan_shards(parts, tuple(schemas), shard_mb * 1e6, found.cut)
        shards = _write_shards(folder, plans, schemas, found.cut, progress)
    totals = totals_after_cut(totals, found.kept)
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
        if all(plan.of == 1 for plan in plans):  # so little that workers take longer to start
            found = []
            for plan in plans:
                found.append(write_shard(folder, plan, schemas[plan.kind], cut))
                stage.advance(1)
            return found
        shared = share(cut)
        jobs = ((folder, plan.alone(), schemas[plan.kind], shared) for plan in plans)
        return run_tasks(write_shard, jobs, stage)


def _cap(folder: Folder, parts: Parts, classes: tuple[str, ...], cap: int) -> _Cap:
    paths = parts["scores"]["path"].to_pylist()
    groups = [paths[i : i + PARTS_A_TASK] for i in range(0, len(paths), PARTS_A_TASK)]
    tables = run_tasks(_smallest_of, [(folder, group, cap) for group in groups])
    merged = pa.concat_tables(tables)
    cut = cut_of(merged, cap)
    return _Cap(cut=cut, kept={classes[label]: cap for label in cut})


def _smallest_of(folder: Folder, paths: list[str], most: int) -> pa.Table:
    columns = ["label", "score", "id", "verdict"]
    tables = [read_table(folder, path, columns=columns) for path in paths]
    return smallest(pa.concat_tables(tables), most)
