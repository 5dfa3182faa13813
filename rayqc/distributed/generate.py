"""Generators on Ray: candidates made in actors and kept as a pool."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from rayqc.config import Config
from rayqc.distributed.reduce import compact
from rayqc.distributed.units import run_units
from rayqc.ledger.manifest import Totals
from rayqc.ledger.plan import start_or_resume
from rayqc.progress import Progress
from rayqc.schema import candidate_schema
from rayqc.sources import Source
from rayqc.storage import Folder
from rayqc.units import Unit
from rayqc.work.generate_unit import GenerateWorker


def generate_pool(
    out: Folder,
    sources: Sequence[Source],
    units: list[Unit],
    config: Config,
    progress: Progress,
    gpu: bool = False,
) -> Totals:
    """Make the candidates of units (`entry` is an index into `sources`) and write them as one pool.

    Args:
        gpu: give each actor a GPU.
    """
    units = start_or_resume(out, {"stage": "generate"}, units)
    make_worker = functools.partial(GenerateWorker, out, sources)
    run_units(out, units, make_worker, config, int(gpu), progress, "generate")
    classes = sources[0].classes
    schemas = {"pool": candidate_schema(classes)}
    return compact(out, units, schemas, classes, config.filter.shard_mb, None, progress)
