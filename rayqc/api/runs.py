"""What a user calls: each function does one stage of a run folder, or all of them.

A stage that is done is not done again. Results come as plain values.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rayqc.config import (
    Augment,
    Code,
    Config,
    Data,
    Exported,
    Files,
    load_config,
    parse_config,
)
from rayqc.config.base import Statistic
from rayqc.distributed.filter import match_classes
from rayqc.distributed.filter_work import POISON
from rayqc.distributed.session import session
from rayqc.errors import ConfigError, ErrorBudgetExceeded, InputError
from rayqc.generators.policies import make_transform
from rayqc.generators.steering import Wanted
from rayqc.ledger.manifest import Totals, load_totals
from rayqc.ledger.owner import own, refuse_mixing
from rayqc.ledger.plan import clear, inputs_digest
from rayqc.ledger.stages import (
    STAGES,
    Trust,
    begin,
    clear_stages,
    done,
    downstream,
    is_done,
    open_run,
    status,
)
from rayqc.pipeline.acceptance import judge_acceptance
from rayqc.pipeline.artefacts import run_encoder
from rayqc.pipeline.generators import code_maker
from rayqc.pipeline.stages import WORK, filter_sources
from rayqc.pipeline.until import draw_until
from rayqc.progress import Progress
from rayqc.regions.statistics import Statistics
from rayqc.report.acceptance import acceptance_picture
from rayqc.sources import open_source
from rayqc.storage import Folder, read_json
from rayqc.units import WHOLE, Unit, number

logger = logging.getLogger(__name__)

DEMO = Path(__file__).parent.parent / "data" / "demo.yaml"

Summary = dict[str, Any]


def run(
    config: Config | str,
    out: str,
    *,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> Summary:
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
    folder, inputs = Folder(out), _check(settings)
    with own(folder):
        chosen = open_run(folder, settings, redo, inputs)
        with _session_for(folder, STAGES, address, num_cpus):
            for stage in STAGES:
                _stage(folder, stage, chosen, progress or Progress())
    _check_error_budget(load_totals(folder.sub("filtered")), chosen)
    return dict(read_json(folder, "result.json"))


def demo(
    out: str,
    *,
    overrides: tuple[str, ...] = (),
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> Summary:
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
) -> Summary:
    """Start a run: draw the references and train the VAE on them. Arguments as `run`."""
    settings = _settings(config)
    folder, inputs = Folder(out), _check(settings)
    with own(folder):
        open_run(folder, settings, redo, inputs)
    trust = settings.encoder.target
    return _one(folder, "train", False, address, num_cpus, progress, trust)


def fit(
    run: str,
    *,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Encode the references and fit each class's region. Other arguments as `rayqc.run`.

    Args:
        trust: `target`s of the run's settings: a run folder cannot name code by itself.
    """
    return _one(Folder(run), "fit", redo, address, num_cpus, progress, trust)


def generate(
    run: str,
    *,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Train the run's generators and make its own pool. As `rayqc.run`, `trust` as `fit`."""
    return _one(Folder(run), "generate", redo, address, num_cpus, progress, trust)


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
) -> Summary:
    """Draw from a fitted run's generators until so many are accepted of every class.

    Args:
        run: a run whose `fit` is done and whose pool names a generator.
        out: a folder of its own; the accepted images are a pool or training set there.
        until: accepted images wanted of each class; the last draws may bring some more.
        budget: candidates to draw at most, of all classes together; None sets no bound, which
            needs a floor above 0.
        floor: a class is given up by a generator once its share of accepted images is below this
            beyond doubt; see `rayqc.generators.steering`.
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
    config = _fitted(folder, "generate", trust)
    refuse_mixing(folder, folder.sub("pool"), target)
    wanted = Wanted(until=until, budget=budget, floor=floor)
    with own(folder), own(target):
        if redo:
            clear(target)
        with session(address, num_cpus):
            found = draw_until(folder, target, wanted, config, progress or Progress())
    _check_error_budget(load_totals(target), config)
    return found


def filter(
    run: str,
    *,
    actors: int | None = None,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Judge the run's own pool, by `actors` or as set. Others as `rayqc.run`, `trust` as `fit`."""
    folder = Folder(run)
    found = _one(folder, "filter", redo, address, num_cpus, progress, trust, actors)
    config = open_run(folder, None, False)
    _check_error_budget(load_totals(folder.sub("filtered")), config)
    return found


