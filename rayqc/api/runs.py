"""Do runs, whole or stage by stage; a stage that is done is not done again."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from rayqc.config import Config
from rayqc.distributed.nodes import nodes_up
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.session import reach, session
from rayqc.errors import InputError
from rayqc.kinds import STAGES
from rayqc.ledger.manifest import load_totals
from rayqc.ledger.owner import own
from rayqc.live import usual_progress
from rayqc.pipeline.demos import DemoPool, demo_config
from rayqc.pipeline.forecast import foretell
from rayqc.pipeline.inputs import Looked, look_at_inputs
from rayqc.pipeline.judging import refuse_many_errors
from rayqc.pipeline.outlook import Expected
from rayqc.pipeline.records import clear_stages, is_done
from rayqc.pipeline.retry import refuse_both
from rayqc.pipeline.run import Run
from rayqc.pipeline.run_folder import CONFIG, SameSections, Trust, code_of, open_run
from rayqc.pipeline.run_stages import all_done, do_stage, refuse_beginning, result_of
from rayqc.pipeline.same_content import same_sections
from rayqc.pipeline.settings import settings_of_run
from rayqc.pipeline.stage import downstream, stage
from rayqc.pipeline.stages import filter as filter_stage
from rayqc.pipeline.tracking import tracked
from rayqc.progress import Progress
from rayqc.results import (
    ClassifyResult,
    EncoderRecord,
    FilterResult,
    FitResult,
    GenerateResult,
    RunResult,
)
from rayqc.shown.base import filter_lines
from rayqc.shown.commands import demo as demo_shown
from rayqc.shown.commands import whole_run
from rayqc.shown.displayed import displayed, shown_by
from rayqc.storage import Folder

logger = logging.getLogger(__name__)


@shown_by(whole_run)
def run(
    config: Config | str,
    out: str,
    *,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Do all stages of a run; stages that are done already are not done again.

    Args:
        config: settings, or the path of a YAML file of settings.
        out: the run folder, a path or URL.
        redo: do anew the stages that changed settings affect, or all stages when none changed and
            all are done; a run that was stopped goes on.
        address: where Ray runs: `local`, `auto`, or a cluster's address.
        num_cpus: CPUs of a local session; None takes the machine's.
        progress: how progress is shown; None logs plain lines.

    Returns:
        What `result.json` holds.

    Raises:
        ErrorBudgetExceeded: all is written, but too many images could not be judged.
        UserError: something that the user can put right; see `rayqc.errors`.
    """
    settings = settings_of_run(config)
    folder, progress = Folder(out), progress or usual_progress()
    looked = look_at_inputs(settings, table=redo or not folder.exists(CONFIG))
    reach(address)  # before anything is cleared
    with own(folder):
        same = _same_sections(folder, progress)
        config_in_force = open_run(
            folder, settings, redo, looked.digests, same_sections=same, goes_on=True
        )
        opened_run = Run(folder, config_in_force, progress)
        with _session_for(opened_run, STAGES.names, address, num_cpus), tracked(opened_run):
            expected = _foretell(opened_run, looked)
            left = [name for name in STAGES.names if not is_done(folder, name)]
            seconds = {name: expected[name].seconds if name in expected else None for name in left}
            with opened_run.progress.stages(seconds):
                for name in STAGES.names:
                    do_stage(opened_run, name, expected.get(name))
    refuse_many_errors(load_totals(opened_run.filtered), opened_run)
    return result_of(opened_run)


def _foretell(run: Run, looked: Looked) -> dict[str, Expected]:
    """What the stages that are left are expected to take; nothing beside GPUs."""
    left = [name for name in STAGES.names if not is_done(run.folder, name)]
    if not left or gpus_wanted(run.asked.resources.use_gpu):
        return {}
    return foretell(run.asked, looked, nodes_up(), left)


def _same_sections(folder: Folder, progress: Progress) -> SameSections:
    return lambda config, sections: same_sections(folder, config, sections, progress)


