"""A unit that kills its workers, gone through in a child process that may die.

    parent                                 child (`python -m rayqc.distributed.isolate`)
    the worker's recipe and a range  -->   makes the worker, reads the unit
                                     <--   the row it is about to try, one after another
    a death is at the row said last; tried alone twice more, and killing twice, it is poison

What kills a whole node kills the parent too, so that nothing is judged by it.
"""

from __future__ import annotations

import faulthandler
import functools
import logging
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from ray import cloudpickle

from rayqc.errors import InputError, StoppedError
from rayqc.units import Unit

logger = logging.getLogger(__name__)

TRIES_ALONE = 2
MOST_STRAYS = 3
"""Deaths at rows that do no harm alone, after which the unit is given up for this run."""
SECONDS_A_ROW = 120.0
SECONDS_TO_START = 600.0
ASKED_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Isolable(Protocol):
    """A worker whose rows can be tried one by one, without committing."""

    def rehearsal(self, unit: Unit) -> tuple[int, Callable[[int], None]]:
        """The unit's number of rows, and what does all that can go wrong with one of them."""
        ...


@dataclass(frozen=True, kw_only=True)
class Death:
    """How a child ended that did not reach its end."""

    row: int
    """The row it was at, or one of the two below."""
    how: str


MAKING, READING = -2, -1
"""Where a child is before its first row."""


def find_poison(
    make_worker: Callable[[], object], unit: Unit, most_seconds: float | None
) -> dict[int, str]:
    """Rows of a unit that take their process down each time, and how.

    Args:
        make_worker: gives an `Isolable`; goes to the child by cloudpickle.
        most_seconds: what takes longer hangs, and is ended; None takes the limits below.

    Raises:
        InputError: reading the unit's file is what kills.
        StoppedError: the child was asked to stop, or died without a row to blame.
    """
    rows = f"rows {unit.start} to {unit.stop} of {unit.path or 'the folder'}"
    most = SECONDS_TO_START if most_seconds is None else most_seconds
    rehearse = functools.partial(_rehearse, cloudpickle.dumps((make_worker, unit)), most)
    poison: dict[int, str] = {}
    first = strays = 0
    while (death := rehearse(first, None)) is not None:
        row = death.row
        if row == MAKING:
            raise StoppedError(f"a process for {rows} could not start ({death.how})")
        if row == READING:
            again = [rehearse(first, first) for _ in range(TRIES_ALONE)]
            if not all(again):
                continue
            if death.how == signal.SIGKILL.name:
                raise StoppedError(
                    f"reading {rows} was killed again and again; is memory short? Fewer "
                    "filter.actors need less; run again to resume"
                )
            raise InputError(
                f"reading {rows} takes its process down ({death.how}); check the file, or leave it "
                "out of the pool"
            )
        alone = [rehearse(row, row + 1) for _ in range(TRIES_ALONE)]
        if all(alone):
            poison[row] = f"took its process down {1 + TRIES_ALONE} times: {death.how}"
            logger.warning("row %d of %s %s", row, rows, poison[row])
            first = row + 1
            continue
        strays += 1
        if strays > MOST_STRAYS:
            raise StoppedError(
                f"{rows} took a process down {strays} times ({death.how}), and no image does so "
                "alone; is memory short? Fewer filter.actors or a smaller filter.micro_batch need "
                "less; run again to resume"
            )
        first = row
    return poison


def _rehearse(recipe: bytes, most: float, first: int, stop: int | None) -> Death | None:
    """Rows [first, stop) in a new child; how it died, if it did."""
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", "rayqc.distributed.isolate", str(theirs), str(first)]
    command += [] if stop is None else [str(stop)]
    path = os.pathsep.join(filter(None, sys.path))  # a job's working directory is on it
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, pass_fds=(theirs,), env={**os.environ, "PYTHONPATH": path}
    )
    os.close(theirs)
    with child, closing(open(ours, "rb", buffering=0)) as said:
        try:
            return _follow(child, recipe, said, most)
        finally:
            child.kill()


def _follow(
    child: subprocess.Popen[bytes], recipe: bytes, said: BinaryIO, most: float
) -> Death | None:
    stdin = cast("BinaryIO", child.stdin)
    with suppress(BrokenPipeError):  # it died at once; `wait` says how
        stdin.write(recipe)
        stdin.close()
    row, line, limit = MAKING, b"", SECONDS_TO_START
    heard = time.monotonic()
    while True:
        if not select.select([said], [], [], max(0.0, heard + limit - time.monotonic()))[0]:
            child.kill()
            child.wait()
            return Death(row=row, how=f"no end after {limit:.0f} s")
        found = said.read(1 << 16)
        if not found:
            break
        *lines, line = (line + found).split(b"\n")
        if lines and lines[-1] == b"end":
            return None
        row = int(lines[-1]) if lines else row
        heard, limit = time.monotonic(), min(most, SECONDS_TO_START if row < 0 else SECONDS_A_ROW)
    code = child.wait()
    if -code in ASKED_TO_STOP:
        raise StoppedError(f"stopped by {signal.Signals(-code).name}; run again to resume")
    return Death(row=row, how=signal.Signals(-code).name if code < 0 else f"exit code {code}")


def _child(descriptor: int, first: int, stop: int | None) -> None:
    with open(descriptor, "wb", buffering=0) as out:
        make_worker, unit = pickle.load(sys.stdin.buffer)  # from the parent's own hands
        faulthandler.dump_traceback_later(2 * SECONDS_TO_START, exit=True)  # should the parent die
        with suppress(Exception):  # what only raises is for the unit's next attempt to say
            worker = make_worker()
            out.write(b"%d\n" % READING)
            total, attempt = worker.rehearsal(unit)
            for row in range(first, total if stop is None else stop):
                faulthandler.dump_traceback_later(2 * SECONDS_A_ROW, exit=True)
                out.write(b"%d\n" % row)
                with suppress(Exception):
                    attempt(row)
        out.write(b"end\n")


if __name__ == "__main__":
    _child(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
