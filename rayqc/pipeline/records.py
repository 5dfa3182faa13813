"""What a run folder records of each stage: that it has begun or is done, and its summary."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rayqc.errors import InputError
from rayqc.kinds import STAGES
from rayqc.ledger.plan import clear
from rayqc.pipeline.stage import stage
from rayqc.storage import Folder, read_json, write_json


def status(run: Folder, name: str) -> dict[str, Any] | None:
    """The record of a stage; None before it has begun."""
    return dict(read_json(run, _record(name))) if run.exists(_record(name)) else None


def summary_of(run: Folder, name: str) -> Any:
    """The summary of a stage; None unless it is done."""
    record = status(run, name)
    return record["summary"] if record is not None and record["status"] == "done" else None


def is_done(run: Folder, name: str) -> bool:
    """Whether the stage is done."""
    record = status(run, name)
    return record is not None and record["status"] == "done"


def refuse_too_early(run: Folder, name: str) -> None:
    """Refuse to begin a stage before those that it needs are done.

    Raises:
        InputError: a stage it needs is not done.
    """
    missing = [needed for needed in stage(name).needs if not is_done(run, needed)]
    if missing:
        raise InputError(
            f"{run}: `{name}` needs `{missing[0]}` first; run `rayqc {missing[0]} {run}`"
        )


def begin(run: Folder, name: str) -> None:
    """Record that a stage has begun.

    Raises:
        InputError: a stage it needs is not done.
    """
    refuse_too_early(run, name)
    write_json(run, _record(name), {"status": "begun", "at": _now()})


def done(run: Folder, name: str, seconds: float, summary: Any) -> None:
    """Record that a stage is done, with its summary."""
    record = {"status": "done", "at": _now(), "seconds": round(seconds, 2), "summary": summary}
    write_json(run, _record(name), record)


def clear_stages(run: Folder, names: Iterable[str]) -> None:
    """Delete the records and the outputs of stages, the latest stage first."""
    for name in sorted(names, key=STAGES.names.index, reverse=True):
        run.delete([_record(name)])
        for output in stage(name).outputs:
            if "." in output:
                run.delete([output])
                continue
            clear(run.sub(output))
            run.sub(output).delete(run.sub(output).names())


def _record(name: str) -> str:
    return f"stages/{name}.json"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
