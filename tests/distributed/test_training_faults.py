"""A training whose worker dies, on a real local Ray."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

import rayqc
from rayqc.errors import ArtefactError, StoppedError
from tests.conftest import tiny

STEPS = 400
ENCODER = {"width": 0.05, "steps": STEPS, "checkpoint_every": 20, "allow_collapse": True}


def checkpoints(run: Path, place: str = "model") -> list[Path]:
    """Those that Ray Train has registered, oldest first."""
    snapshot = run / place / "checkpoints" / "checkpoint_manager_snapshot.json"
    text = snapshot.read_text() if snapshot.exists() else ""
    found = (run / place / "checkpoints").glob("checkpoint_*/")
    return sorted(path for path in found if path.is_dir() and path.name in text)


def training_workers() -> list[int]:
    """Processes in which Ray Train's workers run, told by the title that Ray gives them."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = place.read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::") and b"TrainWorker" in title:
            found.append(int(place.parent.name))
    return found


@pytest.mark.long
def test_training_goes_on_from_the_last_checkpoint(ray_session, tmp_path):
    killed: list[int] = []

    def kill_twice() -> None:
        for wanted in (1, 2):
            while not checkpoints(tmp_path) or len(killed) < wanted - 1:
                time.sleep(0.02)
            before = set(checkpoints(tmp_path))
            while killed and not set(checkpoints(tmp_path)) - before:
                time.sleep(0.02)  # it has got on since the first death
            for pid in training_workers():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    threading.Thread(target=kill_twice, daemon=True).start()
    config = rayqc.make_config(tiny(encoder=ENCODER))
    record = rayqc.train(config, str(tmp_path))
    assert len(killed) == 2
    assert record["starts"][0] == 0
    assert record["starts"] == sorted(set(record["starts"]))
    assert len(record["starts"]) == 3
    assert all(step % 20 == 0 for step in record["starts"])
    history = json.loads((tmp_path / "model" / "model.json").read_text())["record"]["history"]
    assert [one["step"] for one in history] == list(range(10, STEPS + 1, 10))


@pytest.mark.long
def test_a_gan_goes_on_to_the_very_weights(ray_session, tmp_path):
    gan = {"kind": "gan", "steps": 80, "checkpoint_every": 10, "per_class": 1, "width": 4}
    config = rayqc.make_config(tiny(pool=[gan]))
    rayqc.train(config, str(tmp_path / "plain"))
    shutil.copytree(tmp_path / "plain", tmp_path / "killed")
    rayqc.generate(str(tmp_path / "plain"))
    killed: list[int] = []

    def kill_once() -> None:
        while len(checkpoints(tmp_path / "killed", "generators/gan")) < 2:
            time.sleep(0.02)
        for pid in training_workers():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    threading.Thread(target=kill_once, daemon=True).start()
    rayqc.generate(str(tmp_path / "killed"))
    assert killed
    facts = [
        json.loads((tmp_path / name / "generators" / "gan" / "generator.json").read_text())
        for name in ("plain", "killed")
    ]
    assert facts[0]["digest"] == facts[1]["digest"]
    assert facts[0]["record"] == facts[1]["record"]
    assert len(facts[0]["record"]["qualities"]) == 8


@pytest.mark.long
def test_two_workers_train_a_gan(ray_session, tmp_path):
    gan = {"kind": "gan", "steps": 12, "checkpoint_every": 6, "per_class": 1, "width": 4}
    config = rayqc.make_config(tiny(pool=[gan], resources={"train_workers": 2}))
    rayqc.train(config, str(tmp_path))
    rayqc.generate(str(tmp_path))
    record = json.loads((tmp_path / "generators" / "gan" / "generator.json").read_text())["record"]
    assert record["workers"] == 2
    assert [found["step"] for found in record["qualities"]] == [6, 12]


@pytest.mark.long
def test_a_damaged_checkpoint_is_refused_by_name(ray_session, tmp_path):
    stop = threading.Event()

    def damage() -> None:
        while not checkpoints(tmp_path):
            time.sleep(0.02)
        while not stop.is_set():
            for place in (tmp_path / "model" / "checkpoints").glob("*/weights.safetensors"):
                place.write_bytes(place.read_bytes()[:-7])
            for pid in training_workers():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)

    thread = threading.Thread(target=damage, daemon=True)
    thread.start()
    config = rayqc.make_config(tiny(encoder={**ENCODER, "max_failures": 0}))
    with pytest.raises(StoppedError, match="Ray stopped the work: A worker health check failed"):
        rayqc.train(config, str(tmp_path))
    stop.set()
    thread.join()
    with pytest.raises(ArtefactError, match="damaged or swapped: digest"):
        rayqc.train(config, str(tmp_path))
