"""A command interrupted or killed half-way, as a real process; and the next, which goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import rayqc
from rayqc.ledger.clean import orphans
from rayqc.storage import Folder
from tests.cli.test_interrupt import PYTHON
from tests.conftest import TINY
from tests.distributed.test_faults import check_ledger, outcome

BUNDLED = Path(rayqc.__file__).parent / "data" / "mnist5k-train.parquet"
COUNT = 2000
MOST_SECONDS = 300


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    """A fitted run whose filter has many small units."""
    place = shutil.copytree(tiny_run, tmp_path_factory.mktemp("killed") / "run")
    text = (place / "config.yaml").read_text()
    text = text.replace("unit_rows: 70", "unit_rows: 20").replace("actors: 1", "actors: 2")
    (place / "config.yaml").write_text(text)
    return place


@pytest.fixture(scope="module")
def undisturbed(run):
    out = run.parent / "undisturbed"
    rayqc.filter_pool(str(run), str(BUNDLED), str(out), limit=COUNT)
    return outcome(out)


def start(run, out, **variables) -> subprocess.Popen[str]:
    words = ["filter", str(run), "--pool", str(BUNDLED), "--out", str(out)]
    return subprocess.Popen(
        [*PYTHON, "-m", "rayqc", *words, "--limit", str(COUNT), "--num-cpus", "2"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
        start_new_session=True,
    )


def finish(process) -> tuple[int, str]:
    try:
        _, said = process.communicate(timeout=MOST_SECONDS)
    finally:
        process.kill()
    return process.returncode, said


def goes_on(run, out, undisturbed):
    """The next command ends what the first left, and does nothing twice."""
    kept = {path: path.stat().st_mtime_ns for path in (out / "commits").glob("*")}
    rayqc.filter_pool(str(run), str(BUNDLED), str(out), limit=COUNT)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    check_ledger(out, COUNT)
    assert outcome(out) == undisturbed


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)],
)
def test_units_in_progress_commit_and_the_rest_is_left(run, undisturbed, tmp_path, number, code):
    out = tmp_path / "out"
    process = start(run, out)
    limit = time.monotonic() + MOST_SECONDS
    while len(list((out / "commits").glob("*"))) < 5:
        assert time.monotonic() < limit, "no unit was committed"
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: to all that runs under it
    else:
        process.send_signal(number)
    found, said = finish(process)
    assert found == code, said
    assert "what is committed stays. Resume with: " in said
    assert "Traceback" not in said
    committed = len(list((out / "commits").glob("*")))
    assert 5 <= committed < COUNT // 20, said
    assert not (out / "manifest.json").exists()
    assert orphans(Folder(str(out))) == []  # nothing was cut off between its parts and its commit
    goes_on(run, out, undisturbed)


POINTS = [
    f"kill {moment} {point}"
    for moment in ("before", "after")
    for point in (
        "write _plan 1",
        "create ledger.json 1",
        "write manifest.json 1",
        "delete accepted/unit-* 3",
        "write _SUCCESS 1",
        "write acceptance.png 1",
    )
]
ALWAYS = ("kill after write manifest.json 1",)


@pytest.mark.parametrize(
    "point",
    [pytest.param(one, marks=() if one in ALWAYS else pytest.mark.long) for one in POINTS],
)
def test_a_driver_killed_at_any_write(run, undisturbed, tmp_path, point):
    out = tmp_path / "out"
    code, said = finish(start(run, out, RAYQC_FAILPOINT=point))
    assert code == -signal.SIGKILL, said
    goes_on(run, out, undisturbed)


STAGES = [
    f"kill {moment} write {name} 1"
    for moment in ("before", "after")
    for name in ("config.yaml", "stages/train.json", "references.parquet", "stages/fit.json")
] + ["kill after write classify.json 1", "kill before write result.json 1"]


@pytest.mark.long
@pytest.mark.parametrize("point", STAGES)
def test_a_whole_run_killed_between_its_stages(tiny_run, tmp_path, point):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(TINY))
    words = ["run", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "rayqc", *words, "--num-cpus", "2"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAYQC_FAILPOINT": point},
        start_new_session=True,
    )
    code, said = finish(process)
    assert code == -signal.SIGKILL, said
    found = rayqc.run(rayqc.load_config(str(tmp_path / "config.yaml")), str(tmp_path / "run"))
    assert outcome(tmp_path / "run" / "filtered") == outcome(tiny_run / "filtered")
    assert found["classify"]["arms"]["accepted"]["seeds"] == 2
