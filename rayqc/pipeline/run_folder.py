"""The settings in force for a run folder, and the stages that a change of them undoes."""

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
"""Section of the settings to the digest of what it names outside the run folder."""

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
        redo: clear the stages that changed settings undo, instead of refusing; clear all stages
            when nothing changed.
        inputs: digests of what the settings name now.
        trust: code of `encoder` and of pool entries that the user names. Other code that the run's
            own settings name is left out of them.

    Raises:
        InputError: no settings were given, and the folder is no run.
        ConflictError: changed settings enter stages that have begun.
    """
    if not run.exists(CONFIG):
        if config is None:
            raise InputError(
                f"{run} is no run: found no {CONFIG}; "
                f"start with `rayqc train CONFIG.yaml --out {run}`"
            )
        _write(run, config, inputs)
        return config
    run_config = make_config(yaml.safe_load(run.read(CONFIG)), run.path(CONFIG))
    if config is None:
        return _trusting(run_config, trust)
    new_inputs = dict(inputs or {})
    run_tree = {**run_config.model_dump(mode="json"), "inputs": _recorded_inputs(run, new_inputs)}
    changes = differences(run_tree, {**config.model_dump(mode="json"), "inputs": new_inputs})
    undone_stages = [
        name for name in affected(changes, type(config)) if status(run, name) is not None
    ]
    if not changes and not redo:
        return run_config
    if not changes:
        undone_stages = list(STAGES.names)
    if undone_stages and not redo:
        raise ConflictError(
            f"{run} was made with other settings or images ({'; '.join(changes)}); this affects "
            f"{', '.join(undone_stages)}. Use another --out, or --redo to do these stages anew"
        )
    clear_stages(run, undone_stages)
    _write(run, config, inputs)
    return config


def _trusting(config: Config, trust: Trust) -> Config:
    """The settings without the code that the user did not name."""
    trusted_code = (trust,) if isinstance(trust, str) else tuple(trust or ())

    def without_unnamed(section: Section) -> Section:
        if section.code() in (None, *trusted_code):
            return section
        return section.model_copy(update={section.code_setting: None})

    pool = [
        without_unnamed(entry) if isinstance(entry, NamesCode) else entry for entry in config.pool
    ]
    return config.model_copy(update={"encoder": without_unnamed(config.encoder), "pool": pool})


def _write(run: Folder, config: Config, inputs: Inputs | None) -> None:
    write_json(run, INPUTS, inputs or {})
    run.write(CONFIG, dump_config(config).encode())


def _recorded_inputs(run: Folder, new_inputs: Inputs) -> Inputs:
    """The digests that the run recorded; today's for inputs that earlier versions left out."""
    recorded = dict(read_json(run, INPUTS)) if run.exists(INPUTS) else {}
    return {**{name: new_inputs[name] for name in RECORDED_LATER if name in new_inputs}, **recorded}


RECORDED_LATER = ("encoder",)
"""Inputs that rayqc 0.1.0 did not record."""
