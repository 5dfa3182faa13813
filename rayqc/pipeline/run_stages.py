"""Do stages of a run, each once, and keep `result.json` in step with what is done."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any, cast

from rayqc.pipeline.records import begin, done, is_done, summary_of
from rayqc.pipeline.run import Run
from rayqc.pipeline.stage import all_stages, stage
from rayqc.report.result import build_result, table3
from rayqc.results import RunResult
from rayqc.storage import read_json, write_json
from rayqc.version import __version__

logger = logging.getLogger(__name__)

RESULT = "result.json"
REPORTED = ("train", "fit", "filter", "classify")
"""Stages without which there is no result yet."""


def do_stage(run: Run, name: str) -> Any:
    """Do a stage unless it is done; returns its summary.

    Raises:
        InputError: a stage that it needs is not done.
    """
    if is_done(run.folder, name):
        logger.info("%s: done before, nothing to do", name)
    else:
        begin(run.folder, name)
        if not stage(name).needs:
            run.forget()
        started = time.monotonic()
        summary = stage(name).work(run)
        _write_result(run, name, summary)
        done(run.folder, name, time.monotonic() - started, summary)
    return summary_of(run.folder, name)


def all_done(run: Run, names: Iterable[str]) -> bool:
    """Have these stages finished?"""
    return all(is_done(run.folder, name) for name in names)


def result_of(run: Run) -> RunResult:
    """What `result.json` holds."""
    return cast("RunResult", read_json(run.folder, RESULT))


def _write_result(run: Run, name: str, summary: Any) -> None:
    """Write `result.json` with a stage's new summary, once all that it reports on are done."""
    summaries = {one.name: summary_of(run.folder, one.name) for one in all_stages()}
    summaries[name] = summary
    if any(summaries[needed] is None for needed in REPORTED):
        return
    table = table3(summaries["fit"], summaries["filter"], summaries["classify"])
    parts: dict[str, Any] = {}
    for one in all_stages():
        if summaries[one.name] is not None:
            parts |= one.result_of(summaries[one.name])
    write_json(run.folder, RESULT, build_result(table, parts, __version__))
