"""Who is at what, who died of it, and what is found in a child process. No Ray session needed."""

from __future__ import annotations

import functools
import os
import signal
import time

import pytest

from rayqc.distributed.isolate import find_poison
from rayqc.distributed.register import DO, GIVE_UP, ISOLATE, LEAVE, Register
from rayqc.errors import InputError, StoppedError
from rayqc.units import Unit

UNIT = Unit(entry=0, path="pool.parquet", start=10, stop=16, fingerprint="")


def test_a_job_that_takes_its_worker_down_is_isolated_and_at_last_given_up():
    register = Register(lambda: {"a", "b"})
    orders = [register.begin(7, "a" if turn % 2 else "b", turn) for turn in range(8)]
    assert orders == [DO, DO, ISOLATE, ISOLATE, ISOLATE, ISOLATE, GIVE_UP, GIVE_UP]
    assert register.begin(8, "a", 1) == DO


def test_a_lost_node_says_nothing_of_its_jobs():
    living = {"a", "b"}
    register = Register(lambda: living)
    for turn in range(20):
        living = {"a", f"b{turn}"}
        assert register.begin(7, f"b{turn}", turn) == DO
        living = {"a"}
        assert register.running() == []


def test_an_actor_that_starts_again_is_at_nothing():
    register = Register(lambda: {"a"})
    for turn in range(2):
        register.enrol("actor", object())
        assert register.begin(7, "a", turn, "actor") == DO
        register.begin(8, "a", 99)
    register.enrol("actor", object())
    assert [attempt.job for attempt in register.running()] == [8]
    assert register.begin(7, "a", 3, "actor") == ISOLATE


def test_jobs_that_end_are_no_deaths_and_nothing_begins_after_the_stop():
    register = Register(lambda: {"a"})
    for turn in range(5):
        assert register.begin(7, "a", turn) == DO
        register.end(7, {"accepted": turn})
    assert register.ended() == [(7, {"accepted": turn}) for turn in range(5)]
    register.begin(9, "a", 1)
    register.stop()
    assert register.begin(8, "a", 1) == LEAVE
    assert [attempt.job for attempt in register.running()] == [9]


class Worker:
    """Dies, hangs or fails at the rows it is told."""

    def __init__(self, faults, marks=None, making=None):
        if making:
            os.kill(os.getpid(), making)
        self.faults, self.marks = faults, marks

    def rehearsal(self, unit):
        if "reading" in self.faults:
            os.kill(os.getpid(), self.faults["reading"])
        return unit.stop - unit.start, self.attempt

    def attempt(self, row):
        fault = self.faults.get(row)
        if fault == "hang":
            time.sleep(1000)
        elif fault == "raise":
            raise ValueError("to be raised again by the unit itself")
        elif fault == "once":
            try:
                (self.marks / str(row)).touch(exist_ok=False)
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "exit":
            os._exit(3)
        elif fault:
            os.kill(os.getpid(), fault)


def look(faults, seconds=30.0, **options):
    return find_poison(functools.partial(Worker, faults, **options), UNIT, seconds)


def test_all_that_kills_is_found_and_nothing_else(tmp_path):
    faults = {0: signal.SIGSEGV, 1: "raise", 2: "once", 3: "exit", 5: signal.SIGKILL}
    assert look(faults, marks=tmp_path) == {
        0: "took its process down 3 times: SIGSEGV",
        3: "took its process down 3 times: exit code 3",
        5: "took its process down 3 times: SIGKILL",
    }


def test_a_row_that_hangs_is_found():
    assert look({4: "hang"}, seconds=5.0) == {4: "took its process down 3 times: no end after 5 s"}


def test_a_file_that_kills_its_reader_is_named():
    with pytest.raises(InputError, match=r"reading rows 10 to 16 of pool\.parquet.*\(SIGBUS\)"):
        look({"reading": signal.SIGBUS})


def test_who_is_asked_to_stop_or_cannot_start_finds_no_poison():
    with pytest.raises(StoppedError, match="stopped by SIGTERM; run again to resume"):
        look({1: signal.SIGTERM})
    with pytest.raises(StoppedError, match=r"could not start \(SIGKILL\)"):
        look({}, making=signal.SIGKILL)
