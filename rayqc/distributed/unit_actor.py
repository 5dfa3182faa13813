"""The actor that does units: each once, in the hands of one worker at a time.

An actor looks first whether a unit is committed. A unit whose worker died is done again by
another; one that took several down is gone through in a child process first.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import pyarrow as pa
import ray
from ray import cloudpickle

from rayqc.distributed.isolate import find_poison
from rayqc.distributed.metrics import UnitMetrics
from rayqc.distributed.register import GIVE_UP, ISOLATE, LEAVE
from rayqc.distributed.resources import require_seen
from rayqc.errors import StoppedError, UserError
from rayqc.imports import no_collection
from rayqc.ledger.commit import Commit, is_committed
from rayqc.storage import Folder
from rayqc.units import Unit

logger = logging.getLogger(__name__)

STDERR = 2
"""A worker's file descriptor of its log, whatever stands in `sys.stderr`."""


class UnitWorker(Protocol):
    """Does one unit from reading to commit."""

    def __call__(self, index: int, unit: Unit, poison: dict[int, str]) -> Commit | None:
        """Do the unit, and commit it under its index.

        Args:
            poison: rows to leave alone, and why; found where the worker is `isolate.Isolable`.

        Returns:
            The commit; None where another worker's was first.
        """
        ...


class UnitActor:
    """Makes its worker once, then does unit after unit."""

    def __init__(
        self,
        packed: bytes,
        folder: Folder,
        marker: str,
        stage: str,
        register: Any,
        minutes: float | None,
    ) -> None:
        """Take up the work, unless the folder is another one on this node.

        Args:
            packed: what makes the worker, by cloudpickle: its imports are ours to hasten.
            marker: see `resources.seen_by_all`.
            stage: its name, in metrics and log lines.
        """
        self.refusal: UserError | None = None
        try:
            require_seen(folder, marker)
        except UserError as error:
            self.refusal = error  # raised here it would reach the driver as a death without a cause
            return
        context = ray.get_runtime_context()
        self.node = context.get_node_id()
        self.name = context.get_actor_id()
        ray.get(register.enrol.remote(self.name, context.current_actor))
        with no_collection():
            self.make_worker: Callable[[], UnitWorker] = cloudpickle.loads(packed)
        self.worker = self.make_worker()
        self.folder, self.register = folder, register
        self.stage, self.metrics = stage, UnitMetrics(stage)
        self.minutes = minutes
        self.seconds = None if minutes is None else 60 * minutes

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Do the units of a batch, one after another; what comes back says nothing."""
        if self.refusal is not None:
            raise self.refusal
        for block in batch["units"].to_pylist():
            for index, described in json.loads(block).items():
                self._do(int(index), _unit_of(described))
        return batch.slice(0, 0)

    def _do(self, index: int, unit: Unit) -> None:
        order = ray.get(self.register.begin.remote(index, self.node, os.getpid(), self.name))
        if order == LEAVE:
            return
        outcomes: dict[str, int] = {}
        try:
            if order == GIVE_UP:
                raise StoppedError(
                    f"unit {index} (rows {unit.start} to {unit.stop} of {unit.path or 'the folder'}"
                    ") took its worker down again and again: is memory short, so that fewer "
                    "filter.actors or smaller filter.unit_rows help? Or does it take longer than "
                    f"filter.unit_minutes ({self.minutes or 'none'})? Run again to resume"
                )
            if not is_committed(self.folder, index):
                careful = order == ISOLATE and hasattr(self.worker, "rehearsal")
                poison = find_poison(self.make_worker, unit, self.seconds) if careful else {}
                with _alarm(self.seconds):
                    begun = time.monotonic()
                    record = self.worker(index, unit, poison)
                if record is not None:
                    outcomes = record.outcomes
                    self._say(record, time.monotonic() - begun)
        finally:
            self.register.end.remote(index, outcomes)

    def _say(self, record: Commit, seconds: float) -> None:
        """Tell metrics and log of a unit; Ray adds node and worker to lines as JSON."""
        self.metrics.committed(record, seconds)
        facts = {"run": str(self.folder), "stage": self.stage, "unit": record.unit}
        logger.info(
            "unit %d committed in %.1f s",
            record.unit,
            seconds,
            extra=facts | {"seconds": round(seconds, 3), "outcomes": record.outcomes},
        )


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """Let this process die when what it does takes so long: it hangs, and no signal wakes it."""
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _unit_of(found: dict[str, Any]) -> Unit:
    """A unit from its JSON."""
    sample = found["sample"]
    return Unit(
        **{
            **found,
            "names": tuple(found["names"]),
            "sample": (sample[0], sample[1]) if sample else None,
        }
    )
