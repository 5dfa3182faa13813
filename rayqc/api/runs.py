"""Runs, whole or stage by stage. A stage that is done is not done again."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

from rayqc.config import Config
from rayqc.distributed.session import session
from rayqc.kinds import STAGES
from rayqc.ledger.manifest import load_totals
from rayqc.ledger.owner import own
from rayqc.pipeline.inputs import look_at_inputs
from rayqc.pipeline.judging import refuse_many_errors
from rayqc.pipeline.records import clear_stages
from rayqc.pipeline.run import Run
from rayqc.pipeline.run_folder import Trust, open_run
from rayqc.pipeline.run_stages import all_done, do_stage, result_of
from rayqc.pipeline.settings import load_config, parse_config
from rayqc.pipeline.stage import downstream
from rayqc.progress import Progress
from rayqc.results import (
    ClassifyResult,
    EncoderRecord,
    FilterResult,
    FitResult,
    GenerateResult,
    RunResult,
)
from rayqc.storage import Folder

DEMO = Path(__file__).parent.parent / "data" / "demo.yaml"


def run(
    config: Config | str,
    out: str,
    *,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """All stages; what is done already is not done again.

    Args:
        config: settings, or the path of a YAML file of settings.
        out: the run folder, a path or URL.
        redo: do anew the stages that changed settings affect, or all when none changed.
        address: where Ray runs: `local`, `auto`, or a cluster's address.
        num_cpus: CPUs of a local session; None takes the machine's.
        progress: how progress is shown; None logs plain lines.

    Returns:
        What `result.json` holds.

    Raises:
        ErrorBudgetExceeded: all is written, but too many images could not be read.
        UserError: something to put right; see `rayqc.errors`.
    """
    settings = _settings(config)
    folder, inputs = Folder(out), look_at_inputs(settings)
    with own(folder):
        chosen = Run(folder, open_run(folder, settings, redo, inputs), progress)
        with _session_for(chosen, STAGES.names, address, num_cpus):
            for name in STAGES.names:
                do_stage(chosen, name)
    refuse_many_errors(load_totals(chosen.filtered), chosen)
    return result_of(chosen)


def demo(
    out: str,
    *,
    overrides: tuple[str, ...] = (),
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """`run` with the demo's own settings: the package's real digits, a few minutes on 2 cores."""
    config = parse_config(DEMO.read_text(encoding="utf-8"), overrides, origin="demo")
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
    """Start a run: draw the references and train the VAE on them. Arguments as `run`."""
    settings = _settings(config)
    folder, inputs = Folder(out), look_at_inputs(settings)
    with own(folder):
        open_run(folder, settings, redo, inputs)
    return cast(
        "EncoderRecord",
        do_one_stage(
            "train",
            out,
            trust=settings.encoder.code(),
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
    """Encode the references and fit each class's region. Other arguments as `rayqc.run`.

    Args:
        trust: `target`s of the run's settings: a run folder cannot name code by itself.
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
    """Train the run's generators and make its own pool. As `rayqc.run`, `trust` as `fit`."""
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


def filter(
    run: str,
    *,
    actors: int | None = None,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> FilterResult:
    """Judge the run's own pool, by `actors` or as set. Others as `rayqc.run`, `trust` as `fit`."""
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
    judged = Run(folder, open_run(folder, None, False))
    refuse_many_errors(load_totals(judged.filtered), judged)
    return cast("FilterResult", summary)


def classify(
    run: str,
    *,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> ClassifyResult:
    """Train and test the classifier arms, write `result.json`. As `rayqc.run`, `trust` as `fit`."""
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
    """Do any stage of the register on a run folder; returns its summary. Arguments as `fit`.

    Args:
        name: of the stage.
        redo: do it and what needs it anew.
        actors: encoding actors; None takes the run's setting.
    """
    folder = Folder(run)
    chosen = Run(folder, open_run(folder, None, False, trust=trust), progress)
    if actors is not None:
        chosen = chosen.with_filter(actors=actors)
    with own(folder):
        if redo:
            clear_stages(folder, downstream(name))
        with _session_for(chosen, (name,), address, num_cpus):
            return do_stage(chosen, name)


def _settings(config: Config | str) -> Config:
    return load_config(config) if isinstance(config, str) else config


def _session_for(
    run: Run, stages: tuple[str, ...], address: str, num_cpus: int | None
) -> AbstractContextManager[None]:
    """Ray, unless all is done: finding that out should not take its start."""
    return nullcontext() if all_done(run, stages) else session(address, num_cpus)
