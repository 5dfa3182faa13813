"""Stage `generate`: train the run's generators, and write the candidates that they make."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rayqc.pipeline.stage import Stage

if TYPE_CHECKING:
    from rayqc.pipeline.outlook import Expected, Outlook
    from rayqc.pipeline.run import Run
    from rayqc.results import GenerateResult


def refuse(run: Run) -> None:
    """Refuse an encoder that cannot be read, or code that the user did not name."""
    from rayqc.pipeline.generators import refuse_unnamed

    _ = run.encoder
    refuse_unnamed(run)


def work(run: Run) -> GenerateResult:
    """Train the GANs, and make the pool unless the filter's actors are to make it."""
    from rayqc.distributed.generate import generate_pool
    from rayqc.encoders.vae import refuse_short
    from rayqc.generators.sampled import SampledSource
    from rayqc.pipeline.generators import (
        on_devices,
        own_sources,
        train_generators,
    )
    from rayqc.pipeline.pool import plan_pool, pool_on_disk

    refuse_short(run.encoder.record, run.config, run.encoder.image.size)
    accuracy_by_name = train_generators(run)
    summary: GenerateResult = {"made": 0}
    if accuracy_by_name:
        summary["gan_accuracy"] = accuracy_by_name
    sources = on_devices(own_sources(run), run)
    if not sources or not pool_on_disk(run):
        return summary
    entry_numbers = list(sources)
    units = [
        replace(unit, entry=entry_numbers.index(unit.entry))
        for unit in plan_pool(run, sources)
        if unit.entry in sources
    ]
    source_list = [*sources.values()]
    uses_gpu = any(
        isinstance(source, SampledSource) and source.device != "cpu" for source in source_list
    )
    totals = generate_pool(
        run.folder.sub("pool"), source_list, units, run.config, run.progress, uses_gpu
    )
    return {**summary, "made": totals.read}


def expect(outlook: Outlook) -> Expected:
    """The training of GANs, and the making of candidates where they are written first."""
    from rayqc.config import Gan
    from rayqc.generators.base import generator_kind
    from rayqc.pipeline.outlook import TRAINER_SECONDS, Expected
    from rayqc.printable import counted

    config = outlook.config
    gans = [e for e in config.pool if isinstance(e, Gan) and generator_kind(e).trained]
    seconds = sum(TRAINER_SECONDS + gan.steps * outlook.pace.gan_step(gan) for gan in gans)
    made = [entry for entry in outlook.entries if entry.made and config.filter.keep_pool == "all"]
    units = sum(entry.units for entry in made)
    seconds += outlook.shared(sum(entry.candidates * entry.seconds for entry in made), units)
    count = sum(entry.candidates for entry in made)
    trained = [f"train {counted(len(gans), 'GAN')}"] if gans else []
    written = [f"make {count:,} candidates"] if count else []
    return Expected(
        seconds=seconds,
        work=", ".join([*trained, *written]) or "nothing to make beforehand",
        memory_mb=outlook.memory_mb(max(units, len(gans))),
        at_once=outlook.at_once(units),
        bound=outlook.bound(units, "units") if units else "one process",
        output_mb=sum(entry.candidates * entry.bytes for entry in made) / 1e6,
    )


STAGE = Stage(
    name="generate",
    help="make the run's own pool, or with --until draw until every class is full",
    needs=("train",),  # which draws the references
    outputs=("pool",),
    work=work,
    refuse=refuse,
    expect=expect,
    result=lambda summary: {},
)
