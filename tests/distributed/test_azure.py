"""A whole run on Azure's store is that on a disk."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml

from rayqc.ledger.manifest import load_totals
from rayqc.storage import Folder
from tests.azure import azurite
from tests.conftest import TINY
from tests.faults.test_object_store import accepted


@pytest.fixture(scope="module")
def azure():
    with azurite() as server:
        yield server


def rayqc(words, environment):
    done = subprocess.run(
        [sys.executable, "-m", "rayqc", *words, "--num-cpus", "2"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.long
def test_a_whole_run_and_its_pool_on_azure(azure, tmp_path, monkeypatch):
    environment = {**os.environ, **azure.environment()}
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY))
    rayqc(["run", str(config), "--out", str(tmp_path / "run")], environment)
    url = azure.new_container()
    rayqc(["run", str(config), "--out", f"{url}/run"], environment)
    again = rayqc(["run", str(config), "--out", f"{url}/run"], environment)
    assert again.count("done before") == 5
    for name, value in azure.environment().items():
        monkeypatch.setenv(name, value)
    run = Folder(f"{url}/run")
    assert accepted(run) == accepted(Folder(str(tmp_path / "run")))

    judged = ["filter", f"{url}/run", "--pool", f"{url}/run/pool", "--out", f"{url}/judged"]
    rayqc(judged, environment)
    assert "300 images done before" in rayqc(judged, environment)  # the pool is known again
    totals = load_totals(Folder(f"{url}/judged"))
    assert totals.read == 300 == sum(totals.outcomes.values())
