"""The stages of a run: which are done, and which a changed setting undoes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import yaml

from rayqc.config import Config, Exported, differences, dump_config, make_config
from rayqc.errors import ConflictError, InputError
from rayqc.ledger.plan import clear
from rayqc.storage import Folder, read_json, write_json

CONFIG = "config.yaml"
INPUTS = "inputs.json"
Trust = str | Sequence[str] | None
"""Python targets and exported files that a user names: a run folder cannot name code by itself."""

STAGES = ("train", "fit", "generate", "filter", "classify")

NEEDS: dict[str, tuple[str, ...]] = {
    "train": (),
    "fit": ("train",),
    "generate": ("train",),
    "filter": ("fit", "generate"),
    "classify": ("filter",),
}
"""Stages that must be done first. `generate` needs the references, which `train` draws."""

OUTPUTS = {
    "train": ("model", "generators"),
    "fit": ("regions", "references.parquet"),
    "generate": ("pool",),
    "filter": ("filtered", "contact_sheet.png", "acceptance.png"),
    "classify": ("classify", "classify.json", "result.json"),
}

TOUCHES: dict[str, tuple[str, ...]] = {
    "inputs.references": ("train", "fit", "generate", "filter", "classify"),
    "inputs.test": ("fit", "classify"),
    "inputs.pool": ("generate", "filter"),
    "resources": (),
    "filter.actors": (),
    "filter.unit_rows": (),
    "filter.unit_minutes": (),
    "filter.micro_batch": (),
    "filter.max_error_share": (),
    "encoder.precision": ("fit", "filter"),
    "encoder.checkpoint_every": (),
    "encoder.keep_checkpoints": (),
    "encoder.max_failures": (),
    "encoder.allow_collapse": (),
    "filter.limit": ("generate", "filter"),
    "filter.keep_pool": ("generate", "filter"),
    "seed": ("train", "generate", "classify"),
    "image": ("train", "fit", "filter", "classify"),
    "references": ("train", "fit", "generate", "filter", "classify"),
    "test": ("fit", "classify"),
    "pool": ("generate", "filter"),
    "encoder": ("train", "fit", "filter"),
    "regions": ("fit", "filter"),
    "regions.measure_images": ("fit",),
    "filter": ("filter",),
    "classify": ("classify",),
}
"""Settings (the longest match counts) and the stages they enter. What only changes how the
work is done, not what comes of it, enters none."""


def affected(changes: list[str]) -> tuple[str, ...]:
    """Stages that changed settings undo: those they enter, and those that need these."""
    hit: set[str] = set()
    for change in changes:
        path = change.partition(":")[0]
        matches = [key for key in TOUCHES if path == key or path.startswith(key + ".")]
        hit.update(TOUCHES[max(matches, key=len)])
    for stage in STAGES:
        if any(needed in hit for needed in NEEDS[stage]):
            hit.add(stage)
    return tuple(stage for stage in STAGES if stage in hit)


def open_run(
    run: Folder,
    config: Config | None,
    redo: bool,
    inputs: dict[str, str] | None = None,
    trust: Trust = None,
) -> Config:
    """The settings in force for a run folder.

    Args:
        config: the settings asked for; None takes the run's own.
        redo: clear the stages that changed settings undo, instead of refusing; all
            stages when nothing changed.
        inputs: digests of the images that `references`, `test` and `pool` name now.
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
    held = make_config(yaml.safe_load(run.read(CONFIG)), run.path(CONFIG))
    if config is None:
        return _trusting(held, trust)
    before = {**held.model_dump(mode="json"), "inputs": _held_inputs(run)}
    changes = differences(before, {**config.model_dump(mode="json"), "inputs": inputs or {}})
    begun = [stage for stage in affected(changes) if status(run, stage) is not None]
    if not changes and not redo:
        return held
    if not changes:
        begun = list(STAGES)
    if begun and not redo:
        raise ConflictError(
            f"{run} was made with other settings or images ({'; '.join(changes)}); this affects "
            f"{', '.join(begun)}. Use another --out, or --redo to do these stages anew"
        )
    clear_stages(run, begun)
    _write(run, config, inputs)
    return config


def _trusting(held: Config, trust: Trust) -> Config:
    """Settings without code to run, but for what the user named too."""
    named = (trust,) if isinstance(trust, str) else tuple(trust or ())

    def without(section: Any) -> Any:
        """A section whose code is not named, without it."""
        # An exported network is a program, and its reader may unpickle.
        key = "path" if isinstance(section, Exported) else "target"
        if getattr(section, key, None) in (None, *named):
            return section
        return section.model_copy(update={key: None})

    pool = [without(entry) for entry in held.pool]
    return held.model_copy(update={"encoder": without(held.encoder), "pool": pool})


def _write(run: Folder, config: Config, inputs: dict[str, str] | None) -> None:
    write_json(run, INPUTS, inputs or {})
    run.write(CONFIG, dump_config(config).encode())


def _held_inputs(run: Folder) -> dict[str, str]:
    return dict(read_json(run, INPUTS)) if run.exists(INPUTS) else {}


def clear_stages(run: Folder, stages: list[str] | tuple[str, ...]) -> None:
    """Forget stages and delete what they made, the latest first."""
    for stage in sorted(stages, key=STAGES.index, reverse=True):
        run.delete([_record(stage)])
        for output in OUTPUTS[stage]:
            if "." in output:
                run.delete([output])
                continue
            clear(run.sub(output))
            run.sub(output).delete(run.sub(output).names())


def downstream(stage: str) -> tuple[str, ...]:
    """The stage and those that need it."""
    hit = {stage}
    for later in STAGES:
        if hit & set(NEEDS[later]):
            hit.add(later)
    return tuple(name for name in STAGES if name in hit)


def status(run: Folder, stage: str) -> dict[str, Any] | None:
    """What is recorded of a stage; None before it began."""
    return dict(read_json(run, _record(stage))) if run.exists(_record(stage)) else None


def is_done(run: Folder, stage: str) -> bool:
    """Has the stage finished?"""
    found = status(run, stage)
    return found is not None and found["status"] == "done"


def begin(run: Folder, stage: str) -> None:
    """Record that a stage has begun.

    Raises:
        InputError: a stage it needs is not done.
    """
    missing = [needed for needed in NEEDS[stage] if not is_done(run, needed)]
    if missing:
        raise InputError(
            f"{run}: `{stage}` needs `{missing[0]}` first; run `rayqc {missing[0]} {run}`"
        )
    write_json(run, _record(stage), {"status": "begun", "at": _now()})


def done(run: Folder, stage: str, seconds: float, summary: dict[str, Any]) -> None:
    """Record that a stage has finished, and what it found."""
    record = {"status": "done", "at": _now(), "seconds": round(seconds, 2), "summary": summary}
    write_json(run, _record(stage), record)


def _record(stage: str) -> str:
    return f"stages/{stage}.json"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
