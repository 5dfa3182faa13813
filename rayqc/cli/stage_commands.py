"""The commands of a run's stages: each stage is one, and `OF_STAGES` lists those that do more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rayqc
from rayqc.cli.command import Arguments, Command, Common, overrides_of
from rayqc.config.base import Settings
from rayqc.errors import UserError
from rayqc.pipeline.stage import Stage

FLOOR = 0.01


def _train(arguments: Arguments, common: Common) -> Any:
    config = rayqc.load_config(arguments.config, overrides_of(arguments))
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
        given = [name for name in OF_ANOTHER_POOL if vars(arguments)[name.replace("-", "_")]]
        if given:
            raise UserError(
                f"--{given[0]} goes with --pool; of the run's own pool each entry's settings say it"
            )
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
        latent_column=arguments.latent_column,
        retry_errors=arguments.retry_errors,
        trust=arguments.trust,
        **statistic,
        **common,
    )


COLUMNS = ("image-column", "label-column")
OF_ANOTHER_POOL = ("statistic", *COLUMNS, "latent-column")
"""Arguments of `filter` that say how another pool is read and judged."""
OF_A_RUN = ("run", "trust")
STARTS_A_RUN = ("config", "out", "set", "limit")
OF_STAGES: dict[str, tuple[Callable[[Arguments, Common], Any], tuple[str, ...]]] = {
    "train": (_train, STARTS_A_RUN),
    "generate": (_generate, ("run", "until", "out?", "budget", "floor", "trust")),
    "filter": (
        _filter,
        (
            *("run", "pool", "out?", "actors", "limit", "statistic"),
            *("retry-errors", *COLUMNS, "latent-column", "trust"),
        ),
    ),
}
"""Stages whose commands do more than the stage: their work, and their arguments."""


def of_stage(stage: Stage) -> Command:
    """The command of a stage."""

    def work(arguments: Arguments, common: Common) -> Any:
        from rayqc.api.runs import do_one_stage  # noqa: PLC0415  (loads Ray)

        return do_one_stage(stage.name, arguments.run, trust=arguments.trust, **common)

    own_work, arguments = OF_STAGES.get(stage.name, (work, OF_A_RUN))
    return Command(
        help=stage.help,
        arguments=arguments,
        work=own_work,
        settings=None if stage.settings is None else _settings_of(stage.name, stage.settings),
    )


def _settings_of(section: str, settings: type[Settings]) -> str:
    """Each setting of a section with its default and its meaning."""
    lines = (
        f"{section}.{key} (default: {field.default}): {' '.join((field.description or '').split())}"
        for key, field in settings.model_fields.items()
    )
    return f"settings: {' '.join(lines)}"
