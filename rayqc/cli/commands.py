"""The commands: each names its work, its help and its arguments."""

from __future__ import annotations

from typing import Any

import rayqc
from rayqc.cli.command import Arguments, Command, Common, overrides_of
from rayqc.cli.stage_commands import COLUMNS, STARTS_A_RUN, of_stage
from rayqc.kinds import DEFAULT_WAY
from rayqc.pipeline.stage import all_stages
from rayqc.verdicts import ACCEPTED


def _demo(arguments: Arguments, common: Common) -> Any:
    return rayqc.demo(
        arguments.out, pool=arguments.pool, overrides=overrides_of(arguments), **common
    )


def _plan(arguments: Arguments, common: Common) -> Any:
    config = rayqc.load_config(arguments.config, overrides_of(arguments))
    return rayqc.plan(
        config,
        num_cpus=common["num_cpus"],
        cluster=arguments.cluster,
        address=None if common["address"] == "local" else common["address"],
        prices=dict(arguments.price),
    )


def _run(arguments: Arguments, common: Common) -> Any:
    config = rayqc.load_config(arguments.config, overrides_of(arguments))
    return rayqc.run(config, arguments.out, **common)


def _submit(arguments: Arguments, common: Common) -> Any:
    settings = [word for change in overrides_of(arguments) for word in ("--set", change)]
    return rayqc.submit(
        arguments.config,
        arguments.out,
        address=common["address"],
        arguments=[*settings, *(["--redo"] if common["redo"] else [])],
        variables=arguments.env,
        packages=arguments.pip,
        working_dir=arguments.working_dir,
        follow=not arguments.no_wait,
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
        drop_duplicates=arguments.drop_duplicates,
        seed=arguments.seed,
        measure=arguments.measure,
        run=arguments.judged_by,
        trust=arguments.trust,
        **common,
    )


def _worth(arguments: Arguments, common: Common) -> Any:
    return rayqc.worth(
        arguments.judged,
        by=arguments.ways or (DEFAULT_WAY,),
        sizes=arguments.sizes,
        seeds=arguments.seeds,
        run=arguments.judged_by,
        trust=arguments.trust,
        address=common["address"],
        num_cpus=common["num_cpus"],
        progress=common["progress"],
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
    if arguments.watch:
        from rayqc.cli.watch import watch  # noqa: PLC0415  (rich, not needed for --help)

        return watch(arguments.judged)
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


COMMANDS: dict[str, Command] = {
    "init": Command(
        help="look at a folder of images and write settings that run as they are",
        arguments=("images", "pool", "test", "settings"),
        takes=(),
        work=_init,
    ),
    "plan": Command(
        help="say what a run would do, and what each stage would take; without Ray",
        arguments=("config", "set", "limit", "cluster", "price"),
        takes=("address", "num-cpus"),
        work=_plan,
    ),
    "demo": Command(
        help="real digits through the whole job in a few minutes",
        arguments=("out", "pool?", "set", "limit"),
        work=_demo,
    ),
    "run": Command(
        help="all stages of a configuration",
        arguments=STARTS_A_RUN,
        work=_run,
    ),
    "submit": Command(
        help="do a run as a job on a cluster, and follow it; --address is the dashboard's",
        arguments=("config", "out", "set", "limit", "env", "pip", "working-dir", "no-wait"),
        takes=("redo", "dashboard"),
        work=_submit,
    ),
    **{stage.name: of_stage(stage) for stage in all_stages()},
    "refilter": Command(
        help="take verdicts again from stored scores, in seconds",
        arguments=("run", "out", "coverage", "statistic", "scores-only", "judged-by", "trust"),
        takes=("redo",),
        work=_refilter,
    ),
    "select": Command(
        help="choose a set of each class from what was accepted",
        arguments=(
            *("judged", "per-class", "by", "drop-duplicates", "out", "seed", "measure"),
            *("judged-by", "trust"),
        ),
        work=_select,
    ),
    "worth": Command(
        help="measure how many accepted images are worth having: accuracy by the set's size",
        arguments=("judged", "ways", "sizes", "seeds", "judged-by", "trust"),
        takes=("address", "num-cpus"),
        work=_worth,
    ),
    "report": Command(
        help="write the page report.html anew: open it in a browser, no network needed",
        arguments=("judged", "judged-by", "trust"),
        takes=(),
        work=_report,
    ),
    "inspect": Command(
        help="say why an image was judged as it was, and show it",
        arguments=("run", "id", "picture", "judged-by", "trust"),
        takes=(),
        work=_inspect,
    ),
    "list": Command(
        help="list judged images, and why each was judged so; --csv writes them to a file",
        arguments=("judged", "accepted", "rejected", "errors", "class", "reason", "first", "csv"),
        takes=(),
        work=_list,
    ),
    "export": Command(
        help="write what was accepted as class folders, tars, CSV or for the Hugging Face Hub",
        arguments=("judged", "to", "out", "accepted", "rejected", "errors", "link"),
        takes=(),
        work=_export,
    ),
    "evaluate": Command(
        help="measure the filter itself on real data, draw by draw",
        arguments=("evaluation", "out", "set", "draws"),
        takes=("address", "num-cpus"),
        work=_evaluate,
    ),
    "status": Command(
        help="say which stages are done, how much is judged, and who is at work; without Ray",
        arguments=("judged", "watch"),
        takes=(),
        work=_status,
    ),
    "check": Command(
        help="say what the images of a path or of settings are, and which cannot be decoded",
        arguments=("path", "set", *COLUMNS),
        takes=(),
        work=_check,
    ),
    "explain": Command(
        help="say what a setting means, its default, and which stages it changes",
        arguments=("key",),
        takes=(),
        work=_explain,
    ),
    "clean": Command(
        help="delete what dead attempts left in a folder",
        arguments=("run", "dry-run"),
        takes=(),
        work=_clean,
    ),
    "doctor": Command(
        help="look at Ray's nodes and warn of what will give trouble",
        arguments=(),
        takes=("address", "num-cpus"),
        work=_doctor,
    ),
}
