"""The settings in force for a run folder, and what a change of them undoes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import yaml

from rayqc.config import Config, differences, dump_config
from rayqc.config.base import NamesCode
from rayqc.errors import ConflictError, InputError
from rayqc.kinds import STAGES
from rayqc.pipeline.records import clear_stages, status
from rayqc.pipeline.settings import make_config
from rayqc.pipeline.stage import affected
from rayqc.storage import Folder, read_json, write_json

CONFIG = "config.yaml"
INPUTS = "inputs.json"

Inputs = dict[str, str]
"""Digests of what sections of the settings name outside the run folder, by section."""

Trust = str | Sequence[str] | None
"""Python targets and exported files that a user names: a run folder cannot name code by itself."""

Section = TypeVar("Section", bound=NamesCode)


def open_run(
    run: Folder,
    config: Config | None,
    redo: bool,
    inputs: Inputs | None = None,
    trust: Trust = None,
) -> Config:
    """The settings in force for a run folder.

    Args:
        config: the settings asked for; None takes the run's own.
        redo: clear the stages that changed settings undo, instead of refusing; all
            stages when nothing changed.
        inputs: digests of what the settings name now.
        trust: targets (of `encoder`, of pool entries) that the user names; of the run's own none
            is taken without.

    Raises:
        InputError: no settings given, and the folder is no run.
        ConflictError: settings differ in stages that were begun.
    """
    if not run.exists(CONFIG):
        if config is None:
            raise InputError(
                f"{run} is no run: found no {CONFIG}; "
                f"start with `rayqc train CONFIG.yaml --out {run}`"
            )
        _write(run, config, inputs)
        return config
    written = make_config(yaml.safe_load(run.read(CONFIG)), run.path(CONFIG))
    if config is None:
        return _trusting(written, trust)
    wanted = dict(inputs or {})
    before = {**written.model_dump(mode="json"), "inputs": _written_inputs(run, wanted)}
    changes = differences(before, {**config.model_dump(mode="json"), "inputs": wanted})
    undone = [name for name in affected(changes, type(config)) if status(run, name) is not None]
    if not changes and not redo:
        return written
    if not changes:
        undone = list(STAGES.names)
    if undone and not redo:
        raise ConflictError(
            f"{run} was made with other settings or images ({'; '.join(changes)}); this affects "
            f"{', '.join(undone)}. Use another --out, or --redo to do these stages anew"
        )
    clear_stages(run, undone)
    _write(run, config, inputs)
    return config


def _trusting(config: Config, trust: Trust) -> Config:
    """Settings without code to run, but for what the user named too."""
    named = (trust,) if isinstance(trust, str) else tuple(trust or ())

    def without_unnamed(section: Section) -> Section:
        if section.code() in (None, *named):
            return section
        return section.model_copy(update={section.code_setting: None})

    pool = [
        without_unnamed(entry) if isinstance(entry, NamesCode) else entry for entry in config.pool
    ]
    return config.model_copy(update={"encoder": without_unnamed(config.encoder), "pool": pool})


def _write(run: Folder, config: Config, inputs: Inputs | None) -> None:
    write_json(run, INPUTS, inputs or {})
    run.write(CONFIG, dump_config(config).encode())


def _written_inputs(run: Folder, wanted: Inputs) -> Inputs:
    """The digests that the run was started with; of what earlier versions did not note, today's."""
    written = dict(read_json(run, INPUTS)) if run.exists(INPUTS) else {}
    return {**{name: wanted[name] for name in NOTED_LATER if name in wanted}, **written}


NOTED_LATER = ("encoder",)
"""Inputs that rayqc 0.1.0 did not note."""
