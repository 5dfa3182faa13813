"""What a stage is, and the order, needs and clearing of the registered stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rayqc.config.base import Settings
from rayqc.config.pool import made_in_the_runs_size
from rayqc.config.reach import stages_entered
from rayqc.config.settings import Config
from rayqc.kinds import STAGES
from rayqc.shown.base import Shown, plain_lines

if TYPE_CHECKING:
    from rayqc.pipeline.outlook import Expected, Outlook
    from rayqc.pipeline.run import Run


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a run. Its command, order, settings and results all follow from this record."""

    name: str
    """Its name in the register, of its command, and of its section of settings if it has one."""
    help: str
    needs: tuple[str, ...]
    """Stages that must be done before it."""
    outputs: tuple[str, ...]
    """Files and folders in the run folder that it writes; clearing the stage deletes them."""
    work: Callable[[Run], Any]
    """Does the stage; returns its summary, as plain JSON."""
    refuse: Callable[[Run], object] | None = None
    """Raises what the stage cannot begin with, before anything that it made before is cleared."""
    expect: Callable[[Outlook], Expected] | None = None
    """Says beforehand what it will take; None where nothing tells."""
    show: Callable[[Any, str], Shown] = plain_lines
    """Takes the summary and the run folder's path; returns what a person is shown."""
    result: Callable[[Any], Mapping[str, Any]] | None = None
    """What its summary adds to `result.json`; None adds the summary under the stage's name."""
    settings: type[Settings] | None = None
    """Its own section of settings, if it has one; every field has a default."""

    def result_of(self, summary: Any) -> Mapping[str, Any]:
        """What a summary adds to `result.json`."""
        return {self.name: summary} if self.result is None else self.result(summary)


def stage(name: str) -> Stage:
    """The record of a stage."""
    record: Stage = STAGES[name]
    return record


def all_stages() -> tuple[Stage, ...]:
    """The records of all stages, in their order."""
    return tuple(stage(name) for name in STAGES.names)


def downstream(name: str) -> tuple[str, ...]:
    """A stage and those that need it, in their order."""
    return _with_dependents({name})


def affected(changes: Iterable[str], old: Config, new: Config) -> tuple[str, ...]:
    """Stages that changed settings undo: those that they enter, and those that need these.

    Args:
        changes: lines that begin with a setting's dotted path and a colon; `inputs.X` is a change
            of what section X names.
        old: the settings before; so is `new` now.
    """
    entered: set[str] = set()
    for change in changes:
        path = change.partition(":")[0].removeprefix("inputs.")
        entered.update(stages_entered(type(new), path))
        if path.startswith("pool") and new.pool_images():
            entered.add("fit")
    if _taken_of_pool(old) != _taken_of_pool(new):
        entered.add("fit")
    return _with_dependents(entered)


def _taken_of_pool(config: Config) -> tuple[int, bool]:
    """What `fit` takes of the pool: images to learn from, and whether detail can be asked for."""
    return config.pool_images(), made_in_the_runs_size(config.pool)


def _with_dependents(names: set[str]) -> tuple[str, ...]:
    undone_names = set(names)
    for record in all_stages():
        if undone_names & set(record.needs):
            undone_names.add(record.name)
    return tuple(name for name in STAGES.names if name in undone_names)
