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
from rayqc.selection.draw import Draw, Images
from rayqc.selection.measures import MOST, set_facts
from rayqc.selection.target import Space, fit_space
from rayqc.set_results import SelectedClass, SetFacts
from rayqc.storage import Folder, digest, read_schema, read_table
from rayqc.verdicts import ACCEPTED, DUPLICATE, NONE, NOT_SELECTED
from rayqc.work.latent_columns import latent_matrix

logger = logging.getLogger(__name__)

MEASURED = "classify"
"""Folder of the records of classifiers that a set is measured by."""
ARMS = ("real", "all", "random", "accepted")
"""What a set is measured beside: nothing, all that was accepted, and as many of it at random."""
MOST_OF_A_CLASS = 200_000
"""Accepted images of a class that are chosen from; of more, as many at random."""
MOST_OF_ALL = 5_000_000
"""The same of all classes together, unless more are to be chosen: their vectors are in memory."""
IN_TASKS_FROM = 50_000
"""Accepted images from which on classes are chosen in parallel tasks; starting them takes longer
than choosing from fewer."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The accepted images of one class of a judged pool."""

    count: int
    different: int
    """Those that are no surplus duplicates."""
    some: Images
    """A random draw of them, for `set_facts`."""
    candidates: Images
    """A random draw of those that are different, which is chosen from; often it is all."""


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
    duplicates = set() if drop == NONE else surplus_ids(source, drop)
    needs_latents = kind.needs_latents and per_class is not None
    accepted = read_accepted(source, space, needs_latents, duplicates, per_class)
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
    picked = _choose_all(run, accepted, space, by, per_class, seed)
    chosen = (
        None
        if per_class is None
        else pa.array(np.concatenate([images.id_N for images in picked]), pa.string())
    )
    # Where all are chosen, only a draw of them is held.
    selected = [
        one.different if per_class is None else len(images)
        for one, images in zip(accepted, picked, strict=True)
    ]
    has_images = ACCEPTED in load_files(source)
    judge = _Chosen(chosen, pa.array(sorted(duplicates), pa.string()))
    totals = rewrite(source, out, judge, claim, classes, scores_only=not has_images)
    logger.info("select: %s", totals)
    facts = {
        name: _facts(accepted[k], picked[k], selected[k], space, k, seed)
        for k, name in enumerate(classes)
    }
    return totals, facts


def read_accepted(
    source: Folder,
    space: Space,
    needs_latents: bool,
    duplicates: set[str],
    per_class: int | None,
) -> list[Accepted]:
    """The accepted images of each class, shard by shard.

    Args:
        duplicates: ids that are not to be chosen.
        per_class: how many are to be chosen of each class; None for all, which are not held.

    Raises:
        InputError: latents are needed and were not kept.
    """
    classes = len(space.mean_KD)
    shards = load_files(source)["scores"]
    # As the first shard does, so do all.
    has_latents = any(
        kept_latent_dim(read_schema(source, shard.path)) is not None for shard in shards[:1]
    )
    if needs_latents and not has_latents:
        raise InputError(
            f"{source} kept no latents, which choosing needs; filter again with latents (rayqc run "
            "SETTINGS.yaml --out RUN --set filter.keep_latents=true --redo), or choose by random"
        )
    width = space.direction_LD.shape[1] if has_latents else 0
    most = MOST if per_class is None else _most_of_a_class(classes, per_class)
    some = [Draw(MOST, width) for _ in range(classes)]
    candidates = [Draw(most, width) for _ in range(classes)]
    columns = ["id", "label", "verdict", *([LATENT] if has_latents else [])]
    left_out = pa.array(sorted(duplicates), pa.string())
    for shard in shards:
        table = read_table(source, shard.path, columns)
        table = table.filter(pc.equal(table["verdict"], ACCEPTED))
        ids = table["id"].to_pylist()
        images = Images(
            id_N=np.array(ids, object),
            chance_N=chance_of(ids),
            vector_ND=space.project(latent_matrix(table).astype(np.float32))
            if has_latents
            else np.zeros((len(ids), 0), np.float32),
        )
        label_N = np.asarray(table["label"], np.int64)
        different_N = np.asarray(pc.invert(pc.is_in(table["id"], left_out)), bool)
        for k in np.unique(label_N):
            rows = np.flatnonzero(label_N == k)
            some[k].offer(images[rows])
            candidates[k].offer(images[rows[different_N[rows]]])
    return [
        Accepted(
            count=one.offered,
            different=of_class.offered,
            some=one.images(),
            candidates=of_class.images(),
        )
        for one, of_class in zip(some, candidates, strict=True)
    ]


def _most_of_a_class(classes: int, per_class: int) -> int:
    """How many images of each class are held to choose from; one more than are chosen, at least."""
    return max(min(MOST_OF_A_CLASS, MOST_OF_ALL // classes), per_class + 1)


@dataclass(frozen=True)
class _Chosen:
    """Rejects what was accepted and is not among the chosen ids."""

    ids: pa.Array | None
    """None for all."""
    duplicates: pa.Array

    def __call__(self, table: pa.Table) -> pa.Table:
        accepted = pc.equal(table["verdict"], ACCEPTED)
        copies = pc.and_(accepted, pc.is_in(table["id"], self.duplicates))
        table = reject(table, copies, DUPLICATE)
        if self.ids is None:
            return table
        accepted = pc.equal(table["verdict"], ACCEPTED)
        left_out = pc.and_(accepted, pc.invert(pc.is_in(table["id"], self.ids)))
        return reject(table, left_out, NOT_SELECTED)


def _choose_all(
    run: Run, accepted: list[Accepted], space: Space, by: str, per_class: int | None, seed: int
) -> list[Images]:
    """The chosen images of each class; a draw of them where all are."""
    picked = [of_class.candidates for of_class in accepted]
    jobs, places = [], []
    for k, images in enumerate(picked):
        if per_class is None or len(images) <= per_class:
            continue
        jobs.append((by, space.choice(images.vector_ND, k, per_class, seed + k)))
        places.append(k)
    with run.progress.stage("select", len(jobs), "classes") as stage:
        if sum(len(images) for images in picked) < IN_TASKS_FROM:
            found = []
            for job in jobs:
                found.append(_choose(*job))
                stage.advance(1)
        else:
            tasks = [(by, put_shared(choice)) for by, choice in jobs]
            found = run_tasks(_choose, tasks, stage)
    for k, rows in zip(places, found, strict=True):
        picked[k] = picked[k][rows]
    return picked


def _choose(by: str, choice: Choice) -> np.ndarray:
    kind: SelectionKind = SELECTIONS[by]
    return kind.choose(choice)


def _facts(
    accepted: Accepted, picked: Images, selected: int, space: Space, k: int, seed: int
) -> SelectedClass:
    """What a class's chosen set is, beside as many at random and all that was accepted."""
    reference_RD = space.reference_RD[space.label_R == k]
    order = np.random.default_rng(seed).permutation(len(accepted.some))

    def of(images: Images) -> SetFacts | None:
        if not images.vector_ND.shape[1]:
            return None
        return set_facts(images.vector_ND, reference_RD, seed)

    return {
        "accepted": accepted.count,
        "selected": selected,
        "set": of(picked),
        "random": of(accepted.some[order[:selected]]),
        "all": of(accepted.some),
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