def classify(
    run: str,
    *,
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Train and test the classifier arms, write `result.json`. As `rayqc.run`, `trust` as `fit`."""
    return _one(Folder(run), "classify", redo, address, num_cpus, progress, trust)


def filter_pool(
    run: str,
    pool: str,
    out: str,
    *,
    actors: int | None = None,
    limit: int | None = None,
    statistic: Statistic = "joint",
    trust: Trust = None,
    redo: bool = False,
    address: str = "local",
    num_cpus: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Judge any other pool by a fitted run; `out` gets what a run's `filtered/` holds.

    Args:
        run: a run whose `fit` is done.
        pool: Parquet files or a folder of class folders; classes are matched by name.
        out: a folder of its own.
        actors: encoding actors; None takes the run's setting.
        limit: take so many images only, evenly spaced over the pool.
        statistic: what calibrated regions judge by: label, quality, or joint.
        trust: as for `fit`.
        redo: clear `out` first when it holds other work.

    Returns:
        The ledger's totals, and what was accepted of each class.
    """
    folder, target = Folder(run), Folder(out)
    config = _fitted(folder, "filter", trust)
    refuse_mixing(folder, Folder(pool), target)
    # The run's own limit was for its own pool.
    config = _with_filter(config, limit=limit, actors=actors or config.filter.actors)
    classes = run_encoder(folder, config).classes
    source = match_classes(open_source(Data(path=pool)), "", classes)
    units = number(source.source.units(config.filter.unit_rows), limit)
    with own(target):
        if redo:
            clear(target)
        with session(address, num_cpus):
            chosen = Statistics(default=statistic)
            totals = filter_sources(
                folder, target, [source], units, config, chosen, progress or Progress()
            )
            acceptance = judge_acceptance(folder, target, config)
        target.write("acceptance.png", acceptance_picture(acceptance, config.regions.coverage))
    _check_error_budget(totals, config)
    return {**asdict(totals), "acceptance": acceptance}


def _fitted(folder: Folder, command: str, trust: Trust) -> Config:
    """The settings of a run that a command needs to be fitted.

    Raises:
        InputError: it is not.
    """
    config = open_run(folder, None, False, trust=trust)
    if not is_done(folder, "fit"):
        raise InputError(f"{folder}: `{command}` needs `fit` first; run `rayqc fit {folder}`")
    return config


def _settings(config: Config | str) -> Config:
    return load_config(config) if isinstance(config, str) else config


def _with_filter(config: Config, **changes: Any) -> Config:
    """The settings with some of the filter's replaced."""
    return config.model_copy(update={"filter": config.filter.model_copy(update=changes)})


def _check(config: Config) -> dict[str, str]:
    """Find what can be found wrong before Ray starts and hours pass.

    Returns:
        Digests of the images that the settings name, by section.
    """
    references = open_source(config.references)
    test = config.test_data()
    inputs = {"references": inputs_digest(references.units(WHOLE))}
    if test is not None:
        inputs["test"] = inputs_digest(open_source(test, split="test").units(WHOLE))
    elif config.classify.arms:
        raise InputError(
            "the classifier stage needs real test images and the configuration names none; set "
            "`test: {path: ...}`, or `classify: {arms: []}` to leave the stage out"
        )
    files = []
    for place, entry in enumerate(config.pool):
        if isinstance(entry, Augment):
            make_transform(entry.policy, channels=3)
        elif isinstance(entry, Code | Exported):
            tag = code_maker(entry).identity
            files.append(Unit(entry=place, path=entry.kind, start=0, stop=1, fingerprint=tag))
        elif isinstance(entry, Files):
            files += [replace(unit, entry=place) for unit in open_source(entry).units(WHOLE)]
    return {**inputs, "pool": inputs_digest(files)}


def _one(
    folder: Folder,
    stage: str,
    redo: bool,
    address: str,
    num_cpus: int | None,
    progress: Progress | None,
    trust: Trust = None,
    actors: int | None = None,
) -> Summary:
    chosen = open_run(folder, None, False, trust=trust)
    if actors is not None:
        chosen = _with_filter(chosen, actors=actors)
    with own(folder):
        if redo:
            clear_stages(folder, downstream(stage))
        with _session_for(folder, (stage,), address, num_cpus):
            return _stage(folder, stage, chosen, progress or Progress())


def _session_for(
    folder: Folder, stages: tuple[str, ...], address: str, num_cpus: int | None
) -> AbstractContextManager[None]:
    """Ray, unless all is done: finding that out should not take its start."""
    if all(is_done(folder, stage) for stage in stages):
        return nullcontext()
    return session(address, num_cpus)


def _stage(folder: Folder, stage: str, config: Config, progress: Progress) -> Summary:
    if is_done(folder, stage):
        logger.info("%s: done before, nothing to do", stage)
    else:
        begin(folder, stage)
        started = time.monotonic()
        summary = WORK[stage](folder, config, progress)
        done(folder, stage, time.monotonic() - started, summary)
    found = status(folder, stage)
    return dict(found["summary"]) if found else {}


def _check_error_budget(totals: Totals, config: Config) -> None:
    most = config.filter.max_error_share
    if totals.error_share > most or totals.reasons.get(POISON):
        wrong = {k: v for k, v in totals.reasons.items() if not k.endswith("_region")}
        raise ErrorBudgetExceeded(
            f"finished and written, but {totals.outcomes['error']:,} of {totals.read:,} images "
            f"could not be judged: {totals.error_share:.1%}, filter.max_error_share is {most:.1%} "
            f"and no image may kill its process; {wrong}; see errors/ in the output"
        )
