"""Where a run, or a filter's output, stands: read from its records and ledgers, without Ray."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rayqc.errors import InputError
from rayqc.kinds import STAGES
from rayqc.ledger.commit import iter_commits
from rayqc.ledger.manifest import is_finished, load_totals
from rayqc.ledger.owner import owner_of
from rayqc.ledger.plan import LEDGER, MANIFEST, PLAN, load_plan
from rayqc.pipeline.records import status
from rayqc.pipeline.run_folder import CONFIG
from rayqc.storage import Folder
from rayqc.tool_results import LedgerState, StageState, StateResult

NOT_BEGUN = "not begun"
OUTPUTS_OF_A_RUN = ("pool", "filtered")


def state_of(place: str) -> StateResult:
    """Stages, ledgers and the command at work.

    Raises:
        InputError: there is neither a run nor a filter's output.
    """
    folder = Folder(place)
    is_run = folder.exists(CONFIG)
    names = OUTPUTS_OF_A_RUN if is_run else ("",)
    ledgers = {
        name or folder.location: _ledger(output)
        for name in names
        if (output := folder.sub(name) if name else folder).exists(PLAN)
    }
    if not is_run and not ledgers:
        raise InputError(f"{folder} is neither a run (no {CONFIG}) nor a filter's output")
    stages = [stage_state(folder, name) for name in STAGES.names] if is_run else []
    return {"owner": owner_of(folder), "stages": stages, "ledgers": ledgers}


def stage_state(folder: Folder, name: str) -> StageState:
    """Where a stage of a run stands."""
    record: dict[str, Any] = status(folder, name) or {"status": NOT_BEGUN}
    return {
        "name": name,
        "status": record["status"],
        "at": record.get("at"),
        "seconds": record.get("seconds"),
    }


def _ledger(folder: Folder) -> LedgerState:
    units = load_plan(folder)
    images = sum(unit.count() for unit in units)
    if is_finished(folder) and folder.exists(MANIFEST):
        totals = load_totals(folder)
        return {
            "units": len(units),
            "units_done": len(units),
            "images": totals.read,
            "images_done": totals.read,
            "outcomes": totals.outcomes,
            "whole": True,
        }
    done, read, outcomes = 0, 0, Counter[str]()
    for commit in iter_commits(folder) if folder.exists(LEDGER) else ():
        done += 1
        read += commit.read
        outcomes.update(commit.outcomes)
    return {
        "units": len(units),
        "units_done": done,
        "images": images,
        "images_done": read,
        "outcomes": dict(outcomes),
        "whole": False,
    }
