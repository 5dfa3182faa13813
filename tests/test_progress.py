"""The time that a stage says is left."""

import subprocess
import sys

import pytest

import rayqc.progress
from rayqc.progress import FEW, Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""
    now = [1000.0]
    monkeypatch.setattr(rayqc.progress.time, "monotonic", lambda: now[0])

    def move(seconds: float) -> float:
        now[0] += seconds
        return now[0]

    return move


def test_few_long_units_are_measured_from_the_start(clock):
    """Two trainings at once, each of 160 s: the second ends a second after the first."""
    stage = Progress().stage("classify", 25, "trainings")
    clock(160)
    stage.advance(1)
    now = clock(1)
    stage.advance(1)
    assert stage.rate(now) == pytest.approx(2 / 161)
    assert stage.describe(now) == "2/25 trainings, 80 s each, 31 min left"


def test_many_short_units_leave_out_the_start_of_workers(clock):
    stage = Progress().stage("filter", 10_000)
    clock(20)
    stage.advance(100)
    now = clock(10)
    stage.advance(5 * FEW)
    assert stage.rate(now) == pytest.approx(5 * FEW / 10)


def test_what_was_done_before_is_no_part_of_the_rate(clock):
    stage = Progress().stage("classify", 25, "trainings")
    stage.skip(20)
    clock(50)
    stage.advance(1)
    assert stage.rate(clock(0.2)) is None
    now = clock(49.8)
    stage.advance(1)
    assert stage.rate(now) == pytest.approx(2 / 100)


def test_what_was_judged_so_far_is_said(clock):
    stage = Progress().stage("filter", 1_000)
    stage.outcomes.update({"accepted": 190, "rejected": 9, "error": 1})
    clock(10)
    stage.advance(200)
    now = clock(10)
    stage.outcomes.update({"accepted": 90, "rejected": 110})
    stage.advance(200)
    said = "400/1,000 images, 20.0 images/s, 30 s left; 70% accepted, 1 error"
    assert stage.describe(now) == said
    making = Progress().stage("generate", 10)
    making.outcomes.update({"pool": 5})
    making.advance(5)
    assert making.describe(clock(0)) == "5/10 images"


@pytest.mark.parametrize(
    ("unit", "done", "said"),
    [
        ("shards", 1, "1 shard"),
        ("classes", 1, "1 class"),
        ("test images", 1, "1 test image"),
        ("classes", 1_200, "1,200 classes"),
        ("images", 0, "0 images"),
    ],
)
def test_one_is_one(unit, done, said, clock):
    stage = Progress().stage("any", 2_000, unit)
    stage.advance(done)
    assert stage.counted() == said


def test_the_python_interface_is_not_silent():
    """Lines of progress are shown unless the program has set up logging, or asked for quiet."""
    code = (
        "import logging\n{}\nimport rayqc; rayqc.init; logging.getLogger('rayqc.x').info('moved')"
    )
    quiet = "logging.getLogger('rayqc').setLevel('ERROR')"
    shown = []
    for first in ("", quiet, "logging.basicConfig(format='own %(message)s', level='INFO')"):
        command = [sys.executable, "-c", code.format(first)]
        shown.append(subprocess.run(command, capture_output=True, text=True, check=True).stderr)
    assert shown == ["moved\n", "", "own moved\n"]
