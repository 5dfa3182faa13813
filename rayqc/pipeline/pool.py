"""Sources and units of the pool's entries, for the stages `generate` and `filter`."""

from __future__ import annotations

from dataclasses import replace

from rayqc.config import Data, Files
from rayqc.config.pool import statistic_of
from rayqc.pipeline.generators import OwnSources
from rayqc.pipeline.levels import warn_of_other_levels
from rayqc.pipeline.run import Run
from rayqc.pipeline.unit_size import plan_units, units_of_all
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.sources import open_source
from rayqc.units import Unit
from rayqc.work.match_classes import PoolSource, match_classes


def plan_pool(run: Run, own: OwnSources) -> list[Unit]:
    """Units of all pool entries; a unit's `entry` is the entry's number in the configuration.

    A limit takes an even sample of all of them together.
    """
    sources = [
        open_source(entry) if isinstance(entry, Files) else own[entry_number]
        for entry_number, entry in enumerate(run.config.pool)
    ]
    return plan_units(sources, run.config.filter, run.encoder.input)


def pool_on_disk(run: Run) -> bool:
    """Whether the candidates that the run makes are written to `pool/` before they are judged."""
    return run.config.filter.keep_pool == "all"


def filter_sources_of(run: Run, own: OwnSources) -> tuple[list[PoolSource], list[Unit]]:
    """Sources that the filter judges, and units whose `entry` is the source's number among them."""
    classes = run.encoder.classes
    sources: list[PoolSource] = []
    units: list[Unit] = []
    if own and pool_on_disk(run):
        # `generate` has written the candidates that the run makes, and has applied the limit.
        pool = open_source(Data(path=run.folder.sub("pool").location))
        sources.append(match_classes(pool, "", classes))
        written = run.config.filter.model_copy(update={"limit": None})
        units += units_of_all([pool], written, run.encoder.input)[0]
    planned_units = plan_pool(run, own)
    for entry_number, name in enumerate(run.config.pool_names()):
        entry = run.config.pool[entry_number]
        own_units = [unit for unit in planned_units if unit.entry == entry_number]
        if isinstance(entry, Files):
            sources.append(match_classes(open_source(entry), name, classes))
            warn_of_other_levels(name, sources[-1].source, own_units, run.limits)
        elif pool_on_disk(run):
            continue
        else:
            sources.append(match_classes(own[entry_number], "", classes))
        source_number = len(sources) - 1
        units += [replace(unit, entry=source_number) for unit in own_units]
    return sources, units


def statistics_of(run: Run) -> StatisticChoice:
    """The statistic that each pool entry is judged by."""
    named_entries = zip(run.config.pool_names(), run.config.pool, strict=True)
    return StatisticChoice(by_entry={name: statistic_of(entry) for name, entry in named_entries})
