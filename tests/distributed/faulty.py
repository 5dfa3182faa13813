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
    """Failpoints before and after each of a unit's writes and its commit, in seeded order."""
    names = ["write accepted/*", "write rejected/*", "write scores/*", "create commits/*"]
    points = [f"kill {when} {name} 1" for name in names for when in ("before", "after")]
    points *= rounds
    random.Random(seed).shuffle(points)
    return points


class DyingWorker(FilterWorker):
    """Each unit, at its first two attempts, takes the next planned death.

    So none depends on which process gets which unit. Where a unit does not come to such a moment
    (it has no rejected image, say), its process lives on, and another unit takes the death. Its
    file is called `at-...` while a unit is done, and stays so when the process dies of that.
    """

    def __call__(self, index, unit, poison):
        place = Path(self.spec.out.location).parent
        attempt = len(list(place.glob(f"tried-{index}-*")))
        at = self._take(place) if attempt < 2 else None
        (place / f"tried-{index}-{attempt}").touch()
        if at is None:
            return super().__call__(index, unit, poison)
        os.environ["RAYQC_FAILPOINT"] = at.read_text()
        record = super().__call__(index, unit, poison)
        del os.environ["RAYQC_FAILPOINT"]
        at.rename(place / at.name.removeprefix("at-"))
        return record

    def _take(self, place):
        for planned in sorted(place.glob("death-*")):
            try:
                return planned.rename(place / f"at-{planned.name}")
            except FileNotFoundError:
                continue  # the other worker was faster
        return None


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
