"""Metrics that Prometheus scrapes from a cluster's nodes, by Ray: how far work is, and how fast.

Ray adds the node and the session to each. They are for watching: what a run did is in its ledger,
and a unit that is done twice counts twice here.
"""

from __future__ import annotations

from collections.abc import Mapping

from ray.util.metrics import Counter, Gauge, Histogram

from rayqc.ledger.commit import Commit
from rayqc.progress import Stage
from rayqc.verdicts import INSIDE

UNIT_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
"""Boundaries of the histogram."""


class UnitMetrics:
    """What an actor tells of the units that it commits."""

    def __init__(self, stage: str) -> None:
        self._stage = {"stage": stage}
        self._images = Counter(
            "rayqc_images", "Images committed, by verdict; `pool` are made", ("stage", "verdict")
        )
        self._reasons = Counter(
            "rayqc_turned_away", "Images that are not accepted, by reason", ("stage", "reason")
        )
        self._bytes = Counter("rayqc_bytes_written", "Bytes of Parquet committed", ("stage",))
        self._seconds = Histogram(
            "rayqc_unit_seconds",
            "Seconds from a unit's reading to its commit",
            list(UNIT_SECONDS),
            ("stage",),
        )

    def committed(self, record: Commit, seconds: float) -> None:
        """Count a unit."""
        for verdict, count in record.outcomes.items():
            if count:
                self._images.inc(count, {**self._stage, "verdict": verdict})
        for reason, count in record.reasons.items():
            if reason != INSIDE:
                self._reasons.inc(count, {**self._stage, "reason": reason})
        for part in record.parts:
            self._bytes.inc(part.bytes, self._stage)
        self._seconds.observe(seconds, self._stage)


class StageMetrics:
    """What the driver tells of a stage: how much is left, and what a training measured."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._left = Gauge("rayqc_left", "Images or steps that are still to come", ("stage",))
        self._step = Gauge("rayqc_training_step", "Optimiser step that was reported", ("stage",))
        self._values = Gauge("rayqc_training_value", "Losses and the like", ("stage", "value"))
        stage.hearers.append(self._hear)
        self.look()

    def look(self) -> None:
        """Tell how much is left."""
        left = max(0, self._stage.total - self._stage.done)
        self._left.set(left, {"stage": self._stage.name})

    def _hear(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        if self._stage.outcomes:
            return  # of units the actors tell
        self._step.set(step, {"stage": stage})
        for name, value in values.items():
            self._values.set(value, {"stage": stage, "value": name})
