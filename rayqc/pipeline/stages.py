"""The work of each stage: what it reads from the run folder, and what it leaves there."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np

from rayqc.config import Augment, Config, Data, Exported, Files
from rayqc.distributed.classify import run_arms
from rayqc.distributed.encode import encode_images
from rayqc.distributed.filter import filter_pool, match_classes
from rayqc.distributed.filter_work import PoolSource
from rayqc.distributed.fit import fit_regions
from rayqc.distributed.generate import generate_pool
from rayqc.distributed.train import train_encoder
from rayqc.errors import InputError
from rayqc.generators.sampled import SampledSource
from rayqc.images.decode import limits_of
from rayqc.images.references import infer_shape
from rayqc.ledger.manifest import Totals
from rayqc.ledger.stages import STAGES, status
from rayqc.pipeline.acceptance import judge_acceptance
from rayqc.pipeline.artefacts import REFERENCES, run_encoder, run_regions, test_images
from rayqc.pipeline.generators import (
    Own,
    on_devices,
    own_sources,
    refuse_unnamed,
    train_generators,
)
from rayqc.pipeline.measure import in_order, measured_coverage, warnings_of
from rayqc.progress import Progress
from rayqc.regions import save_regions
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.sphere import expected_coverage
from rayqc.regions.statistics import Statistics
from rayqc.report.acceptance import acceptance_picture
from rayqc.report.contact_sheet import contact_sheet
from rayqc.report.result import build_result
from rayqc.report.statistics import summarise
from rayqc.schema import image_bytes
from rayqc.sources import open_source
from rayqc.sources.select import select_references
from rayqc.storage import Folder, read_table, write_json, write_table
from rayqc.training.holdout import refuse_collapse
from rayqc.units import WHOLE, Unit, number
from rayqc.version import __version__

logger = logging.getLogger(__name__)

Summary = dict[str, Any]


def _train(folder: Folder, config: Config, progress: Progress) -> Summary:
    write_json(folder, "env.json", _environment())
    source = open_source(config.references)
    chosen = config.references
    references = select_references(source, chosen.per_class, chosen.seed, config.image.max_bytes)
    write_table(folder.sub("model"), REFERENCES, references)
    data = image_bytes(references)
    images = zip(references["id"].to_pylist(), data, strict=True)
    shape = infer_shape(images, limits_of(config.image), config.image.size, config.image.channels)
    logger.info(
        "references: %d images of %d classes, %d x %d x %d",
        references.num_rows,
        len(source.classes),
        *shape.pixels,
    )
    for place, generator in own_sources(folder, config).items():
        if isinstance(config.pool[place], Augment | Exported):
            first = generator.units(WHOLE)[0]
            generator.read(replace(first, stop=1))  # what fails should fail before hours pass
    trained = train_encoder(
        references, source.classes, shape, folder.sub("model"), config, progress
    )
    refuse_collapse(trained.record, config.encoder.allow_collapse)
    return {key: value for key, value in trained.record.items() if key != "history"}


def _fit(folder: Folder, config: Config, progress: Progress) -> Summary:
    trained = run_encoder(folder, config)
    model = folder.sub("model")
    refuse_collapse(trained.record, config.encoder.allow_collapse)
    references = read_table(model, REFERENCES)
    latents = encode_images(references, model, config, progress, "fit")
    ordered = in_order(latents, references)
    write_table(folder, REFERENCES, ordered)
    fit = fit_regions(
        references.append_column("latent", ordered["latent"]),
        latents,
        trained.image,
        trained.classes,
        config,
        trained.digest,
        trained.seen,
        progress,
    )
    fitted = save_regions(folder.sub("regions"), fit.regions, fit.neighbours)
    counts = np.bincount(np.asarray(references["label"]), minlength=len(trained.classes)).tolist()
    summary = {
        "kind": fit.regions.kind,
        "coverage": config.regions.coverage,
        "references": dict(zip(trained.classes, counts, strict=True)),
        "radius": dict(zip(trained.classes, fit.neighbours.radius_K.tolist(), strict=True)),
        "separation": fit.separation,
        "measured": measured_coverage(folder, config, fitted, progress),
    }
    if isinstance(fit.regions, CalibratedRegions):
        summary["guarantee"] = asdict(fit.regions.guarantee)
        summary["thresholds"] = fit.regions.facts()["thresholds"]
        logger.info("fit: %s", fit.regions.guarantee.says)
    else:
        expected = [expected_coverage(count, config.regions.coverage) for count in counts]
        summary["expected_coverage"] = float(np.mean(expected))
    for line in warnings_of(fit.separation):
        logger.warning(line)
    return summary


def _generate(folder: Folder, config: Config, progress: Progress) -> Summary:
    refuse_unnamed(config)
    trained = train_generators(folder, config, progress)
    summary: Summary = {"made": 0, **({"gan_accuracy": trained} if trained else {})}
    sources = on_devices(own_sources(folder, config), config)
    if not sources or config.filter.keep_pool != "all":
        return summary
    places = list(sources)
    units = [
        replace(unit, entry=places.index(unit.entry))
        for unit in _plan(sources, config)
        if unit.entry in sources
    ]
    gpu = any(isinstance(one, SampledSource) and one.device != "cpu" for one in sources.values())
    made = [*sources.values()]
    totals = generate_pool(folder.sub("pool"), made, units, config, progress, gpu)
    return {**summary, "made": totals.read}


def _plan(own: dict[int, Own], config: Config) -> list[Unit]:
    """Units of all pool entries, `entry` being the place in the configuration.

    A limit is an even sample over all of them.
    """
    found = []
    for place, entry in enumerate(config.pool):
        source = open_source(entry) if isinstance(entry, Files) else own[place]
        units = source.units(config.filter.unit_rows)
        found += [replace(unit, entry=place) for unit in units]
    return number(found, config.filter.limit)


def _filter_run(folder: Folder, config: Config, progress: Progress) -> Summary:
    classes = run_encoder(folder, config).classes
    own = on_devices(own_sources(folder, config), config)
    sources: list[PoolSource] = []
    units: list[Unit] = []
    on_disk = config.filter.keep_pool == "all"
    if not on_disk:
        refuse_unnamed(config)
    if own and on_disk:
        # The candidates made here are a pool on disk by now; `generate` applied the limit.
        pool = open_source(Data(path=folder.sub("pool").location))
        sources.append(match_classes(pool, "", classes))
        units += pool.units(config.filter.unit_rows)
    planned = _plan(own, config)
    for place, name in enumerate(config.pool_names()):
        entry = config.pool[place]
        if isinstance(entry, Files):
            sources.append(match_classes(open_source(entry), name, classes))
        elif on_disk:
            continue
        else:
            sources.append(match_classes(own[place], "", classes))
        here = len(sources) - 1
        units += [replace(unit, entry=here) for unit in planned if unit.entry == place]
    filtered = folder.sub("filtered")
    statistics = Statistics(
        by_entry={
            name: entry.statistic or ("label" if isinstance(entry, Augment) else "joint")
            for name, entry in zip(config.pool_names(), config.pool, strict=True)
        }
    )
    totals = filter_sources(folder, filtered, sources, units, config, statistics, progress)
    acceptance = judge_acceptance(folder, filtered, config)
    folder.write("acceptance.png", acceptance_picture(acceptance, config.regions.coverage))
    title = f"rayqc: {totals.outcomes['accepted']:,} of {totals.read:,} accepted"
    if config.filter.keep_pool != "none":
        sheet = contact_sheet(filtered, classes, title, limits_of(config.image))
        folder.write("contact_sheet.png", sheet)
    return {**asdict(totals), "acceptance": acceptance}


def filter_sources(
    folder: Folder,
    out: Folder,
    sources: list[PoolSource],
    units: list[Unit],
    config: Config,
    statistics: Statistics,
    progress: Progress,
) -> Totals:
    """Judge sources by a run's encoder and regions, into `out`."""
    trained = run_encoder(folder, config)
    fitted = run_regions(folder, config)
    kept = ("keep_rejected", "keep_pool", "shard_mb", "max_accepted_per_class", "limit")
    work = {
        "stage": "filter",
        "encoder_digest": trained.digest,
        "regions_digest": fitted.digest,
        "statistics": asdict(statistics),
        "settings": {key: getattr(config.filter, key) for key in kept},
        "limits": asdict(limits_of(config.image)),
    }
    totals = filter_pool(
        folder, out, sources, units, config, statistics, work, trained.classes, progress
    )
    logger.info("filter: %s", totals)
    return totals


