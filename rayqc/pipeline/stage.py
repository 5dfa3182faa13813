"""What a stage is, and what follows from the register of stages: order, needs, clearing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rayqc.config.base import Settings
from rayqc.config.reach import stages_entered
from rayqc.config.settings import Config
from rayqc.kinds import STAGES
from rayqc.shown import Shown, plain_lines

if TYPE_CHECKING:
    from rayqc.pipeline.run import Run


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a run: all that is said of it anywhere follows from its record."""

    name: str
    """In the register; also its command, and the name of its section of settings if it has one."""
    help: str
    needs: tuple[str, ...]
    """Stages that must be done first."""
    outputs: tuple[str, ...]
    """Files and folders of the run that it writes, and that clearing it deletes."""
    work: Callable[[Run], Any]
    """Does it; returns its summary, as plain JSON."""
    show: Callable[[Any, str], Shown] = plain_lines
    """A summary as a person sees it; takes it and the run folder."""
    result: Callable[[Any], Mapping[str, Any]] | None = None
    """What its summary adds to `result.json`; None adds the summary under the stage's name."""
    settings: type[Settings] | None = None
    """Its section of settings, where it brings one of its own; every field has a default."""

    def result_of(self, summary: Any) -> Mapping[str, Any]:
        """What a summary adds to `result.json`."""
        return {self.name: summary} if self.result is None else self.result(summary)


def stage(name: str) -> Stage:
    """The record of a stage."""
    found: Stage = STAGES[name]
    return found


def all_stages() -> tuple[Stage, ...]:
    """The records of all stages, in their order."""
    return tuple(stage(name) for name in STAGES.names)


def downstream(name: str) -> tuple[str, ...]:
    """A stage and those that need it, in their order."""
    return _with_dependents({name})


def affected(changes: Iterable[str], config: type[Config]) -> tuple[str, ...]:
    """Stages that changed settings undo: those they enter, and those that need these.

    Args:
        changes: lines that begin with a setting's dotted path and a colon; `inputs.X` stands for
            what the section X names.
        config: the class of all settings.
    """
    entered: set[str] = set()
    for change in changes:
        path = change.partition(":")[0].removeprefix("inputs.")
        entered.update(stages_entered(config, path))
    return _with_dependents(entered)


def _with_dependents(names: set[str]) -> tuple[str, ...]:
    undone = set(names)
    for one in all_stages():
        if undone & set(one.needs):
            undone.add(one.name)
    return tuple(name for name in STAGES.names if name in undone)
