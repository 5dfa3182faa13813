"""Do stages of a run, each once, and write `result.json` once all that it reports on are done."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any, cast

from rayqc.errors import ConfigError, InputError, UntrustedCodeError
from rayqc.pipeline.outlook import Expected
from rayqc.pipeline.outputs import remake_outputs
from rayqc.pipeline.records import (
    begin,
    clear_stages,
    done,
    is_done,
    refuse_too_early,
    status,
    summary_of,
)
from rayqc.pipeline.run import Run
from rayqc.pipeline.stage import all_stages, stage
from rayqc.printable import duration
from rayqc.report.result import RESULT, build_result, table3
from rayqc.results import RunResult
from rayqc.storage import read_json, write_json
from rayqc.version import __version__

logger = logging.getLogger(__name__)

REPORTED = ("train", "fit", "filter", "classify")
"""Stages that `result.json` needs."""


def do_stage(run: Run, name: str, expected: Expected | None = None) -> Any:
    """Do a stage unless it is done; returns its summary.

    A first stage that fails for its settings or its images has done nothing: it counts as not
    begun, so that what is put right is not refused as a change.

    Raises:
        InputError: a stage that it needs is not done.
    """
    if is_done(run.folder, name):
        logger.info("%s: done before, nothing to do", name)
    else:
        refuse_beginning(run, name)
        is_first, is_new = not stage(name).needs, status(run.folder, name) is None
        begin(run.folder, name)
        if expected is not None:
            logger.info("%s: %s, about %s", name, expected.work, duration(expected.seconds))
        if is_first:
            run.forget()
        started = time.monotonic()
        try:
            with run.progress.doing(name):
                summary = stage(name).work(run)
        except (ConfigError, InputError, UntrustedCodeError):
            if is_first and is_new:
                clear_stages(run.folder, [name])
            raise
        is_whole = _write_result(run, name, summary)
        done(run.folder, name, time.monotonic() - started, summary)
        if is_whole:
            remake_outputs(run, run.filtered)
    return summary_of(run.folder, name)


def refuse_beginning(run: Run, name: str) -> None:
    """Raise what a stage cannot begin with; nothing is changed.

    Raises:
        InputError: a stage that it needs is not done.
    """
    refuse_too_early(run.folder, name)
    record = stage(name)
    if record.refuse is not None:
        record.refuse(run)


def all_done(run: Run, names: Iterable[str]) -> bool:
    """Whether all of these stages are done."""
    return all(is_done(run.folder, name) for name in names)


def result_of(run: Run) -> RunResult:
    """The content of `result.json`."""
    return cast("RunResult", read_json(run.folder, RESULT))


def _write_result(run: Run, name: str, summary: Any) -> bool:
    """Write `result.json` with a stage's new summary, if all stages that it needs are done.

    Returns:
        Whether they are.
    """
    summaries = {record.name: summary_of(run.folder, record.name) for record in all_stages()}
    summaries[name] = summary
    if any(summaries[reported] is None for reported in REPORTED):
        return False
    table = table3(summaries["fit"], summaries["filter"], summaries["classify"])
    stage_results: dict[str, Any] = {}
    for record in all_stages():
        if summaries[record.name] is not None:
            stage_results |= record.result_of(summaries[record.name])
    write_json(run.folder, RESULT, build_result(table, stage_results, __version__))
    return True
