"""Tell a run's trackers what its stages measure while they work, and what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rayqc.kinds import OUTPUTS, STAGES
from rayqc.pipeline.records import status
from rayqc.pipeline.run import Run
from rayqc.progress import Progress, Stage
from rayqc.report.result import RESULT
from rayqc.trackers.base import TrackedRun
from rayqc.trackers.beside import Beside, numbers_in

MOST_NUMBERS = 1_000
"""Numbers of a stage's summary, which has some for each class."""


class _Heard(Progress):
    """Another progress, whose counters tell trackers what they are told."""

    def __init__(self, shown: Progress, trackers: list[Beside]) -> None:
        self._shown, self._trackers = shown, trackers

    def stages(self, expected: Mapping[str, float | None]) -> AbstractContextManager[None]:
        """See `Progress`."""
        return self._shown.stages(expected)

    def doing(self, name: str) -> AbstractContextManager[None]:
        """See `Progress`."""
        return self._shown.doing(name)

    def stage(self, name: str, total: int, unit: str = "images") -> Stage:
        """See `Progress`."""
        stage = self._shown.stage(name, total, unit)
        stage.hearers.append(self._tell)
        return stage

    def _tell(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            for name, value in values.items():
                tracker.measured(f"{stage}/{name}", value, step)


@contextmanager
def tracked(run: Run) -> Iterator[None]:
    """Do stages in a `with` of this: the run's trackers hear of them."""
    kinds = run.asked.resources.trackers
    if not kinds:
        yield
        return
    told = TrackedRun(folder=run.folder, settings=_flat(run.asked.model_dump(mode="json")))
    trackers = [Beside(kind, told) for kind in kinds]
    shown, done_before = run.progress, _done(run)
    run.progress = _Heard(shown, trackers)
    whole = False
    try:
        yield
        whole = True
    finally:
        run.progress = shown
        done_now = {name: record for name, record in _done(run).items() if name not in done_before}
        for tracker in trackers:
            _conclude(run, tracker, done_now)
            tracker.close(whole)


def _done(run: Run) -> dict[str, dict[str, Any]]:
    """Records of the stages that are done, by name."""
    records = {name: status(run.folder, name) for name in STAGES.names}
    return {
        name: record for name, record in records.items() if record and record["status"] == "done"
    }


def _conclude(run: Run, tracker: Beside, done: Mapping[str, Mapping[str, Any]]) -> None:
    """Tell what came of stages, and hand over pictures and pages of a whole run."""
    for name, record in done.items():
        tracker.measured(f"{name}/seconds", record["seconds"], 0)
        numbers = numbers_in(record["summary"], name)
        for key, value in list(numbers.items())[:MOST_NUMBERS]:
            tracker.measured(key, value, 0)
    if done and run.folder.exists(RESULT):
        for name in (RESULT, *OUTPUTS.names):
            if run.folder.exists(name):
                tracker.file(name, run.folder.read(name))


def _flat(value: Any, name: str = "") -> dict[str, str]:
    """Settings as text, by their dotted names."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {
            key: text
            for inner_name, inner in pairs
            for key, text in _flat(inner, f"{name}.{inner_name}".lstrip(".")).items()
        }
    return {name: str(value)}
