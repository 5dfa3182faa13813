"""Generators on Ray: candidates made in actors and kept as a pool."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from rayqc.config import Config
from rayqc.distributed.reduce import compact
from rayqc.distributed.units import run_units
from rayqc.ledger.commit import commit_unit
from rayqc.ledger.manifest import Totals
from rayqc.ledger.plan import start_or_resume, work_digest
from rayqc.progress import Progress
from rayqc.schema import candidate_schema
from rayqc.sources import Source
from rayqc.storage import Folder
from rayqc.units import Unit


class GenerateWorker:
    """Makes and commits the candidates of unit after unit."""

    def __init__(self, out: Folder, sources: Sequence[Source]) -> None:
        self.out = out
        self.sources = sources
        self.work = work_digest(out)

    def __call__(self, index: int, unit: Unit, poison: dict[int, str]) -> None:
        """Make the unit's candidates and commit them."""
        source = self.sources[unit.entry]
        table = source.read(unit)
        label_N = np.asarray(table["label"])
        counts = Counter(source.classes[label] for label in label_N)
        commit_unit(
            self.out,
            index,
            self.work,
            {"pool": table},
            outcomes={"pool": table.num_rows},
            reasons={},
            by_class={name: {"pool": count} for name, count in counts.items()},
        )


def generate_pool(
    out: Folder,
    sources: Sequence[Source],
    units: list[Unit],
    config: Config,
    progress: Progress,
    gpu: bool = False,
) -> Totals:
    """Make the candidates of units (`entry` counts the sources) and write them as one pool.

    Args:
        gpu: give each actor a GPU.
    """
    units = start_or_resume(out, {"stage": "generate"}, units)
    make_worker = functools.partial(GenerateWorker, out, sources)
    run_units(out, units, make_worker, config, gpu, progress, "generate")
    classes = sources[0].classes
    schemas = {"pool": candidate_schema(classes)}
    return compact(out, units, schemas, classes, config.filter.shard_mb, None, progress)
