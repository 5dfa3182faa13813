"""Choose a set of each class from what a filter accepted."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from typing import cast

from rayqc.api.judged import folders_of
from rayqc.distributed.session import session
from rayqc.errors import ConfigError
from rayqc.kinds import SELECTIONS
from rayqc.ledger.manifest import load_totals
from rayqc.ledger.owner import own, refuse_mixing
from rayqc.pipeline.outputs import conclude
from rayqc.pipeline.run import Run
from rayqc.pipeline.run_folder import Trust, open_run
from rayqc.pipeline.select import IN_TASKS_FROM, measure_set, select_images
from rayqc.progress import Progress
from rayqc.results import SelectResult
from rayqc.shown.commands import selected
from rayqc.shown.displayed import shown_by
from rayqc.storage import Folder, write_json
from rayqc.verdicts import ACCEPTED

RESULT = "select.json"


@shown_by(selected)
def select(
    source: str,
    out: str,
    *,
    per_class: int,
    by: str = "coverage",
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

    What was accepted and not chosen is rejected there as `not_selected`.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` or `refilter` wrote.
        out: a folder of its own.
        per_class: images to choose of each class; a class with no more keeps all it has.
        by: how: `covariance`, `coverage`, `central` or `random`; see docs/selection.md.
        seed: of what is drawn.
        measure: train and test classifiers on the set, on as many accepted images at random, and
            on all of them; settings are the run's.
        run: the run that judged `source`, unless `source` is a run.
        trust: as for `fit`.
        redo: clear `out` first when it holds other work.

    Returns:
        The new totals, what each class's set is beside a random one, and accuracies if measured.

    Raises:
        ConfigError: there is no such way, or `per_class` is below 1.
        InputError: `source` is not finished, or kept no latents where they are needed.
    """
    if by not in SELECTIONS.names:
        raise ConfigError(f"by is {by!r}; expected one of {', '.join(SELECTIONS.names)}")
    if per_class < 1:
        raise ConfigError(f"per_class is {per_class}, expected at least 1")
    folder, filtered = folders_of(source, run)
    judging_run = Run(folder, open_run(folder, None, False, trust=trust), progress)
    target = Folder(out)
    refuse_mixing(folder, filtered, target)
    many = load_totals(filtered).outcomes.get(ACCEPTED, 0) >= IN_TASKS_FROM
    with own(target), session(address, num_cpus) if many or measure else nullcontext():
        totals, sets = select_images(
            judging_run, filtered, target, per_class=per_class, by=by, seed=seed, redo=redo
        )
        coverage = judging_run.config.regions.coverage
        conclude(judging_run, target, totals, coverage=coverage, own=False)
        result = {**asdict(totals), "by": by, "per_class": per_class, "sets": sets}
        if measure:
            result["classify"] = measure_set(judging_run, target)
        write_json(target, RESULT, result)
    return cast("SelectResult", result)
