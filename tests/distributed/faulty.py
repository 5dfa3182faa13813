"""Filter workers that die, hang or fail where a test tells them to. The work is the real one's."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from rayqc.work.filter_unit import FilterWorker

DEADLY = b"kills whoever decodes it"
ENDLESS = b"is decoded for ever"


def moments(seed: int, rounds: int) -> list[str]:
    """Failpoints before and after each of a unit's writes and its commit, at seeded units."""
    rng = random.Random(seed)
    names = ["write accepted/*", "write rejected/*", "write scores/*", "create commits/*"]
    points = [f"kill {when} {name}" for name in names for when in ("before", "after")]
    points *= rounds
    rng.shuffle(points)
    return [f"{point} {rng.randint(1, 2)}" for point in points]


class DyingWorker(FilterWorker):
    """Each process takes the next planned death, and dies of it; when none is left, it lives.

    A file `at-...` is there while it does a unit, and stays when it dies of that.
    """

    death: Path | None = None

    def __call__(self, index, unit, poison):
        self.death = self.death or self._take()
        at = self.death.with_name(f"at-{self.death.name}")
        at.touch()
        record = super().__call__(index, unit, poison)
        at.unlink()
        return record

    def _take(self):
        place = Path(self.spec.out.location).parent
        for planned in sorted(place.glob("death-*")):
            taken = planned.with_name(f"taken-{planned.name}")
            try:
                planned.rename(taken)
            except FileNotFoundError:
                continue  # the other worker was faster
            os.environ["RAYQC_FAILPOINT"] = taken.read_text()
            return taken
        os.environ.pop("RAYQC_FAILPOINT", None)
        return place / f"none-{os.getpid()}"


class DeadlyDecoder(FilterWorker):
    """A decoder with a fault: some bytes kill it, others it never comes back from."""

    def _decode(self, data):
        if DEADLY in data:
            os.kill(os.getpid(), signal.SIGSEGV)
        if ENDLESS in data:
            time.sleep(10_000)
        return super()._decode(data)


class NeverLives(FilterWorker):
    """Dies of every unit, though no image does it any harm."""

    def _commit(self, *arguments):
        os.kill(os.getpid(), signal.SIGKILL)


class SlowWorker(FilterWorker):
    """Takes a second more for each unit, so that a test can come in between."""

    def _commit(self, *arguments):
        time.sleep(1)
        return super()._commit(*arguments)
