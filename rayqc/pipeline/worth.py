"""How many accepted images are worth having: accuracy of a probe by the size of the set.

Shape suffixes: N images, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from rayqc.distributed.classifiers.base import ClassifierKind
from rayqc.distributed.tasks import get_shared, put_shared, run_tasks
from rayqc.errors import InputError
from rayqc.kinds import CLASSIFIERS, SELECTIONS
from rayqc.ledger.manifest import is_finished
from rayqc.pipeline.arms import arm_inputs
from rayqc.pipeline.run import Run
from rayqc.report.intervals import mean_interval
from rayqc.results import Interval, RecommendedSet, SizeFacts, WorthResult
from rayqc.selection.base import SelectionKind
from rayqc.selection.target import Space, fit_space
from rayqc.storage import Folder
from rayqc.training.arms import LatentPool, Latents
from rayqc.training.probe import probe_accuracy, train_probe

RANDOM = "random"
SERIES = (1, 2, 5)
"""Sizes are these times powers of ten, up to what the largest class has."""
MOST_OF_A_CLASS = 20_000
"""Accepted images of a class that sets are chosen from."""


def worth_of(
    run: Run,
    judged: Folder,
    *,
    ways: Sequence[str],
    sizes: Sequence[int] | None,
    seeds: int,
) -> WorthResult:
    """Accuracies of a linear probe on references and so many accepted images of each class.

    Args:
        judged: a finished filter's output.
        ways: names of `SELECTIONS` besides `random`, which is always measured.
        sizes: images of each class; None takes 1, 2, 5, 10, 20, ... as far as there are images.
        seeds: trainings of each way and size; a seed draws its own references (a bootstrap by
            class) and its own random images.

    Raises:
        InputError: `judged` is not finished, the run has no test images, or nothing was accepted.
    """
    if not is_finished(judged):
        raise InputError(f"{judged} holds no finished filter (no _SUCCESS); finish it first")
    test_images = run.test_images(None)
    if test_images is None:
        raise InputError(f"{run.folder} has no `test` images, which measuring needs")
    kind: ClassifierKind = CLASSIFIERS["probe"]
    shared = kind.put(arm_inputs(run, test_images, judged, run.config))
    references, pool = get_shared(shared[0]), get_shared(shared[2])
    classes = len(run.encoder.classes)
    rows_by_class = _accepted_by_class(pool, classes)
    largest = max(rows.size for rows in rows_by_class)
    if not largest:
        raise InputError(f"{judged} accepted no image; there is nothing to add to the references")
    wanted = _sizes(largest) if sizes is None else sorted({min(one, largest) for one in sizes})
    space = fit_space(references.latent_ND, references.label_N, classes)
    chosen = {
        (way, size): _choose(way, size, pool, space, rows_by_class, run.config.seed)
        for way in ways
        for size in wanted
    }
    points = [(RANDOM, 0), *((way, size) for size in wanted for way in (RANDOM, *ways))]
    rows_ref = put_shared(rows_by_class)
    jobs = [
        (*shared, rows_ref, chosen.get(point), point[1], classes, seed, run.config.seed)
        for point in points
        for seed in range(seeds)
    ]
    with run.progress.stage("worth", len(jobs), "trainings") as stage:
        found = run_tasks(_accuracy, jobs, stage)
    accuracy_PS = np.array(found, float).reshape(len(points), seeds)
    by_point = dict(zip(points, accuracy_PS, strict=True))
    real_S = by_point[RANDOM, 0]
    result: WorthResult = {
        "real": mean_interval(real_S.tolist()),
        "sizes": {
            way: [_facts(size, by_point[way, size], real_S, rows_by_class) for size in wanted]
            for way in (RANDOM, *ways)
        },
        "seeds": seeds,
        "recommended": None,
        "says": "",
    }
    result["recommended"], result["says"] = _recommend(by_point, wanted, (*ways, RANDOM))
    return result


def _accepted_by_class(pool: LatentPool, classes: int) -> list[np.ndarray]:
    return [np.flatnonzero(pool.accepted_N & (pool.label_N == k)) for k in range(classes)]


def _sizes(largest: int) -> list[int]:
    """1, 2, 5, 10, ... below the largest class's number, and that number."""
    powers = range(len(str(largest)))
    series = [digit * 10**power for power in powers for digit in SERIES]
    return [*(size for size in series if size < largest), largest]


def _choose(
    way: str, size: int, pool: LatentPool, space: Space, rows_by_class: list[np.ndarray], seed: int
) -> np.ndarray:
    """Rows of the pool: so many of each class, by a way."""
    kind: SelectionKind = SELECTIONS[way]
    picked = [np.zeros(0, np.int64)]
    for k, of_class in enumerate(rows_by_class):
        rows = np.random.default_rng([seed, k]).permutation(of_class)[:MOST_OF_A_CLASS]
        if rows.size <= size:
            picked.append(rows)
            continue
        choice = space.choice(space.project(pool.latent_ND[rows]), k, size, seed + k)
        picked.append(rows[kind.choose(choice)])
    return np.concatenate(picked)


def _accuracy(
    references: Latents,
    test: Latents,
    pool: LatentPool,
    rows_by_class: list[np.ndarray],
    chosen: np.ndarray | None,
    size: int,
    classes: int,
    seed: int,
    run_seed: int,
) -> float:
    """Accuracy with the chosen rows, or with so many of each class at random."""
    torch.set_num_threads(1)
    if chosen is None:
        rng = np.random.default_rng([run_seed, seed, size])
        picked = [rows[rng.permutation(rows.size)[:size]] for rows in rows_by_class]
        chosen = np.concatenate(picked)
    added = Latents(latent_ND=pool.latent_ND[chosen], label_N=pool.label_N[chosen])
    return probe_accuracy(train_probe(references, added, classes, seed), test)


def _facts(
    size: int, accuracy_S: np.ndarray, real_S: np.ndarray, rows_by_class: list[np.ndarray]
) -> SizeFacts:
    return {
        "per_class": size,
        "added": sum(min(size, rows.size) for rows in rows_by_class),
        "accuracy": mean_interval(accuracy_S.tolist()),
        "gain": mean_interval((accuracy_S - real_S).tolist()),
    }


def _recommend(
    by_point: dict[tuple[str, int], np.ndarray], sizes: list[int], ways: tuple[str, ...]
) -> tuple[RecommendedSet | None, str]:
    """The smallest set that is no worse than the best one, if that helps; and words for it."""
    real_S = by_point[RANDOM, 0]
    points = [(way, size) for size in sizes for way in ways]
    best = max(points, key=lambda point: by_point[point].mean())
    gain = mean_interval((by_point[best] - real_S).tolist())
    if not _above_zero(gain):
        return None, (
            "no size was shown to help: the best one changes accuracy by "
            f"{100 * (gain['mean'] or 0):+.1f} points, and its interval holds 0"
        )
    for point in points:
        gain = mean_interval((by_point[point] - real_S).tolist())
        behind = mean_interval((by_point[best] - by_point[point]).tolist())
        if _above_zero(gain) and not _above_zero(behind):
            break
    way, size = point
    half = gain["half_width"] or 0.0
    return {"by": way, "per_class": size}, (
        f"{size:,} images of each class by {way} are enough: "
        f"{100 * (gain['mean'] or 0):+.1f} ± {100 * half:.1f} points against the references alone, "
        "and no larger set was shown to be better"
    )


def _above_zero(value: Interval) -> bool:
    mean, half = value["mean"], value["half_width"]
    return mean is not None and half is not None and mean - half > 0
