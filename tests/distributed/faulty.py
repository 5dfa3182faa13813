"""Filter workers that die, hang or fail where a test tells them to. The work is the real one's."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from rayqc.distributed.filter_work import FilterWorker

DEADLY = b"kills whoever decodes it"
ENDLESS = b"is decoded for ever"


def moments(count: int, seed: int) -> list[str]:
    """Seeded failpoints: before and after any of a unit's writes and its commit."""
    rng = random.Random(seed)
    names = ["write accepted/*", "write rejected/*", "write scores/*", "create commits/*"]
    return [
        f"kill {rng.choice(['before', 'after'])} {rng.choice(names)} {rng.randint(1, 3)}"
        for _ in range(count)
    ]


class DyingWorker(FilterWorker):
    """Each process takes the next planned death, and dies of it; when none is left, it lives."""

    def __init__(self, spec):
        super().__init__(spec)
        for place in sorted(Path(spec.out.location).parent.glob("death-*")):
            taken = place.with_name(f"taken-{place.name}")
            try:
                place.rename(taken)
            except FileNotFoundError:
                continue  # the other worker was faster
            os.environ["RAYQC_FAILPOINT"] = taken.read_text()
            return
        os.environ.pop("RAYQC_FAILPOINT", None)


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
        super()._commit(*arguments)
