"""Use a fitted run: judge another pool, or draw from its generators until classes are full."""

from __future__ import annotations

from rayqc.config import Data
from rayqc.config.base import JOINT, Statistic
from rayqc.distributed.session import session
from rayqc.errors import ConfigError, InputError
from rayqc.generators.steering import Wanted
from rayqc.ledger.manifest import load_totals
from rayqc.ledger.owner import own, refuse_mixing
from rayqc.ledger.plan import clear
from rayqc.pipeline.judging import judge_sources, refuse_many_errors
from rayqc.pipeline.levels import warn_of_other_levels
from rayqc.pipeline.outputs import conclude
from rayqc.pipeline.records import is_done
from rayqc.pipeline.retry import forget, refuse_both
from rayqc.pipeline.retry import retry_errors as again
from rayqc.pipeline.run import Run
from rayqc.pipeline.run_folder import Trust, open_run
from rayqc.pipeline.unit_size import plan_units
from rayqc.pipeline.until import draw_until
from rayqc.progress import Progress
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.results import FilterResult, UntilResult
from rayqc.shown.base import filter_lines
from rayqc.shown.commands import drawn_until
from rayqc.shown.displayed import shown_by
from rayqc.sources import open_source
from rayqc.storage import Folder
from rayqc.work.match_classes import match_classes


@shown_by(drawn_until)
def generate_until(
    run: str,
    out: str,
    *,
    until: int,
    budget: int | None = None,
    floor: float = 0.01,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> UntilResult:
    """Draw from a fitted run's generators until so many are accepted of every class.

    Args:
        run: a run whose `fit` is done and whose pool names a generator.
        out: a folder of its own; the accepted images are a pool or training set there.
        until: accepted images wanted of each class; the last round may accept a few more.
        budget: most candidates to draw, of all classes together; None sets no bound, and then the
            floor must be above 0.
        floor: a generator gives a class up once its share of accepted images is surely below
            this; see `rayqc.generators.steering`.
        trust: as for `fit`.
        redo: clear `out` first when it holds other work.

    Returns:
        Of each class, how many were drawn and accepted, how it ended, and what an accepted image
        cost, with intervals.
    """
    folder, target = Folder(run), Folder(out)
    if not floor and budget is None:
        raise ConfigError("with a floor of 0 no class is ever given up; set a budget as well")
    if until < 1 or (budget is not None and budget < 1) or not 0 <= floor < 1:
        raise ConfigError(
            f"until is {until} and budget {budget}, expected at least 1; floor is {floor}, "
            "expected at least 0 and below 1"
        )
    fitted_run = _fitted(folder, "generate", trust, progress)
    refuse_mixing(folder, folder.sub("pool"), target)
    wanted = Wanted(until=until, budget=budget, floor=floor)
    with own(folder), own(target), session(address, num_cpus):
        if redo:
            clear(target)
        result = draw_until(fitted_run, target, wanted)
    refuse_many_errors(load_totals(target), fitted_run)
    return result


@shown_by(filter_lines)
def filter_pool(
    run: str,
    pool: str,
    out: str,
    *,
    actors: int | None = None,
    limit: int | None = None,
    statistic: Statistic = JOINT,
    image_column: str | None = None,
    label_column: str | None = None,
    latent_column: str | None = None,
    retry_errors: bool = False,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> FilterResult:
    """Judge another pool by a fitted run, and write `out` in the layout of a run's `filtered/`.

    Args:
        run: a run whose `fit` is done.
        pool: Parquet or tar files, a folder of class folders, a listing; classes are matched by
            name.
        out: a folder of its own.
        actors: encoding actors; None takes the run's setting.
        limit: most images to take, evenly spaced over the pool.
        statistic: what calibrated regions judge by: one score, such as label, or all, joint.
        image_column: the pool's column of images; None takes a usual name.
        label_column: the pool's column of classes; None takes a usual name.
        latent_column: the pool's column of latents, where the run's encoder is of kind `column`;
            None takes the run's own.
        retry_errors: judge again only the images that could not be judged in `out`, which is
            finished, by the statistic that judged the rest.
        trust: as for `fit`.
        redo: clear `out` first when it holds other work.

    Returns:
        The ledger's totals, and what was accepted of each class.
    """
    refuse_both(redo, retry_errors)
    folder, target = Folder(run), Folder(out)
    fitted_run = _fitted(folder, "filter", trust, progress)
    refuse_mixing(folder, Folder(pool), target)
    # The run's own limit is for its own pool only.
    fitted_run = fitted_run.with_filter(
        limit=limit, actors=actors or fitted_run.config.filter.actors
    )
    data = Data(
        path=pool,
        image_column=image_column,
        label_column=label_column,
        latent_column=latent_column or fitted_run.config.encoder.column,
    )
    source = match_classes(open_source(data), "", fitted_run.encoder.classes)
    units = plan_units([source.source], fitted_run.config.filter, fitted_run.encoder.input)
    warn_of_other_levels(pool, source.source, units, fitted_run.limits)
    with own(target):
        with session(address, num_cpus):
            if redo:
                clear(target)
                forget(target)
            statistics = StatisticChoice(default=statistic)
            totals = (
                again(fitted_run, target, [source], units, asked=statistic)
                if retry_errors
                else judge_sources(fitted_run, target, [source], units, statistics)
            )
        coverage = fitted_run.config.regions.coverage
        result = conclude(fitted_run, target, totals, coverage=coverage, own=False)
    refuse_many_errors(totals, fitted_run)
    return result


def _fitted(folder: Folder, command: str, trust: Trust, progress: Progress | None) -> Run:
    """The run in a folder, which `command` needs to be fitted.

    Raises:
        InputError: the run is not fitted.
    """
    config = open_run(folder, None, False, trust=trust)
    if not is_done(folder, "fit"):
        raise InputError(f"{folder}: `{command}` needs `fit` first; run `rayqc fit {folder}`")
    return Run(folder, config, progress)
