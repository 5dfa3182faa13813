"""Choose a set of each class from what was accepted, and say what the set is.

Shape suffixes: N images, D directions.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.distributed.classify import run_arms
from rayqc.distributed.tasks import put_shared, run_tasks
from rayqc.errors import InputError
from rayqc.kinds import SELECTIONS
from rayqc.ledger.compact import reject
from rayqc.ledger.manifest import Totals, load_files
from rayqc.ledger.plan import MANIFEST, clear
from rayqc.pipeline.arms import arm_inputs
from rayqc.pipeline.duplicates import surplus_ids
from rayqc.pipeline.rewrite import rewrite, work_of
from rayqc.pipeline.run import Run
from rayqc.report.intervals import summarise
from rayqc.results import ClassifyResult
from rayqc.schema import LATENT, kept_latent_dim
from rayqc.seeds import chance_of
from rayqc.selection.base import Choice, SelectionKind
from rayqc.selection.measures import set_facts
from rayqc.selection.target import Space, fit_space
from rayqc.set_results import SelectedClass, SetFacts
from rayqc.storage import Folder, digest, read_table
from rayqc.verdicts import ACCEPTED, DUPLICATE, NONE, NOT_SELECTED
from rayqc.work.latent_columns import latent_matrix

logger = logging.getLogger(__name__)

MEASURED = "classify"
"""Folder of the records of classifiers that a set is measured by."""
ARMS = ("real", "all", "random", "accepted")
"""What a set is measured beside: nothing, all that was accepted, and as many of it at random."""
MOST_OF_A_CLASS = 200_000
"""Accepted images of a class that are chosen from; of more, as many at random."""
IN_TASKS_FROM = 50_000
"""Accepted images from which on classes are chosen in parallel tasks; starting them takes longer
than choosing from fewer."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The accepted images of a judged pool."""

    ids: np.ndarray
    """(N,) str."""
    label_N: np.ndarray
    vector_ND: np.ndarray
    """float32, see `Space.project`; of no columns where latents are not needed and not kept."""

    def without(self, ids: set[str]) -> Accepted:
        """All but these."""
        if not ids:
            return self
        kept_N = np.array([name not in ids for name in self.ids], bool)
        return Accepted(
            ids=self.ids[kept_N], label_N=self.label_N[kept_N], vector_ND=self.vector_ND[kept_N]
        )


def select_images(
    run: Run,
    source: Folder,
    out: Folder,
    *,
    per_class: int | None,
    by: str,
    seed: int,
    drop: str,
    redo: bool,
) -> tuple[Totals, dict[str, SelectedClass]]:
    """Write `source` with all but a chosen set of each class rejected.

    What is a duplicate of a better image is rejected as `duplicate`, the rest as `not_selected`.

    Args:
        source: a finished filter's or refilter's output.
        per_class: images to choose of each class; a class with no more keeps all. None keeps all.
        by: a name of `SELECTIONS`.
        drop: which duplicates are left out, one of `verdicts.DUPLICATES`.

    Returns:
        The new totals, and what was chosen of each class.

    Raises:
        InputError: `source` is not finished, or has no latents or fingerprints where they are
            needed.
        ConflictError: other regions judged `source`, or `out` holds other work.
    """
    fitted = run.regions
    work = work_of(source, fitted)
    kind: SelectionKind = SELECTIONS[by]
    classes, neighbours = fitted.regions.classes, fitted.neighbours
    label_R = neighbours.labels(run.references)
    space = fit_space(neighbours.latent_RD, label_R, len(classes))
    accepted = read_accepted(source, space, kind.needs_latents and per_class is not None)
    duplicates = set() if drop == NONE else surplus_ids(source, drop)
    if redo:
        clear(out)
        measured = out.sub(MEASURED)
        measured.delete(measured.names())
    claim = {
        "stage": "select",
        "from": digest(source.read(MANIFEST)),
        "by": by,
        "per_class": per_class,
        "seed": seed,
        **({} if drop == NONE else {"drop_duplicates": drop}),
        "regions_digest": fitted.digest,
        "statistics": work["statistics"],
        "coverage": work.get("coverage", run.config.regions.coverage),
    }
    different = accepted.without(duplicates)
    chosen_by_class = _choose_all(run, different, space, by, per_class, seed)
    chosen = pa.array(np.concatenate([np.zeros(0, object), *chosen_by_class]), pa.string())
    has_images = ACCEPTED in load_files(source)
    judge = _Chosen(chosen, pa.array(sorted(duplicates), pa.string()))
    totals = rewrite(source, out, judge, claim, classes, scores_only=not has_images)
    logger.info("select: %s", totals)
    facts = {
        name: _facts(accepted, chosen_by_class[k], space, k, seed) for k, name in enumerate(classes)
    }
    return totals, facts


