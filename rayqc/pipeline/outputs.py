"""Write the pictures and pages of a judged pool; the register says which there are."""

from __future__ import annotations

import logging
import shlex
from dataclasses import asdict
from typing import cast

from rayqc.kinds import OUTPUTS, STAGES
from rayqc.ledger.manifest import Totals, load_totals
from rayqc.ledger.plan import LEDGER
from rayqc.pipeline.duplicates import duplicate_facts
from rayqc.pipeline.kept_set import kept_set_facts
from rayqc.pipeline.making import recorded_making
from rayqc.pipeline.records import summary_of
from rayqc.pipeline.run import Run
from rayqc.pipeline.run_folder import CONFIG
from rayqc.pipeline.state import stage_state
from rayqc.regions import Regions
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.report.acceptance import acceptance_facts, starved
from rayqc.report.base import JudgedPool, Output
from rayqc.report.result import RESULT
from rayqc.results import Acceptance, FilterResult
from rayqc.shown.base import cue_lines
from rayqc.storage import Folder, read_json

logger = logging.getLogger(__name__)


def facts_of(run: Run, judged: Folder) -> Acceptance:
    """How many images were accepted in a finished filter's or refilter's output."""
    statistics = StatisticChoice(**read_json(judged, LEDGER)["statistics"])
    fitted = run.regions
    facts = acceptance_facts(judged, fitted.regions, statistics, len(fitted.neighbours.ids))
    made_otherwise = recorded_making(judged)
    if made_otherwise:
        facts["made_otherwise"] = made_otherwise
    duplicates = duplicate_facts(judged)
    if duplicates is not None:
        facts["duplicates"] = duplicates
    facts["kept_set"] = kept_set_facts(run, judged)
    return facts


def write_outputs(
    run: Run,
    judged: Folder,
    totals: Totals,
    facts: Acceptance,
    *,
    coverage: float,
    own: bool,
    remade: bool = False,
) -> list[str]:
    """Write what suits a judged pool.

    Args:
        judged: a finished filter's or refilter's output.
        coverage: what it was judged at.
        own: whether it is the run's own pool: more is made of it, in the run folder.
        remade: make only what tells of accuracies, once more.

    Returns:
        Paths of what was written.
    """
    fitted = run.regions
    result = dict(read_json(run.folder, RESULT)) if own and run.folder.exists(RESULT) else None
    pool = JudgedPool(
        folder=judged,
        totals=totals,
        classes=fitted.regions.classes,
        acceptance=facts,
        coverage=coverage,
        promise=_promise(fitted.regions, coverage),
        limits=run.limits,
        has_images=run.config.filter.keep_pool != "none",
        fitted=fitted,
        references=run.references.select(["id", "image", "label"]),
        named=_named(run, judged, own),
        stages=[stage_state(run.folder, name) for name in STAGES.names] if own else (),
        settings=run.folder.read(CONFIG).decode(),
        result=result,
    )
    written = []
    for file_name, record in OUTPUTS.items():
        output: Output = record
        if output.suits(own, pool.has_images) and (output.remade_at_end or not remade):
            in_run_folder = own and not output.beside_shards
            folder = run.folder if in_run_folder else judged
            folder.write(file_name, output.make(pool))
            written.append(folder.path(file_name))
    return written


def remake_outputs(run: Run, judged: Folder) -> list[str]:
    """Make once more what tells of the accuracies that a whole run measured.

    Returns:
        Paths of what was written.
    """
    own = judged.location == run.filtered.location
    return write_outputs(
        run,
        judged,
        load_totals(judged),
        summary_of(run.folder, "filter")["acceptance"] if own else facts_of(run, judged),
        coverage=coverage_of(run, judged),
        own=own,
        remade=True,
    )


def coverage_of(run: Run, judged: Folder) -> float:
    """What a finished output was judged at."""
    return float(read_json(judged, LEDGER).get("coverage", run.config.regions.coverage))


def _named(run: Run, judged: Folder, own: bool) -> str:
    """A judged pool as commands take it."""
    run_name = shlex.quote(str(run.folder))
    return run_name if own else f"{shlex.quote(str(judged))} --judged-by {run_name}"


def _promise(regions: Regions, coverage: float) -> str:
    """What is promised at a coverage, in words; empty where it is not the regions' own."""
    if isinstance(regions, CalibratedRegions) and regions.guarantee.coverage == coverage:
        return regions.guarantee.says
    return ""


def conclude(
    run: Run, judged: Folder, totals: Totals, *, coverage: float, own: bool
) -> FilterResult:
    """Count what was accepted, warn of classes with too few images, and write the pictures.

    Args:
        judged: a finished filter's or refilter's output.
        coverage: what it was judged at.
        own: whether it is the run's own pool: more pictures are made of it, in the run folder.
    """
    facts = facts_of(run, judged)
    for line in [*starved(facts), *cue_lines(facts["kept_set"])]:
        logger.warning(line)
    if facts["same_as_test"]:
        logger.warning(
            "%d images of the pool have the bytes of test images, so that accuracy measured on "
            "these is too high; take them out of the pool: their column message names the test "
            "image",
            facts["same_as_test"],
        )
    write_outputs(run, judged, totals, facts, coverage=coverage, own=own)
    return cast("FilterResult", {**asdict(totals), "acceptance": facts})
