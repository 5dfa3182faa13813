"""Run units through a pool of actors: each unit is done and committed by itself.

Only the units' descriptions pass through Ray Data, never an image, and several at once, as its
work for a block is the same for any. What the register hears moves the progress line and nothing
else; counts come from commit records. Units of a lost node are done by the others: Ray Data sends
them again, and restarts its actors elsewhere.
"""

from __future__ import annotations

import functools
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import ray
import ray.data
from ray import cloudpickle

from rayqc.config import Config
from rayqc.distributed.metrics import StageMetrics
from rayqc.distributed.pools import through_actors
from rayqc.distributed.register import Attempt, open_register
from rayqc.distributed.resources import actors_for, seen_by_all
from rayqc.distributed.session import plain_errors
from rayqc.distributed.unit_actor import UnitActor, UnitWorker
from rayqc.distributed.watch import SECONDS_BETWEEN_LOOKS, Watchdog
from rayqc.ledger.commit import committed_units
from rayqc.progress import Progress, Stage
from rayqc.storage import Folder
from rayqc.units import Unit

logger = logging.getLogger(__name__)

UNITS_AT_ONCE = 100_000
"""Units a pass of Ray Data takes; more go in several passes, so that the driver holds few."""
MOST_UNITS_A_BLOCK = 16
BLOCKS_AN_ACTOR = 4
"""A block holds at most this part of an actor's share of what is left: the last are single units,
so that actors end together."""
SECONDS_TO_FINISH = 20.0
"""After Ctrl-C or SIGTERM, units in progress have so long to commit."""
SECONDS_TO_END = 5.0


def run_units(
    folder: Folder,
    units: list[Unit],
    make_worker: Callable[[], UnitWorker],
    config: Config,
    a_gpu: int,
    progress: Progress,
    name: str,
) -> None:
    """Do and commit all units that are not committed yet.

    Args:
        folder: where commits lie.
        make_worker: called once in each actor.
        a_gpu: how many actors share a GPU; 0 for actors on CPUs.

    Raises:
        StoppedError: workers die of a unit, or nothing goes on any more.
        KeyboardInterrupt: after the units in progress had time to commit.
    """
    finished = committed_units(folder)
    rows = [unit.count() for unit in units]
    left = [index for index in range(len(units)) if index not in finished]
    register = open_register()
    running = functools.partial(_running, register)
    packed = cloudpickle.dumps(make_worker)
    with (
        seen_by_all(folder) as marker,
        progress.stage(name, sum(rows)) as stage,
        plain_errors(),
        _killed_at_the_end(register),
    ):
        if finished:
            stage.skip(sum(rows[index] for index in finished))
        for start in range(0, len(left), UNITS_AT_ONCE):
            here = left[start : start + UNITS_AT_ONCE]
            actors = actors_for(name, config.filter.actors, len(here), a_gpu)
            items = [
                {"units": json.dumps({index: asdict(units[index]) for index in block})}
                for block in _blocks(here, actors.first)
            ]
            blocks = ray.data.from_items(items, override_num_blocks=len(items))
            arguments = (packed, folder, marker, name, register, config.filter.unit_minutes)
            done = through_actors(blocks, UnitActor, arguments, actors, least_rows=1)
            watchdog = Watchdog(name, config.resources.stuck_minutes, running)
            _Pass(done, register, {index: rows[index] for index in here}, stage).run(watchdog)


def _blocks(indices: list[int], actors: int) -> Iterator[list[int]]:
    start = 0
    while start < len(indices):
        share = (len(indices) - start) // (BLOCKS_AN_ACTOR * actors)
        stop = start + min(max(share, 1), MOST_UNITS_A_BLOCK)
        yield indices[start:stop]
        start = stop


@contextmanager
def _killed_at_the_end(register: Any) -> Iterator[None]:
    try:
        yield
    finally:
        ray.kill(register)


class _Pass:
    """One pass of Ray Data over units, in a thread; this one counts, watches and is interrupted."""

    def __init__(
        self, dataset: ray.data.Dataset, register: Any, rows: dict[int, int], stage: Stage
    ) -> None:
        """`rows`: of each unit, by its number."""
        self._dataset, self._register = dataset, register
        self._left, self._stage = dict(rows), stage
        self._metrics = StageMetrics(stage)
        self._answers: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._over = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def run(self, watchdog: Watchdog) -> None:
        """Until all units are done."""
        self._thread.start()
        try:
            while not self._over:
                self._take()
                watchdog.look(self._stage.done)
        except KeyboardInterrupt:
            self._finish_what_is_begun()
            raise
        finally:
            if not self._over:
                self._end()

    def _work(self) -> None:
        try:
            for _ in self._dataset.iter_batches(batch_size=None):
                pass
            self._answers.put(None)
        except BaseException as error:
            self._answers.put(error)

    def _take(self) -> None:
        """Wait a moment, and count what has ended; raises what the thread met."""
        found: BaseException | bool | None = False
        with suppress(queue.Empty):
            found = self._answers.get(timeout=SECONDS_BETWEEN_LOOKS)
        if isinstance(found, BaseException):
            raise found
        rows = 0
        for job, outcomes in ray.get(self._register.ended.remote()):
            if job in self._left:
                rows += self._left.pop(job)
                self._stage.outcomes.update(outcomes)
        if rows:
            self._stage.advance(rows)
        self._metrics.look()
        self._over = found is None

    def _end(self) -> None:
        """Take the pass its actors, so that its thread ends too; what it meets then is no news."""
        for actor in ray.get(self._register.dismiss.remote(), timeout=SECONDS_TO_END):
            ray.kill(actor)
        self._thread.join(timeout=SECONDS_TO_END)

    def _finish_what_is_begun(self) -> None:
        self._register.stop.remote()
        begun = len(_running(self._register))
        if begun:
            logger.warning(
                "stopping: %d units in progress have %.0f s to commit; Ctrl-C again stops at once",
                begun,
                SECONDS_TO_FINISH,
            )
        limit = time.monotonic() + SECONDS_TO_FINISH
        with suppress(Exception):  # the interruption stands; the next run meets the error again
            while not self._over and time.monotonic() < limit and _running(self._register):
                self._take()


def _running(register: Any) -> list[Attempt]:
    return list(ray.get(register.running.remote()))
