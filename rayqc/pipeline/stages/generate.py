"""Stage `generate`: train the run's generators, and write the candidates it makes itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rayqc.pipeline.stage import Stage

if TYPE_CHECKING:
    from rayqc.pipeline.run import Run
    from rayqc.results import GenerateResult


def work(run: Run) -> GenerateResult:
    """Train GANs; make the pool, unless the filter's actors are to make it."""
    from rayqc.distributed.generate import generate_pool
    from rayqc.generators.sampled import SampledSource
    from rayqc.pipeline.generators import (
        on_devices,
        own_sources,
        refuse_unnamed,
        train_generators,
    )
    from rayqc.pipeline.pool import plan_pool, pool_on_disk

    refuse_unnamed(run)
    accuracy_by_name = train_generators(run)
    summary: GenerateResult = {"made": 0}
    if accuracy_by_name:
        summary["gan_accuracy"] = accuracy_by_name
    sources = on_devices(own_sources(run), run)
    if not sources or not pool_on_disk(run):
        return summary
    numbers = list(sources)
    units = [
        replace(unit, entry=numbers.index(unit.entry))
        for unit in plan_pool(run, sources)
        if unit.entry in sources
    ]
    made = [*sources.values()]
    gpu = any(isinstance(one, SampledSource) and one.device != "cpu" for one in made)
    totals = generate_pool(run.folder.sub("pool"), made, units, run.config, run.progress, gpu)
    return {**summary, "made": totals.read}


STAGE = Stage(
    name="generate",
    help="make the run's own pool, or with --until draw until every class is full",
    needs=("train",),  # which draws the references
    outputs=("pool",),
    work=work,
    result=lambda summary: {},
)
