"""What a run will have to do, before it does it: how many images, of what, and at what pace.

Each stage says from it what it will take (`Stage.expect`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from rayqc.config import Config, Files
from rayqc.distributed.encode import rows_a_block
from rayqc.distributed.nodes import Nodes
from rayqc.encoders.base import EncoderKind
from rayqc.images.decode import limits_of
from rayqc.images.look import ImageShape
from rayqc.images.references import infer_shape
from rayqc.kinds import ENCODERS
from rayqc.models.batches import batch_on_cpu
from rayqc.pipeline.class_table import Opened
from rayqc.pipeline.inputs import Looked
from rayqc.pipeline.pace import Pace
from rayqc.pipeline.unit_size import plan_units
from rayqc.schema import candidate_table, image_bytes
from rayqc.sources.problems import refuse_problems
from rayqc.sources.select import match_labels, no_references
from rayqc.units import evenly, rows_at, single_rows

START_SECONDS = 4.0
"""What workers take to start, with torch; measured on the machine of docs/speed.md."""
TRAINER_SECONDS = 17.0
"""What Ray Train's workers take to start and to end; on the same machine."""
SAMPLE = 16
"""References that paces are measured on, or one of each class where there are more classes."""
CANDIDATES = 8


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a stage is expected to take, in the worst case where it may end early."""

    seconds: float
    work: str
    """What it will do, in words."""
    memory_mb: float = 0.0
    """Of all its workers together."""
    output_mb: float = 0.0
    at_once: int = 1
    """Workers that find something to do."""
    bound: str = "one process"
    """What it would have to have more of, to take less time."""
    lost: float = 0.0
    """Seconds of work at most that each CPU of a node takes with it when the node goes."""
    beside_gpus: float | None = None
    """Seconds at least where GPUs do all that they can; None where that is not known."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Candidates of a pool entry."""

    name: str
    candidates: int
    units: int
    seconds: float
    """To read one, or to make it, on one thread."""
    bytes: float
    """Of one, encoded."""
    sample: pa.Table
    """A few of them."""
    made: bool
    """Does the run make them?"""


class Outlook:
    """Sizes and paces of a run that is about to begin."""

    def __init__(self, config: Config, looked: Looked, nodes: Nodes) -> None:
        """Read a few references, and nothing else yet.

        Args:
            looked: the inputs that the settings name.
            nodes: that the run may use.

        Raises:
            InputError: an image of the references cannot be read or decoded.
        """
        self.config, self.nodes, self._looked = config, nodes, looked
        self.kind: EncoderKind = ENCODERS[config.encoder.kind]
        self.classes = tuple(looked.classes)
        self.references = sum(counts["references"] for counts in looked.classes.values())
        self.tests = 0 if looked.test is None else looked.test.rows()
        sample = _of_each_class(looked.references, self.classes, config.image.max_bytes)
        images = zip(sample["id"].to_pylist(), image_bytes(sample), strict=True)
        settings = config.image
        self.image: ImageShape = infer_shape(
            images, limits_of(settings), settings.size, settings.channels
        )
        self.pace = Pace(config, self.image, sample, self.classes)
        self._sample = sample

    @cached_property
    def entries(self) -> list[Entry]:
        """The pool's entries, each with as many candidates as the limit leaves it."""
        named = list(zip(self.config.pool_names(), self.config.pool, strict=True))
        sources = [
            self._looked.pool[entry_number].source
            if isinstance(entry, Files)
            else self.pace.planned(entry, name, self.references)
            for entry_number, (name, entry) in enumerate(named)
        ]
        planned = plan_units(sources, self.config.filter, self.pace.looked_at)
        entries = []
        for entry_number, (name, entry) in enumerate(named):
            units = [unit for unit in planned if unit.entry == entry_number]
            if isinstance(entry, Files):
                seconds, sample = _read(self._looked.pool[entry_number], self.config)
            else:
                seconds, sample = self.pace.candidate(entry, name)
            entries.append(
                Entry(
                    name=name,
                    candidates=sum(unit.count() for unit in units),
                    units=len(units),
                    seconds=seconds,
                    bytes=_mean_bytes(sample),
                    sample=sample,
                    made=not isinstance(entry, Files),
                )
            )
        return entries

    @property
    def candidates(self) -> int:
        """Of all entries together."""
        return sum(entry.candidates for entry in self.entries)

    @cached_property
    def reference_seconds(self) -> float:
        """To decode and encode a real image, and look at it as scores do; on one thread."""
        return self.pace.image(self._sample, scored=True)

    def shared(self, seconds: float, jobs: int) -> float:
        """How long work takes in so many equal jobs, by workers that start first.

        Args:
            seconds: of all of it on one thread.
        """
        rounds = -(-jobs // self.at_once(jobs))
        return START_SECONDS + seconds * rounds / max(1, jobs) if jobs else 0.0

    def at_once(self, jobs: int) -> int:
        """Workers that find something to do at so many jobs."""
        return min(self.nodes.cpus, max(1, jobs))

    def bound(self, jobs: int, what: str) -> str:
        """What bounds so many equal jobs: the CPUs, or that there are no more jobs.

        Args:
            what: they are, in the plural.
        """
        return "CPUs" if jobs >= self.nodes.cpus else f"only {jobs:,} {what}"

    def threads_each(self, workers: int) -> int:
        """Of so many workers that train together, each on one node."""
        return max(1, min(self.nodes.largest, self.nodes.cpus // workers))

    def encoding(self, images: int) -> tuple[float, int]:
        """How long real images take to be encoded by actors, and in how many blocks."""
        batch = batch_on_cpu(self.config.filter.micro_batch, self.pace.looked_at.size**2)
        blocks = -(-images // rows_a_block(images, batch))
        return self.shared(images * self.reference_seconds, blocks), blocks

    def memory_mb(self, jobs: int) -> float:
        """Of the workers at so many jobs."""
        return self.pace.memory_mb * min(self.nodes.cpus, jobs)


def _of_each_class(opened: Opened, classes: tuple[str, ...], max_bytes: int) -> pa.Table:
    """`SAMPLE` references, or more so that each class has one; labels index `classes`."""
    label_N = np.concatenate([opened.source.labels(unit) for unit in opened.units])
    labelled = np.flatnonzero(label_N >= 0)
    _, first_K = np.unique(label_N[labelled], return_index=True)
    chosen = np.unique(np.concatenate([first_K, evenly(labelled.size, SAMPLE)]))
    positions = labelled[chosen]
    if not positions.size:
        raise no_references(opened.source.classes)
    tables = [opened.source.read(unit, max_bytes) for unit in rows_at(opened.units, positions)]
    table = refuse_problems(pa.concat_tables(tables))
    return match_labels(table, opened.source.classes, classes)


def _read(opened: Opened, config: Config) -> tuple[float, pa.Table]:
    """Seconds to read a candidate, and a few."""
    tables: list[pa.Table] = []
    started = time.perf_counter()
    for unit in single_rows(opened.units, CANDIDATES):
        tables.append(opened.source.read(unit, config.image.max_bytes))
    seconds = time.perf_counter() - started
    if not tables:
        return 0.0, candidate_table((), ids=[], images=[], labels=[], sources=[])
    sample = pa.concat_tables(tables, promote_options="default")
    # A file of many rows is read for one, so this is no measure of a unit's reading.
    return (seconds / len(tables) if opened.units[0].names else 0.0), sample


def _mean_bytes(sample: pa.Table) -> float:
    sizes = [len(image) for image in image_bytes(sample) if image is not None]
    return float(np.mean(sizes)) if sizes else 0.0
