"""The commands: each names its work, its help, its arguments, and how its result is shown.

Every stage of a run is a command. `OF_STAGES` lists those whose commands do more than the stage.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rayqc
from rayqc.cli import show
from rayqc.cli.show_check import checked
from rayqc.config.base import Settings
from rayqc.errors import UserError
from rayqc.pipeline.stage import Stage, all_stages
from rayqc.shown import Shown, filter_lines
from rayqc.verdicts import ACCEPTED

Arguments = argparse.Namespace
Common = dict[str, Any]
"""Keyword arguments that every command of a run takes: redo, address, num_cpus, progress."""

Show = Callable[[Any, str], Shown]
"""Takes a result, and where its files are."""

FLOOR = 0.01


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of `rayqc`."""

    help: str
    arguments: tuple[str, ...]
    """Names in `arguments.ARGUMENTS`."""
    work: Callable[[Arguments, Common], Any]
    show: Show
    settings: str | None = None
    """The settings that a stage adds, described in words; shown below its help."""
    show_until: Show | None = None
    """Shows the result of a command that does something else with --until."""

    def show_of(self, arguments: Arguments) -> Show:
        """How the result of a command with these arguments is shown."""
        if self.show_until is not None and arguments.until is not None:
            return self.show_until
        return self.show


def _demo(arguments: Arguments, common: Common) -> Any:
    return rayqc.demo(arguments.out, pool=arguments.pool, overrides=_overrides(arguments), **common)


def _run(arguments: Arguments, common: Common) -> Any:
    config = rayqc.load_config(arguments.config, _overrides(arguments))
    return rayqc.run(config, arguments.out, **common)


def _train(arguments: Arguments, common: Common) -> Any:
    config = rayqc.load_config(arguments.config, _overrides(arguments))
    return rayqc.train(config, arguments.out, **common)


def _generate(arguments: Arguments, common: Common) -> Any:
    until_options = (arguments.budget, arguments.floor)
    if arguments.until is None and arguments.out is None:
        if any(option is not None for option in until_options):
            raise UserError("--budget and --floor go with --until")
        return rayqc.generate(arguments.run, trust=arguments.trust, **common)
    if arguments.until is None or arguments.out is None:
        raise UserError("--until and --out go together: what is drawn needs a folder of its own")
    return rayqc.generate_until(
        arguments.run,
        arguments.out,
        until=arguments.until,
        budget=arguments.budget,
        floor=FLOOR if arguments.floor is None else arguments.floor,
        trust=arguments.trust,
        **common,
    )


def _filter(arguments: Arguments, common: Common) -> Any:
    pool, out, actors = arguments.pool, arguments.out, arguments.actors
    if pool is None and out is None:
        if arguments.limit is not None:
            raise UserError("--limit goes with --pool; for the run's own pool, `rayqc run --limit`")
        return rayqc.filter(
            arguments.run,
            actors=actors,
            retry_errors=arguments.retry_errors,
            trust=arguments.trust,
            **common,
        )
    if pool is None or out is None:
        raise UserError("--pool and --out go together: another pool needs a folder of its own")
    statistic = {} if arguments.statistic is None else {"statistic": arguments.statistic}
    return rayqc.filter_pool(
        arguments.run,
        pool,
        out,
        actors=actors,
        limit=arguments.limit,
        image_column=arguments.image_column,
        label_column=arguments.label_column,
        retry_errors=arguments.retry_errors,
        trust=arguments.trust,
        **statistic,
        **common,
    )


def _refilter(arguments: Arguments, common: Common) -> Any:
    return rayqc.refilter(
        arguments.run,
        arguments.out,
        coverage=arguments.coverage,
        statistic=arguments.statistic,
        scores_only=arguments.scores_only,
        run=arguments.judged_by,
        trust=arguments.trust,
        redo=common["redo"],
    )


def _select(arguments: Arguments, common: Common) -> Any:
    return rayqc.select(
        arguments.judged,
        arguments.out,
        per_class=arguments.per_class,
        by=arguments.by,
        seed=arguments.seed,
        measure=arguments.measure,
        run=arguments.judged_by,
        trust=arguments.trust,
        **common,
    )


def _inspect(arguments: Arguments, common: Common) -> Any:
    return rayqc.inspect(
        arguments.run,
        arguments.id,
        picture=arguments.picture,
        run=arguments.judged_by,
        trust=arguments.trust,
    )


def _report(arguments: Arguments, common: Common) -> Any:
    return rayqc.write_report(arguments.judged, run=arguments.judged_by, trust=arguments.trust)


def _init(arguments: Arguments, common: Common) -> Any:
    return rayqc.init(
        arguments.images, settings=arguments.settings, pool=arguments.pool, test=arguments.test
    )


def _status(arguments: Arguments, common: Common) -> Any:
    return rayqc.status(arguments.judged)


def _explain(arguments: Arguments, common: Common) -> Any:
    return rayqc.explain(arguments.key)


def _list(arguments: Arguments, common: Common) -> Any:
    return rayqc.list_images(
        arguments.judged,
        verdicts=arguments.verdicts or (),
        classes=getattr(arguments, "class") or (),
        reasons=arguments.reason or (),
        first=arguments.first,
        csv=arguments.csv,
    )


def _export(arguments: Arguments, common: Common) -> Any:
    return rayqc.export(
        arguments.judged,
        arguments.out,
        to=arguments.to,
        verdicts=arguments.verdicts or (ACCEPTED,),
        link=arguments.link,
        progress=common["progress"],
    )


