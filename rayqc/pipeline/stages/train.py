"""Stage `train`: draw the references and make the encoder."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from rayqc.pipeline.stage import Stage

if TYPE_CHECKING:
    import pyarrow as pa

    from rayqc.encoders.base import EncoderKind
    from rayqc.images.look import ImageShape
    from rayqc.pipeline.outlook import Expected, Outlook
    from rayqc.pipeline.run import Run
    from rayqc.results import EncoderRecord

LOADING_SECONDS = 3.0

logger = logging.getLogger(__name__)


def work(run: Run) -> EncoderRecord:
    """Draw the references, try the generators that can be tried, and train the encoder."""
    from rayqc.distributed.train_encoder import train_encoder
    from rayqc.encoders.vae import refuse_collapse
    from rayqc.kinds import ENCODERS
    from rayqc.pipeline.environment import environment
    from rayqc.pipeline.leaks import know_images
    from rayqc.pipeline.levels import choose_levels
    from rayqc.pipeline.run import REFERENCES
    from rayqc.regions.fitting import views_of
    from rayqc.schema import class_names
    from rayqc.sources import open_source
    from rayqc.sources.select import select_references
    from rayqc.storage import write_json, write_table

    config = run.config
    kind: EncoderKind = ENCODERS[config.encoder.kind]
    views_of(config.regions.views, kind.saw_references, kind.inner)  # refused before hours of work
    write_json(run.folder, "env.json", environment())
    source = open_source(config.references)
    reference_settings = config.references
    references = select_references(
        source, reference_settings.per_class, reference_settings.seed, config.image.max_bytes
    )
    classes = class_names(references.schema, "label") or ()
    write_table(run.model, REFERENCES, references)
    know_images(run)
    levels = choose_levels(references, run.asked.image, run.model)
    run.forget()
    config = run.config
    shape = _shape_of(references, run)
    logger.info(
        "references: %d images of %d classes, %d x %d x %d",
        references.num_rows,
        len(classes),
        *shape.pixels,
    )
    _look_at_levels(run)
    _try_generators(run)
    encoder = train_encoder(references, classes, shape, run.model, config, run.progress)
    refuse_collapse(encoder.record, config.encoder.allow_collapse)
    run.keep(encoder=encoder)
    record = {key: value for key, value in encoder.record.items() if key != "history"}
    return record if levels is None else {**record, "levels": list(levels)}


def _shape_of(references: pa.Table, run: Run) -> ImageShape:
    from rayqc.images.references import infer_shape
    from rayqc.schema import each_image

    images = zip(references["id"].to_pylist(), each_image(references), strict=True)
    return infer_shape(images, run.limits, run.config.image.size, run.config.image.channels)


def _look_at_levels(run: Run) -> None:
    """Warn of pool entries whose pixels are of another range, before hours are spent."""
    from rayqc.config import Files
    from rayqc.pipeline.levels import warn_of_other_levels
    from rayqc.sources import open_source
    from rayqc.units import WHOLE

    for name, entry in zip(run.config.pool_names(), run.config.pool, strict=True):
        if isinstance(entry, Files):
            source = open_source(entry)
            warn_of_other_levels(name, source, source.units(WHOLE), run.limits)


def _try_generators(run: Run) -> None:
    """Make one candidate of each entry that can be tried, so that errors come before training."""
    from rayqc.config import MadeHere
    from rayqc.generators.base import generator_kind
    from rayqc.pipeline.generators import own_sources
    from rayqc.units import WHOLE

    for entry_number, source in own_sources(run).items():
        entry = run.config.pool[entry_number]
        if isinstance(entry, MadeHere) and generator_kind(entry).tried_first:
            source.read(replace(source.units(WHOLE)[0], stop=1))


def expect(outlook: Outlook) -> Expected:
    """The steps of an encoder that is trained; one that is given is only loaded."""
    from rayqc.encoders.vae import LONG, steps_of
    from rayqc.pipeline.outlook import TRAINER_SECONDS, Expected

    config, where = outlook.config, outlook.kind.where
    if where == "driver":
        return Expected(
            seconds=LOADING_SECONDS,
            work=f"load the encoder {config.encoder.kind}",
            output_mb=outlook.pace.weights_mb,
        )
    workers = config.resources.fewest_workers
    if where == "task":
        steps, workers = config.encoder.steps or LONG, 1
        seconds = outlook.shared(steps * outlook.pace.encoder_step, 1)
    else:
        steps = steps_of(config, outlook.image.size)
        threads = config.resources.cpus_per_worker or outlook.threads_each(workers)
        seconds = TRAINER_SECONDS + steps * outlook.pace.vae_step(threads * workers)
    return Expected(
        seconds=seconds,
        work=f"{steps:,} steps of the encoder {config.encoder.kind}",
        memory_mb=outlook.memory_mb(workers),
        at_once=workers,
        bound="one process" if workers == 1 else f"only {workers:,} workers",
        output_mb=outlook.pace.weights_mb,
    )


STAGE = Stage(
    name="train",
    help="draw the references and train the VAE",
    needs=(),
    outputs=("model", "generators"),
    work=work,
    expect=expect,
    result=lambda summary: {"encoder": summary},
)
