"""Ctrl-C and SIGTERM while training: exit codes, a line how to resume, and resuming."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STEPS = 300
CONFIG = f"""
references: {{kind: bundled, per_class: 5}}
encoder: {{width: 0.125, steps: {STEPS}, checkpoint_every: 50, allow_collapse: true}}
"""
MOST_SECONDS = 300
PYTHON = ("env", "--default-signal=INT", sys.executable)
"""A shell that runs these tests in the background lets them, and all below, ignore Ctrl-C."""


def train(folder: Path) -> subprocess.Popen[str]:
    (folder / "config.yaml").write_text(CONFIG)
    command = [
        "train",
        str(folder / "config.yaml"),
        "--out",
        str(folder / "run"),
        "--num-cpus",
        "1",
    ]
    return subprocess.Popen([*PYTHON, "-m", "rayqc", *command], stderr=subprocess.PIPE, text=True)


def wait_for_a_checkpoint(folder: Path) -> None:
    limit = time.monotonic() + MOST_SECONDS
    # Ray Train registers a checkpoint there a moment after its files are written.
    snapshot = folder / "run" / "model" / "checkpoints" / "checkpoint_manager_snapshot.json"
    while not snapshot.exists() or "checkpoint_20" not in snapshot.read_text():
        assert time.monotonic() < limit, "no checkpoint appeared"
        time.sleep(0.1)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was said; kills what does not end."""
    try:
        _, said = process.communicate(timeout=MOST_SECONDS)
    finally:
        process.kill()
    return process.returncode, said


@pytest.mark.long
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_says_how_to_resume_and_does(tmp_path, number, expected):
    stopped = train(tmp_path)
    try:
        wait_for_a_checkpoint(tmp_path)
        stopped.send_signal(number)
    finally:
        code, said = finish(stopped)
    assert code == expected, said
    assert "what is committed stays. Resume with: " in said
    assert f"train {tmp_path}/config.yaml --out {tmp_path}/run" in said
    assert "Traceback" not in said
    if number == signal.SIGTERM:
        return  # resuming is the same
    code, said = finish(train(tmp_path))
    assert code == 0, said
    record = json.loads((tmp_path / "run" / "model" / "model.json").read_text())["record"]
    assert [one["step"] for one in record["history"]] == list(range(10, STEPS + 1, 10))
    first, second = record["starts"]
    assert first == 0
    assert 0 < second < STEPS
    assert second % 50 == 0
