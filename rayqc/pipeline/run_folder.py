"""The settings in force for a run folder, and the stages that a change of them undoes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import yaml

from rayqc.config import Config, differences, dump_config
from rayqc.config.base import FILES, NamesCode
from rayqc.config.pool import BUNDLED
from rayqc.errors import ConflictError, InputError
from rayqc.kinds import SOURCES, STAGES
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

SameSections = Callable[[Config, Sequence[str]], Iterable[str]]
"""Takes the settings asked for and sections; gives those whose images the run has read."""
LOCATED = ("references", "test", "pool")
"""Sections that say where images are."""

Section = TypeVar("Section", bound=NamesCode)


def open_run(
    run: Folder,
    config: Config | None,
    redo: bool,
    inputs: Inputs | None = None,
    trust: Trust = None,
    same_sections: SameSections | None = None,
) -> Config:
    """The settings in force for a run folder.

    Args:
        config: the settings asked for; None takes the run's own.
        redo: clear the stages that changed settings undo, instead of refusing; clear all stages
            when nothing changed.
        inputs: digests of what the settings name now.
        same_sections: tells where images that were copied or mounted anew have the content that the
            run has read; None takes any change of places and files for one of the content.
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
    tree = {**config.model_dump(mode="json"), "inputs": new_inputs}
    if same_sections is not None and not redo and run_tree != tree:
        for section in same_sections(config, _moved_sections(run_tree, tree)):
            run_tree[section] = tree[section]
            run_tree["inputs"][section] = new_inputs[section]
        if run_tree == tree:
            _write(run, config, inputs)
            return config
    changes = differences(run_tree, tree)
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
            f"{', '.join(undone_stages)}. Use another --out, or --redo (redo=True in Python) "
            "to do these stages anew"
        )
    clear_stages(run, undone_stages)
    _write(run, config, inputs)
    return config


def _moved_sections(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Sections of which only places, or fingerprints of files, have changed."""
    return [
        section
        for section in LOCATED
        if section in new["inputs"]
        and _without_places(old[section]) == _without_places(new[section])
        and (old[section] != new[section] or old["inputs"].get(section) != new["inputs"][section])
    ]


def _without_places(settings: Any) -> Any:
    """A section without the paths of images; paths of generators' networks stay."""
    if isinstance(settings, list):
        return [_without_places(entry) for entry in settings]
    if not isinstance(settings, dict) or settings["kind"] not in (FILES, *SOURCES.names):
        return settings
    return {name: value for name, value in settings.items() if name != "path"}


def _trusting(config: Config, trust: Trust) -> Config:
    """The settings without the code that the user did not name."""
    trusted_code = (trust,) if isinstance(trust, str) else tuple(trust or ())

    def without_unnamed(section: Section) -> Section:
        code = section.code()
        if code is None or code in trusted_code or code.startswith(BUNDLED):
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