@shown_by(demo_shown)
def demo(
    out: str,
    *,
    pool: DemoPool = "generator",
    overrides: tuple[str, ...] = (),
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Do a run with the demo's settings, on the package's real digits: minutes on 2 cores.

    Args:
        pool, overrides: see `demo_config`. Other arguments as for `run`.
    """
    config = demo_config(pool, overrides)
    return run(config, out, redo=redo, address=address, num_cpus=num_cpus, progress=progress)


def train(
    config: Config | str,
    out: str,
    *,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> EncoderRecord:
    """Start a run: draw the references and train the encoder on them. Arguments as for `run`."""
    settings = settings_of_run(config)
    folder, progress = Folder(out), progress or usual_progress()
    looked = look_at_inputs(settings, table=redo or not folder.exists(CONFIG))
    reach(address)
    with own(folder):
        same = _same_sections(folder, progress)
        open_run(folder, settings, redo, looked.digests, same_sections=same)
    return cast(
        "EncoderRecord",
        do_one_stage(
            "train",
            out,
            trust=code_of(settings),
            address=address,
            num_cpus=num_cpus,
            progress=progress,
        ),
    )


def fit(
    run: str,
    *,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Encode the references and fit each class's region. Other arguments as for `rayqc.run`.

    Args:
        trust: code to run that the run's settings name; a run folder cannot name code by itself.
    """
    summary = do_one_stage(
        "fit",
        run,
        trust=trust,
        redo=redo,
        address=address,
        num_cpus=num_cpus,
        progress=progress,
    )
    return cast("FitResult", summary)


def generate(
    run: str,
    *,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> GenerateResult:
    """Train the run's generators and make its own pool. Arguments as for `fit`."""
    summary = do_one_stage(
        "generate",
        run,
        trust=trust,
        redo=redo,
        address=address,
        num_cpus=num_cpus,
        progress=progress,
    )
    return cast("GenerateResult", summary)


@shown_by(filter_lines)
def filter(
    run: str,
    *,
    actors: int | None = None,
    retry_errors: bool = False,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> FilterResult:
    """Judge the run's own pool. Other arguments as for `fit`.

    Args:
        actors: encoding actors; None takes the run's setting.
        retry_errors: judge again only the images that could not be judged, once the filter is done;
            what was measured with the old verdicts is cleared.
    """
    refuse_both(redo, retry_errors)
    if retry_errors:
        return _filter_again(Folder(run), actors, trust, address, num_cpus, progress)
    summary = do_one_stage(
        "filter",
        run,
        trust=trust,
        redo=redo,
        address=address,
        num_cpus=num_cpus,
        progress=progress,
        actors=actors,
    )
    folder = Folder(run)
    judged_run = Run(folder, open_run(folder, None, False))
    refuse_many_errors(load_totals(judged_run.filtered), judged_run)
    return cast("FilterResult", summary)


def _filter_again(
    folder: Folder,
    actors: int | None,
    trust: Trust,
    address: str,
    num_cpus: int | None,
    progress: Progress | None,
) -> FilterResult:
    """Judge again what failed in a run's own pool."""
    config = open_run(folder, None, False, trust=trust)
    if not is_done(folder, "filter"):
        raise InputError(f"{folder}: there is nothing to retry before `rayqc filter {folder}`")
    opened_run = Run(folder, config, progress)
    if actors is not None:
        opened_run = opened_run.with_filter(actors=actors)
    with own(folder), session(address, num_cpus):
        result = filter_stage.again(opened_run)
    refuse_many_errors(load_totals(opened_run.filtered), opened_run)
    return result


def classify(
    run: str,
    *,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> ClassifyResult:
    """Train and test the classifier arms, and write `result.json`. Arguments as for `fit`."""
    summary = do_one_stage(
        "classify",
        run,
        trust=trust,
        redo=redo,
        address=address,
        num_cpus=num_cpus,
        progress=progress,
    )
    return cast("ClassifyResult", summary)


def do_one_stage(
    name: str,
    run: str,
    *,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
    actors: int | None = None,
) -> Any:
    """Do any registered stage of a run; returns its summary. Other arguments as for `fit`.

    Args:
        name: the stage's name.
        redo: do the stage anew, and clear the stages that need it.
        actors: encoding actors; None takes the run's setting.
    """
    folder = Folder(run)
    opened_run = Run(folder, open_run(folder, None, False, trust=trust), progress)
    if actors is not None:
        opened_run = opened_run.with_filter(actors=actors)
    with own(folder):
        stages = downstream(name) if redo else (name,)
        begun = (
            session(address, num_cpus)
            if redo
            else _session_for(opened_run, stages, address, num_cpus)
        )
        with begun, tracked(opened_run):
            if redo:
                refuse_beginning(opened_run, name)
                clear_stages(folder, stages)  # not before Ray is there
            summary = do_stage(opened_run, name)
    return displayed(summary, stage(name).show, run)


def _session_for(
    run: Run, stages: tuple[str, ...], address: str, num_cpus: int | None
) -> AbstractContextManager[None]:
    """A Ray session; none if all stages are done, since starting Ray takes seconds."""
    return nullcontext() if all_done(run, stages) else session(address, num_cpus)
