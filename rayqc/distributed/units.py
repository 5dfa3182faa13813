"""Run units through a pool of actors: one unit, one call, one commit.

Only the units' descriptions pass through Ray Data, never an image. An actor looks
first whether a unit is committed. What a call returns moves the progress line and
nothing else; counts come from commit records.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

import pyarrow as pa
import ray
import ray.data

from rayqc.distributed.resources import require_shared
from rayqc.distributed.session import plain_errors
from rayqc.ledger.commit import committed_units, is_committed
from rayqc.progress import Progress
from rayqc.storage import Folder
from rayqc.units import Unit

UNITS_AT_ONCE = 10_000
"""Units a pass of Ray Data takes; more go in several passes, so that the driver holds few."""


class UnitWorker(Protocol):
    """Does one unit from reading to commit."""

    def __call__(self, index: int, unit: Unit) -> None:
        """Do the unit, and commit it under its index."""
        ...


class UnitActor:
    """Makes its worker once, then does unit after unit."""

    def __init__(self, make_worker: Callable[[], UnitWorker], folder: Folder) -> None:
        self.worker = make_worker()
        self.folder = folder

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Do the units of a batch, which has one."""
        for row in batch.to_pylist():
            if not is_committed(self.folder, row["index"]):
                self.worker(row["index"], _unit_from_json(row["unit"]))
        return batch.select(["index", "rows"])


def run_units(
    folder: Folder,
    units: list[Unit],
    make_worker: Callable[[], UnitWorker],
    actors: int,
    gpu: bool,
    progress: Progress,
    name: str,
) -> None:
    """Do and commit all units that are not committed yet.

    Args:
        folder: where commits lie.
        make_worker: called once in each actor.
        actors: actors to run.
        gpu: give each actor a GPU.
    """
    require_shared(folder)
    finished = committed_units(folder)
    rows = [int(unit.rows().size) for unit in units]
    left = [index for index in range(len(units)) if index not in finished]
    with progress.stage(name, sum(rows)) as stage, plain_errors():
        if finished:
            stage.skip(sum(rows[index] for index in finished))
        for start in range(0, len(left), UNITS_AT_ONCE):
            items = [
                {"index": index, "rows": rows[index], "unit": json.dumps(asdict(units[index]))}
                for index in left[start : start + UNITS_AT_ONCE]
            ]
            done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
                UnitActor,
                batch_size=1,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=min(actors, len(items))),
                fn_constructor_args=(make_worker, folder),
                num_cpus=1,
                num_gpus=1 if gpu else None,
            )
            for row in done.iter_rows():
                stage.advance(row["rows"])


def _unit_from_json(text: str) -> Unit:
    found = json.loads(text)
    sample = found["sample"]
    return Unit(
        **{
            **found,
            "names": tuple(found["names"]),
            "sample": (sample[0], sample[1]) if sample else None,
        }
    )
