"""One live display of all stages, on terminals and in notebooks.

✓ train      40 steps                                                    12 s
> filter     ━━━━━━━━━━━━━━━      600/1,200 images, 50 images/s, 12 s left; 80% accepted
classify   about 40 s
about 1 min left in all
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rayqc.printable import duration, printable
from rayqc.progress import Progress, Stage

WAITING, AT_WORK, DONE, STOPPED = " ", ">", "✓", "✗"
BAR_WIDTH, NAME_WIDTH = 24, 9


@dataclass(kw_only=True)
class _Row:
    """A line of the display."""

    expected: float | None = None
    """Seconds."""
    mark: str = WAITING
    words: str = ""
    """Said once it is done."""
    is_own: bool = False
    """Are the words of the stage itself, and not of a part of it?"""
    began: float = 0.0
    ended: float = 0.0
    stages: list[Stage] = field(default_factory=list)
    """What is counted in it at the moment; the last is shown."""

    def left(self, now: float) -> float | None:
        """Seconds that it still needs, as far as was foretold."""
        if self.mark in (DONE, STOPPED):
            return 0.0
        spent = now - self.began if self.mark == AT_WORK else 0.0
        return None if self.expected is None else max(self.expected - spent, 0.0)


class LiveProgress(Progress):
    """Shows a line for each stage: those done, the one at work, and those to come."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: dict[str, _Row] = {}
        self._at_work: str | None = None
        self._live: Live | None = None
        self._depth = 0

    @contextmanager
    def stages(self, expected: Mapping[str, float | None]) -> Iterator[None]:
        """See `Progress`."""
        with self.open():
            self._rows |= {name: _Row(expected=seconds) for name, seconds in expected.items()}
            yield

    @contextmanager
    def doing(self, name: str) -> Iterator[None]:
        """See `Progress`."""
        with self.open(), self._line(name):
            self._at_work = name
            try:
                yield
            finally:
                self._at_work = None

    def stage(self, name: str, total: int, unit: str = "images") -> Stage:
        """See `Progress`."""
        return _LiveStage(name, total, unit, self)

    @contextmanager
    def counting(self, stage: Stage) -> Iterator[None]:
        """Show a counter in the line of the stage at work, or else in a line of its own."""
        with self.open():
            if self._at_work is not None:
                yield from self._counted(self._rows[self._at_work], stage)
            else:
                with self._line(stage.name) as row:
                    yield from self._counted(row, stage)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Show the display, until the last that opened it is done."""
        if self._live is None:
            self._rows = {}
            self._live = Live(console=self._console, get_renderable=self._drawn)
            self._live.start()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._live.stop()
                self._live = None

    @contextmanager
    def _line(self, name: str) -> Iterator[_Row]:
        row = self._rows.setdefault(name, _Row())
        row.mark, row.began = AT_WORK, time.monotonic()
        ending = STOPPED
        try:
            yield row
            ending = DONE
        finally:
            row.mark, row.ended = ending, time.monotonic()

    def _counted(self, row: _Row, stage: Stage) -> Iterator[None]:
        row.stages.append(stage)
        try:
            yield
            # What is counted under the stage's own name says more than its parts, such as shards.
            is_own = stage.name == self._at_work
            if is_own or not row.is_own:
                row.words, row.is_own = stage.counted(), is_own
        finally:
            row.stages.remove(stage)

    def _drawn(self) -> RenderableType:
        now = time.monotonic()
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=1)
        table.add_column(width=NAME_WIDTH, no_wrap=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for name, row in list(self._rows.items()):
            table.add_row(row.mark, Text(printable(name)), _told(name, row, now))
        left = [row.left(now) for row in list(self._rows.values())]
        known = [seconds for seconds in left if seconds is not None]
        if len(known) == len(left) > 1 and any(known):
            return Group(table, Text(f"about {duration(sum(known))} left in all"))
        return table


class _LiveStage(Stage):
    def __init__(self, name: str, total: int, unit: str, display: LiveProgress) -> None:
        super().__init__(name, total, unit)
        self._shown = display.counting(self)

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shown.__exit__(kind, error, trace)

    def moved(self, now: float) -> None:
        """See `Stage`: the display asks by itself."""


def usual_progress() -> Progress:
    """The display in a notebook that can show one, else lines."""
    if "ipykernel" in sys.modules and importlib.util.find_spec("ipywidgets") is not None:
        return LiveProgress(Console())
    return Progress()


def _told(name: str, row: _Row, now: float) -> RenderableType:
    if row.mark == WAITING:
        return Text("" if row.expected is None else f"about {duration(row.expected)}")
    words = f"{row.words}, " if row.words else ""
    if row.mark != AT_WORK:
        return Text(f"{words}{duration(row.ended - row.began)}")
    stages = row.stages[-1:]  # another thread may end the last at any moment
    if not stages:
        return Text(f"{words}{duration(now - row.began)} so far")
    stage = stages[0]
    bar = ProgressBar(total=max(stage.total, 1), completed=stage.done, width=BAR_WIDTH)
    described = stage.describe(now)
    if stage.name != name:
        described = f"{stage.name}: {described}"
    line = Table.grid(padding=(0, 1))
    line.add_column(width=BAR_WIDTH)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_row(bar, Text(printable(described)))
    return line
