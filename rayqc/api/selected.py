"""Choose a set of each class from what a filter accepted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import cast

from rayqc.api.judged import folders_of
from rayqc.distributed.session import session
from rayqc.errors import ConfigError
from rayqc.kinds import DEFAULT_WAY, SELECTIONS
from rayqc.ledger.manifest import load_totals
from rayqc.ledger.owner import own, refuse_mixing
from rayqc.pipeline.outputs import conclude, coverage_of
from rayqc.pipeline.run import Run
from rayqc.pipeline.run_folder import Trust, open_run
from rayqc.pipeline.select import IN_TASKS_FROM, measure_set, select_images
from rayqc.pipeline.worth import RANDOM, worth_of
from rayqc.progress import Progress
from rayqc.results import SelectResult, WorthResult
from rayqc.shown.commands import selected
from rayqc.shown.commands import worth as worth_shown
from rayqc.shown.displayed import shown_by
from rayqc.storage import Folder, write_json
from rayqc.verdicts import ACCEPTED, DUPLICATES, NONE

RESULT, WORTH = "select.json", "worth.json"


@shown_by(selected)
def select(
    source: str,
    out: str,
    *,
    per_class: int | None = None,
    by: str = DEFAULT_WAY,
    drop_duplicates: str = NONE,
    seed: int = 0,
    measure: bool = False,
    run: str | None = None,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> SelectResult:
    """Write a chosen set of each class, in the layout of a run's `filtered/`; no image is decoded.

    What was accepted and not chosen is rejected there as `not_selected`, and what has a better copy
    in the set as `duplicate`.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` or `refilter` wrote.
        out: a folder of its own.
        per_class: images to choose of each class; a class with no more keeps all it has. None
            keeps all but duplicates.
        by: how: `herding`, `coverage`, `covariance`, `central` or `random`; see docs/selection.md.
        drop_duplicates: `none`, `exact` (equal pixels in the run's size) or `near` (pictures that
            look alike): of each group the image of the lowest score stays.
        seed: of what is drawn.
        measure: train and test classifiers on the set, on as many accepted images at random, and
            on all of them; settings are the run's.
        run: the run that judged `source`, unless `source` is a run.
        trust: as for `fit`.
        redo: clear `out` first when it holds other work.

    Returns:
        The new totals, what each class's set is beside a random one, and accuracies if measured.

    Raises:
        ConfigError: there is no such way, `per_class` is below 1, or there is nothing to do.
        InputError: `source` is not finished, or kept no latents where they are needed.
    """
    if by not in SELECTIONS.names:
        raise ConfigError(f"by is {by!r}; expected one of {', '.join(SELECTIONS.names)}")
    if drop_duplicates not in DUPLICATES:
        expected = ", ".join(DUPLICATES)
        raise ConfigError(f"drop_duplicates is {drop_duplicates!r}; expected one of {expected}")
    if per_class is None and drop_duplicates == NONE:
        raise ConfigError("nothing to do: give per_class, drop_duplicates or both")
    if per_class is not None and per_class < 1:
        raise ConfigError(f"per_class is {per_class}, expected at least 1")
    folder, filtered = folders_of(source, run)
    judging_run = Run(folder, open_run(folder, None, False, trust=trust), progress)
    target = Folder(out)
    refuse_mixing(folder, filtered, target)
    many = load_totals(filtered).outcomes.get(ACCEPTED, 0) >= IN_TASKS_FROM
    with own(target), session(address, num_cpus) if many or measure else nullcontext():
        totals, sets = select_images(
            judging_run,
            filtered,
            target,
            per_class=per_class,
            by=by,
            seed=seed,
            drop=drop_duplicates,
            redo=redo,
        )
        coverage = coverage_of(judging_run, filtered)
        conclude(judging_run, target, totals, coverage=coverage, own=False)
        result = {
            **asdict(totals),
            "by": by,
            "per_class": per_class,
            "drop_duplicates": drop_duplicates,
            "sets": sets,
        }
        if measure:
            result["classify"] = measure_set(judging_run, target)
        write_json(target, RESULT, result)
    return cast("SelectResult", result)


@shown_by(worth_shown)
def worth(
    source: str,
    *,
    by: Sequence[str] = (DEFAULT_WAY,),
    sizes: Sequence[int] | None = None,
    seeds: int = 20,
    run: str | None = None,
    trust: Trust = None,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> WorthResult:
    """Measure how many accepted images are worth having: a probe's accuracy by the set's size.

    A linear probe is trained on the references and so many accepted images of each class, chosen by
    each way and at random, and tested on the run's test images. `worth.json` is written into the
    folder that was judged.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` or `refilter` wrote.
        by: ways to choose, besides `random`.
        sizes: images of each class; None takes 1, 2, 5, 10, 20, ... as far as there are images.
        seeds: trainings of each way and size.
        run: the run that judged `source`, unless `source` is a run.
        trust: as for `fit`.

    Returns:
        Accuracies with intervals, and the smallest set that is no worse than the best one, if any
        was shown to help.

    Raises:
        ConfigError: there is no such way, a size is below 1, or there are fewer than 2 seeds.
        InputError: `source` is not finished, accepted nothing, or the run has no test images.
    """
    for way in by:
        if way not in SELECTIONS.names:
            raise ConfigError(f"by has {way!r}; expected of {', '.join(SELECTIONS.names)}")
    if seeds < 2 or any(size < 1 for size in sizes or ()):
        raise ConfigError(
            f"expected at least 2 seeds and sizes of 1 or more, found {seeds} and {sizes}"
        )
    folder, judged = folders_of(source, run)
    judging_run = Run(folder, open_run(folder, None, False, trust=trust), progress)
    ways = [way for way in by if way != RANDOM]
    with own(judged), session(address, num_cpus):
        result = worth_of(judging_run, judged, ways=ways, sizes=sizes, seeds=seeds)
        write_json(judged, WORTH, result)
    return result