def _classify(folder: Folder, config: Config, progress: Progress) -> Summary:
    summary: Summary = {}
    if config.classify.arms:
        trained = run_encoder(folder, config)
        test = test_images(config, trained.classes, None)
        if test is None:
            raise InputError(
                "the classifier stage needs `test` images; the configuration names none"
            )
        records = run_arms(
            read_table(folder.sub("model"), REFERENCES),
            test,
            folder.sub("filtered"),
            folder.sub("classify"),
            trained.image,
            len(trained.classes),
            config,
            progress,
        )
        summary = {**summarise(records), "test_images": test.num_rows}
    write_json(folder, "classify.json", summary)
    stages = {name: status(folder, name) for name in STAGES[:-1]}
    facts = {name: found["summary"] for name, found in stages.items() if found}
    write_json(folder, "result.json", build_result(facts, summary, __version__))
    return summary


def _environment() -> Summary:
    packages = ["ray", "torch", "torchvision", "pyarrow", "numpy"]
    packages += ["pillow", "imagecodecs", "simplejpeg"]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": {"rayqc": __version__} | {name: installed_version(name) for name in packages},
    }


WORK: dict[str, Callable[[Folder, Config, Progress], Summary]] = {
    "train": _train,
    "fit": _fit,
    "generate": _generate,
    "filter": _filter_run,
    "classify": _classify,
}