def _evaluate(arguments: Arguments, common: Common) -> Any:
    settings = rayqc.load_evaluation(arguments.evaluation, arguments.set)
    session_arguments = {name: common[name] for name in ("address", "num_cpus", "progress")}
    return rayqc.evaluate(settings, arguments.out, limit=arguments.draws, **session_arguments)


def _check(arguments: Arguments, common: Common) -> Any:
    return rayqc.check(
        arguments.path,
        overrides=tuple(arguments.set),
        image_column=arguments.image_column,
        label_column=arguments.label_column,
        progress=common["progress"],
    )


def _clean(arguments: Arguments, common: Common) -> Any:
    return rayqc.clean(arguments.run, dry_run=arguments.dry_run)


def _doctor(arguments: Arguments, common: Common) -> Any:
    return rayqc.doctor(address=common["address"], num_cpus=common["num_cpus"])


def _overrides(arguments: Arguments) -> tuple[str, ...]:
    limit = [] if arguments.limit is None else [f"filter.limit={arguments.limit}"]
    return (*arguments.set, *limit)


COLUMNS = ("image-column", "label-column")
OF_A_RUN = ("run", "trust")
STARTS_A_RUN = ("config", "out", "set", "limit")
OF_STAGES: dict[str, tuple[Callable[[Arguments, Common], Any], tuple[str, ...]]] = {
    "train": (_train, STARTS_A_RUN),
    "generate": (_generate, ("run", "until", "out?", "budget", "floor", "trust")),
    "filter": (
        _filter,
        (
            *("run", "pool", "out?", "actors", "limit", "statistic"),
            *("retry-errors", *COLUMNS, "trust"),
        ),
    ),
}
"""Stages whose commands do more than the stage: their work, and their arguments."""


def _of_stage(stage: Stage) -> Command:
    """The command of a stage."""

    def work(arguments: Arguments, common: Common) -> Any:
        from rayqc.api.runs import do_one_stage  # noqa: PLC0415  (loads Ray)

        return do_one_stage(stage.name, arguments.run, trust=arguments.trust, **common)

    own_work, arguments = OF_STAGES.get(stage.name, (work, OF_A_RUN))
    return Command(
        help=stage.help,
        arguments=arguments,
        work=own_work,
        show=stage.show,
        settings=None if stage.settings is None else _settings_of(stage.name, stage.settings),
        show_until=show.drawn_until if "until" in arguments else None,
    )


def _settings_of(section: str, settings: type[Settings]) -> str:
    """Each setting of a section with its default and its meaning."""
    lines = (
        f"{section}.{key} (default: {field.default}): {' '.join((field.description or '').split())}"
        for key, field in settings.model_fields.items()
    )
    return f"settings: {' '.join(lines)}"


COMMANDS: dict[str, Command] = {
    "init": Command(
        help="look at a folder of images and write settings that run as they are",
        arguments=("images", "pool", "test", "settings"),
        work=_init,
        show=show.begun,
    ),
    "demo": Command(
        help="real digits through the whole job in a few minutes",
        arguments=("out", "pool?", "set", "limit"),
        work=_demo,
        show=show.demo,
    ),
    "run": Command(
        help="all stages of a configuration",
        arguments=STARTS_A_RUN,
        work=_run,
        show=show.whole_run,
    ),
    **{stage.name: _of_stage(stage) for stage in all_stages()},
    "refilter": Command(
        help="take verdicts again from stored scores, in seconds",
        arguments=("run", "out", "coverage", "statistic", "scores-only", "judged-by", "trust"),
        work=_refilter,
        show=filter_lines,
    ),
    "select": Command(
        help="choose a set of each class from what was accepted",
        arguments=("judged", "per-class", "by", "out", "seed", "measure", "judged-by", "trust"),
        work=_select,
        show=show.selected,
    ),
    "report": Command(
        help="write the page report.html anew: open it in a browser, no network needed",
        arguments=("judged", "judged-by", "trust"),
        work=_report,
        show=show.page_written,
    ),
    "inspect": Command(
        help="say why an image was judged as it was, and show it",
        arguments=("run", "id", "picture", "judged-by", "trust"),
        work=_inspect,
        show=show.inspected,
    ),
    "list": Command(
        help="list judged images, and why each was judged so; --csv writes them to a file",
        arguments=("judged", "accepted", "rejected", "errors", "class", "reason", "first", "csv"),
        work=_list,
        show=show.listed,
    ),
    "export": Command(
        help="write what was accepted as class folders, tars, CSV or for the Hugging Face Hub",
        arguments=("judged", "to", "out", "accepted", "rejected", "errors", "link"),
        work=_export,
        show=show.exported,
    ),
    "evaluate": Command(
        help="measure the filter itself on real data, draw by draw",
        arguments=("evaluation", "out", "set", "draws"),
        work=_evaluate,
        show=show.evaluated,
    ),
    "status": Command(
        help="say which stages are done, how much is judged, and who is at work; without Ray",
        arguments=("judged",),
        work=_status,
        show=show.stood,
    ),
    "check": Command(
        help="say what the images of a path or of settings are, and which cannot be decoded",
        arguments=("path", "set", *COLUMNS),
        work=_check,
        show=checked,
    ),
    "explain": Command(
        help="say what a setting means, its default, and which stages it changes",
        arguments=("key",),
        work=_explain,
        show=show.meant,
    ),
    "clean": Command(
        help="delete what dead attempts left in a folder",
        arguments=("run", "dry-run"),
        work=_clean,
        show=show.cleaned,
    ),
    "doctor": Command(
        help="look at Ray's nodes and warn of what will give trouble",
        arguments=(),
        work=_doctor,
        show=show.examined,
    ),
}