def read_accepted(source: Folder, space: Space, needs_latents: bool) -> Accepted:
    """The accepted images, in an order that depends on their ids alone.

    Raises:
        InputError: latents are needed and were not kept.
    """
    ids, labels, vectors = [], [], []
    for shard in load_files(source)["scores"]:
        table = read_table(source, shard.path, ["id", "label", "verdict", LATENT])
        table = table.filter(pc.equal(table["verdict"], ACCEPTED))
        ids += table["id"].to_pylist()
        labels.append(np.asarray(table["label"], np.int64))
        if kept_latent_dim(table.schema) is not None:
            vectors.append(space.project(latent_matrix(table).astype(np.float32)))
        elif needs_latents:
            raise InputError(
                f"{source} kept no latents, which choosing needs; filter again with "
                "--set filter.keep_latents=true, or choose by random"
            )
    name_N = np.array(ids, object)
    order = np.lexsort((name_N.astype(str), chance_of(ids)))  # whatever that of the shards was
    label_N = np.concatenate([np.zeros(0, np.int64), *labels])
    width = space.direction_LD.shape[1] if vectors else 0
    vector_ND = np.concatenate([np.zeros((0, width), np.float32), *vectors])
    if not width:
        vector_ND = np.zeros((len(ids), 0), np.float32)
    return Accepted(ids=name_N[order], label_N=label_N[order], vector_ND=vector_ND[order])


@dataclass(frozen=True)
class _Chosen:
    """Rejects what was accepted and is not among the chosen ids."""

    ids: pa.Array
    duplicates: pa.Array

    def __call__(self, table: pa.Table) -> pa.Table:
        accepted = pc.equal(table["verdict"], ACCEPTED)
        copies = pc.and_(accepted, pc.is_in(table["id"], self.duplicates))
        table = reject(table, copies, DUPLICATE)
        accepted = pc.equal(table["verdict"], ACCEPTED)
        left_out = pc.and_(accepted, pc.invert(pc.is_in(table["id"], self.ids)))
        return reject(table, left_out, NOT_SELECTED)


def _choose_all(
    run: Run, accepted: Accepted, space: Space, by: str, per_class: int | None, seed: int
) -> list[np.ndarray]:
    """The chosen ids of each class."""
    classes = len(space.mean_KD)
    jobs, places = [], []
    rows_by_class = [np.flatnonzero(accepted.label_N == k) for k in range(classes)]
    chosen = list(rows_by_class)
    for k, of_class in enumerate(rows_by_class):
        if per_class is None or of_class.size <= per_class:
            continue
        # The order is as good as random, so the first ones are a random draw.
        rows = of_class[: max(MOST_OF_A_CLASS, per_class + 1)]
        rows_by_class[k] = rows
        choice = space.choice(accepted.vector_ND[rows], k, per_class, seed + k)
        jobs.append((by, choice))
        places.append(k)
    with run.progress.stage("select", len(jobs), "classes") as stage:
        if accepted.label_N.size < IN_TASKS_FROM:
            found = []
            for job in jobs:
                found.append(_choose(*job))
                stage.advance(1)
        else:
            tasks = [(by, put_shared(choice)) for by, choice in jobs]
            found = run_tasks(_choose, tasks, stage)
    for k, picked in zip(places, found, strict=True):
        chosen[k] = rows_by_class[k][picked]
    return [accepted.ids[rows] for rows in chosen]


def _choose(by: str, choice: Choice) -> np.ndarray:
    kind: SelectionKind = SELECTIONS[by]
    return kind.choose(choice)


def _facts(
    accepted: Accepted, chosen: np.ndarray, space: Space, k: int, seed: int
) -> SelectedClass:
    """What a class's chosen set is, beside as many at random and all that was accepted."""
    rows = np.flatnonzero(accepted.label_N == k)
    reference_RD = space.reference_RD[space.label_R == k]
    picked = rows[np.isin(accepted.ids[rows], chosen)]
    random = np.random.default_rng(seed).permutation(rows)[: picked.size]

    def of(some: np.ndarray) -> SetFacts | None:
        if not accepted.vector_ND.shape[1]:
            return None
        return set_facts(accepted.vector_ND[some], reference_RD, seed)

    return {
        "accepted": int(rows.size),
        "selected": int(picked.size),
        "set": of(picked),
        "random": of(random),
        "all": of(rows),
    }


def measure_set(run: Run, out: Folder) -> ClassifyResult:
    """Accuracies with a chosen set, as many accepted images at random, all of them, and none.

    Raises:
        InputError: the run has no test images.
    """
    test = run.test_images(None)
    if test is None:
        raise InputError(f"{run.folder} has no `test` images, which measuring needs")
    classify = run.config.classify.model_copy(update={"arms": list(ARMS)})
    config = run.config.model_copy(update={"classify": classify})
    records = run_arms(arm_inputs(run, test, out, config), out.sub(MEASURED))
    return {**summarise(records), "test_images": test.num_rows}
