"""The settings in force for a run folder, and the stages that a change of them undoes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from rayqc.config import Config, Data, differences, dump_config
from rayqc.config.base import FILES, NamesCode
from rayqc.config.pool import BUNDLED
from rayqc.errors import ArtefactError, ConfigError, ConflictError, InputError
from rayqc.kinds import SOURCES, STAGES
from rayqc.ledger.owner import refuse_inside
from rayqc.pipeline.records import clear_stages, is_done, status
from rayqc.pipeline.settings import parse_config
from rayqc.pipeline.stage import affected, all_stages
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

LONGEST_CHANGE = 120
"""Characters of a changed setting with both its values, which are left out where it is longer."""

MOST_INNER = 4
"""Changes within a list that are told one by one."""

logger = logging.getLogger(__name__)

Section = TypeVar("Section", bound=NamesCode)


def open_run(
    run: Folder,
    config: Config | None,
    redo: bool,
    inputs: Inputs | None = None,
    trust: Trust = None,
    same_sections: SameSections | None = None,
    goes_on: bool = False,
) -> Config:
    """The settings in force for a run folder.

    Args:
        config: the settings asked for; None takes the run's own.
        redo: clear the stages that changed settings undo, instead of refusing; clear all stages
            when nothing changed.
        inputs: digests of what the settings name now.
        same_sections: tells where images that were copied or mounted anew have the content that the
            run has read; None takes any change of places and files for one of the content.
        goes_on: with `redo`, let a run of these very settings that is not done go on instead.
        trust: code of `encoder` and of pool entries that the user names. Other code that the run's
            own settings name is left out of them.

    Raises:
        InputError: no settings were given, and the folder is no run.
        ConflictError: changed settings enter stages that have begun, or a new run's folder holds
            files that a stage would delete, or lies in the data.
        ArtefactError: the run's own settings are damaged.
    """
    if not run.exists(CONFIG):
        if config is None:
            raise InputError(
                f"{run} is no run: found no {CONFIG}; "
                f"start with `rayqc train CONFIG.yaml --out {run}`"
            )
        _refuse_foreign(run, config)
        _write(run, config, inputs)
        return config
    run_config = _recorded_config(run)
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
        name for name in affected(changes, run_config, config) if status(run, name) is not None
    ]
    if not changes and not redo:
        return run_config
    if not changes and goes_on and not all(is_done(run, name) for name in STAGES.names):
        logger.info(
            "%s: nothing has changed and not all is done, so --redo goes on with what is left; "
            "`rayqc train` with --redo begins anew",
            run,
        )
        return run_config
    if not changes:
        undone_stages = list(STAGES.names)
    if undone_stages and not redo:
        said = "; ".join(_said(changes, run_tree, tree))
        raise ConflictError(
            f"{run} was made with other settings or images ({said}); this affects "
            f"{', '.join(undone_stages)}. Use another --out, or --redo (redo=True in Python) "
            "to do these stages anew"
        )
    clear_stages(run, undone_stages)
    _write(run, config, inputs)
    return config


def _refuse_foreign(run: Folder, config: Config) -> None:
    """Refuse to begin a run where a stage would delete files that no stage wrote.

    Raises:
        ConflictError: see `open_run`.
    """
    for record in all_stages():
        for output in record.outputs:
            held = run.sub(output).names() if "." not in output else []
            if held:
                raise ConflictError(
                    f"{run} holds {output}/{held[0]}, which no run wrote, and a run would write to "
                    f"{output}/ and delete what is there; give --out a folder of its own"
                )
    files = [entry for entry in config.pool if isinstance(entry, Data)]
    for data in (config.references, config.test, *files):
        if data is not None and data.path:  # else what is written would be read as images of it
            refuse_inside(run, {"the images at": Folder(data.path)})


def _recorded_config(run: Folder) -> Config:
    """The settings that a run was begun with.

    Raises:
        ArtefactError: they are damaged.
    """
    place = run.path(CONFIG)
    mend = "put back the settings that the run was begun with, or begin anew in another folder"
    try:
        return parse_config(run.read(CONFIG).decode(), origin=place)
    except UnicodeDecodeError as error:
        raise ArtefactError(f"{place} is no text: {error}; {mend}") from error
    except ConfigError as error:
        raise ArtefactError(f"the run's own settings are damaged: {error}; {mend}") from error


def _said(changes: list[str], old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Changes as people read them: long values, and digests beside changed paths, are left out.

    Args:
        changes: as `differences` gives them.
        old: all settings before; so is `new` now.
    """
    lines: list[str] = []
    sections = {change.partition(":")[0].partition(".")[0] for change in changes}
    for change in changes:
        path = change.partition(": ")[0]
        section = path.removeprefix("inputs.")
        if path != section:
            what = "weights" if section == "encoder" else "files or images"
            lines += [] if section in sections else [f"{section}: other {what}"]
        elif len(change) > LONGEST_CHANGE:
            inner = _inner(old.get(path), new.get(path), path)
            lines += inner if len(inner) <= MOST_INNER else [f"{path}: others"]
        else:
            lines.append(change.replace("None", "null"))
    return lines


def _inner(old: Any, new: Any, path: str) -> list[str]:
    """Changes within lists of one length, entry by entry; one line for all else."""
    if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
        return [f"{path}: others"]
    pairs = enumerate(zip(old, new, strict=True))
    changes = [line for number, (a, b) in pairs for line in differences(a, b, f"{path}.{number}")]
    return [
        line.replace("None", "null")
        if len(line) <= LONGEST_CHANGE
        else f"{line.partition(': ')[0]}: others"
        for line in changes
    ]


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


def code_of(config: Config) -> list[str]:
    """All code that settings name, of their encoder and of pool entries."""
    sections = [config.encoder, *(entry for entry in config.pool if isinstance(entry, NamesCode))]
    return [code for section in sections if (code := section.code()) is not None]


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
