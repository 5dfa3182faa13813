"""Stage `filter`: judge the run's own pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rayqc.kinds import OUTPUTS
from rayqc.pipeline.stage import Stage
from rayqc.shown.base import filter_lines

if TYPE_CHECKING:
    from rayqc.pipeline.outlook import Expected, Outlook
    from rayqc.pipeline.run import Run
    from rayqc.results import FilterResult


SCORE_BYTES = 150
"""A row of `scores/` without latents; measured."""
DRIVER_SECONDS = 0.0013
"""Of the driver for a unit: its share of a block, and its record at the end. Measured, on a local
disk (docs/scale.md)."""


def refuse(run: Run) -> None:
    """Refuse regions that cannot be read, or code to run that the user did not name."""
    from rayqc.pipeline.generators import refuse_unnamed
    from rayqc.pipeline.pool import pool_on_disk

    _ = run.regions
    if not pool_on_disk(run):
        refuse_unnamed(run)


def work(run: Run) -> FilterResult:
    """Judge every candidate of the pool, and write the pictures."""
    from rayqc.pipeline.generators import on_devices, own_sources
    from rayqc.pipeline.judging import judge_sources
    from rayqc.pipeline.outputs import conclude
    from rayqc.pipeline.pool import filter_sources_of, statistics_of

    own = on_devices(own_sources(run), run)
    sources, units = filter_sources_of(run, own)
    totals = judge_sources(run, run.filtered, sources, units, statistics_of(run))
    return conclude(run, run.filtered, totals, coverage=run.config.regions.coverage, own=True)


def again(run: Run) -> FilterResult:
    """Judge again what failed, and record it; what the old verdicts gave is cleared before."""
    from rayqc.pipeline.generators import on_devices, own_sources
    from rayqc.pipeline.outputs import conclude
    from rayqc.pipeline.pool import filter_sources_of
    from rayqc.pipeline.records import clear_stages, done, status
    from rayqc.pipeline.retry import retry_errors
    from rayqc.pipeline.stage import downstream

    own = on_devices(own_sources(run), run)
    sources, units = filter_sources_of(run, own)
    seconds = (status(run.folder, "filter") or {}).get("seconds", 0.0)

    def clear_what_follows() -> None:
        clear_stages(run.folder, [name for name in downstream("filter") if name != "filter"])

    totals = retry_errors(run, run.filtered, sources, units, clear_what_follows)
    summary = conclude(run, run.filtered, totals, coverage=run.config.regions.coverage, own=True)
    done(run.folder, "filter", seconds, summary)
    return summary


def expect(outlook: Outlook) -> Expected:
    """Every candidate read or made, decoded, encoded, scored and written."""
    from rayqc.pipeline.judging import keeps_latents
    from rayqc.pipeline.outlook import Expected
    from rayqc.printable import counted

    settings, units = outlook.config.filter, sum(entry.units for entry in outlook.entries)
    seconds = beside_gpus = 0.0
    for entry in outlook.entries:
        on_cpus, on_either = outlook.pace.image_in_parts(entry.sample, scored=True)
        made_before = entry.made and settings.keep_pool == "all"
        on_cpus += 0.0 if made_before else entry.seconds
        beside_gpus += entry.candidates * on_cpus
        seconds += entry.candidates * (on_cpus + on_either)
    kept = keeps_latents(settings, outlook.candidates)
    row_bytes = SCORE_BYTES + (2 * outlook.pace.latent_dim if kept else 0)
    image_bytes = sum(entry.candidates * entry.bytes for entry in outlook.entries)
    by_driver = units * DRIVER_SECONDS
    by_actors = outlook.shared(seconds, units)
    return Expected(
        seconds=max(by_actors, by_driver),
        work=f"judge {counted(outlook.candidates, 'candidate')} in {counted(units, 'unit')}",
        memory_mb=outlook.memory_mb(units),
        at_once=outlook.at_once(units),
        bound="the driver" if by_driver > by_actors else outlook.bound(units, "units"),
        lost=seconds / units if units else 0.0,
        beside_gpus=max(outlook.shared(beside_gpus, units), by_driver),
        output_mb=(
            outlook.candidates * row_bytes + (0 if settings.keep_pool == "none" else image_bytes)
        )
        / 1e6,
    )


STAGE = Stage(
    name="filter",
    help="judge the run's own pool, or with --pool any other",
    needs=("fit", "generate"),
    outputs=("filtered", *OUTPUTS.names),
    work=work,
    refuse=refuse,
    expect=expect,
    show=filter_lines,
    result=lambda summary: {
        "acceptance": summary["acceptance"],
        "ledger": {key: value for key, value in summary.items() if key != "acceptance"},
    },
)
