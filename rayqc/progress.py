"""Progress of a stage: its interface, and plain log lines as the default."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from rayqc.printable import counted, duration
from rayqc.verdicts import ACCEPTED, ERROR, VERDICTS

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 15.0
LOSS = "loss"
FEW = 8
"""Units after the first advance from which on the rate leaves out what came before it."""


class Stage:
    """One stage's counter; logs done/total, rate and time left every few seconds.

    Rate and time left are measured from the first advance on, since workers take time to start;
    but from the stage's start on while few units are done, each of which may have taken as long as
    all the time before the first.
    """

    def __init__(self, name: str, total: int, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = 0
        self.outcomes: Counter[str] = Counter()
        """Units by verdict, of those that have one; without those done before."""
        self.values: Mapping[str, float] = {}
        """What a training measured last, by name."""
        self.hearers: list[Callable[[str, int, Mapping[str, float]], None]] = []
        """Are told the stage's name, a step, and values by name: of a training what it measured,
        of other work how far it is and what came of it so far."""
        self._told_at = 0.0
        self._skipped = 0
        self._started_at = self._logged_at = time.monotonic()
        self._first_advance: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finished()

    def skip(self, count: int) -> None:
        """Count `count` units as done before; the rate leaves them out."""
        self.done += count
        self._skipped = count
        logger.info("%s: %s %s done before, going on", self.name, f"{count:,}", self.unit)

    def advance(self, count: int) -> None:
        """Count `count` more units as done."""
        self.done += count
        now = time.monotonic()
        if self._first_advance is None:
            self._first_advance = (now, self.done)
        self.moved(now)
        if (
            self.hearers
            and self.outcomes
            and (now - self._told_at >= SECONDS_BETWEEN_LINES or self.done >= self.total)
        ):
            self._told_at = now
            self._tell(self.done, {f"{verdict} so far": n for verdict, n in self.outcomes.items()})

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        """Take what a training measured at a step, by name."""
        self.values = values
        self._tell(step, values)

    def _tell(self, step: int, values: Mapping[str, float]) -> None:
        for hear in self.hearers:
            hear(self.name, step, values)

    def rate(self, now: float) -> float | None:
        """Units per second; None in the first half second after the first advance."""
        if self._first_advance is None or now - self._first_advance[0] < 0.5:
            return None
        since, before = self._first_advance
        if self.done - before < FEW:
            since, before = self._started_at, self._skipped
        return (self.done - before) / (now - since)

    def describe(self, now: float) -> str:
        """Units done, rate and time left, and what is known so far, in words."""
        text = f"{self.done:,}/{self.total:,} {self.unit}"
        rate = self.rate(now)
        if rate:
            left = max(self.total - self.done, 0) / rate
            speed = f"{rate:,.1f} {self.unit}/s" if rate >= 0.1 else f"{1 / rate:.0f} s each"
            text += f", {speed}, {duration(left)} left"
        return text + self._so_far()

    def counted(self) -> str:
        """Units done in this go, and what is known of them, in words."""
        return f"{self._done_now()}{self._so_far()}"

    def _done_now(self) -> str:
        number = self.done - self._skipped
        one = self.unit.removesuffix("es" if self.unit.endswith("sses") else "s")
        return f"{number:,} {one if number == 1 else self.unit}"

    def _so_far(self) -> str:
        text = f"; {LOSS} {self.values[LOSS]:.4g}" if LOSS in self.values else ""
        judged = sum(self.outcomes[verdict] for verdict in VERDICTS)
        if judged:
            text += f"; {self.outcomes[ACCEPTED] / judged:.0%} accepted"
        if self.outcomes[ERROR]:
            text += f", {counted(self.outcomes[ERROR], 'error')}"
        return text

    def _facts(self) -> dict[str, object]:
        """What a line of log as JSON has beside its message."""
        return {"stage": self.name, "done": self.done, "total": self.total, "of": self.unit}

    def moved(self, now: float) -> None:
        """Called after each advance."""
        if now - self._logged_at >= SECONDS_BETWEEN_LINES and self.done < self.total:
            self._logged_at = now
            logger.info("%s: %s", self.name, self.describe(now), extra=self._facts())

    def finished(self) -> None:
        """Called once at the end."""
        seconds = time.monotonic() - self._started_at
        said = "%s: %s in %.1f s%s"
        logger.info(said, self.name, self._done_now(), seconds, self._so_far(), extra=self._facts())


def speak() -> None:
    """Show lines of progress on standard error, unless the program has set up logging itself.

    `logging.getLogger("rayqc").setLevel("ERROR")` keeps rayqc quiet.
    """
    # In a notebook Ray asks for widgets, which rayqc shows none of.
    logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
    package = logging.getLogger("rayqc")
    if package.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    package.addHandler(handler)
    package.propagate = False
    if package.level == logging.NOTSET:
        package.setLevel(logging.INFO)


class Progress:
    """Makes the counters of stages; a subclass shows them in another way."""

    def stages(self, expected: Mapping[str, float | None]) -> AbstractContextManager[None]:
        """Do several stages in a `with` of this.

        Args:
            expected: names of the stages in their order, and the seconds that each is expected to
                take; None where nothing tells.
        """
        return nullcontext()

    def doing(self, name: str) -> AbstractContextManager[None]:
        """Do a stage in a `with` of this; counters within are of its parts."""
        return nullcontext()

    def stage(self, name: str, total: int, unit: str = "images") -> Stage:
        """A counter for `total` units of work called `name`; use it in a `with`."""
        return Stage(name, total, unit)
