"""`rayqc submit`: a real head node with a token, its jobs, their lines and exit codes."""

from __future__ import annotations

import importlib.util
import io
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import rayqc
from rayqc.cli.main import main
from rayqc.distributed.submit import submit_run
from rayqc.errors import ConfigError, JobFailedError, UserError
from tests.conftest import free_port, tiny

SECONDS = 300


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "my.yaml"
    path.write_text(yaml.safe_dump(tiny(classify={"arms": []})))
    return str(path)


def test_no_cluster_there_is_one_line(settings, capsys):
    address = f"http://127.0.0.1:{free_port()}"
    assert main(["submit", settings, "--out", "x", "--address", address]) == 2
    error = capsys.readouterr().err
    assert f"no Ray dashboard answers at {address}" in error
    assert "Traceback" not in error


def test_wrong_settings_are_not_submitted(tmp_path, settings):
    with pytest.raises(ConfigError, match="did you mean"):
        rayqc.submit(settings, "x", arguments=["--set", "encoder.stepz=3"])
    with pytest.raises(ConfigError, match="cannot read"):
        rayqc.submit(str(tmp_path / "none.yaml"), "x")


def test_what_jobs_need_is_named(settings, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "rayqc.distributed.submit.importlib.util.find_spec",
        lambda name: None if name == "aiohttp" else real(name),
    )
    with pytest.raises(UserError, match=r"pip install 'rayqc\[cluster\]'"):
        rayqc.submit(settings, "x")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard's address of a head node of two CPUs that asks for a token."""
    port, dashboard = free_port(), free_port()
    place = tmp_path_factory.mktemp("ray")
    before = dict(os.environ)
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    command = [
        *(str(Path(sys.executable).parent / "ray"), "start", "--head", "--block"),
        *("--num-cpus", "2", "--port", str(port), "--node-ip-address", "127.0.0.1"),
        *("--dashboard-host", "127.0.0.1", "--dashboard-port", str(dashboard)),
        *("--disable-usage-stats", "--temp-dir", f"/tmp/rayqc-{os.getpid()}"),
    ]
    with (place / "log").open("w") as log:
        started = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    address, end = ("127.0.0.1", dashboard), time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(address, 1).close()
            break
        except OSError:
            time.sleep(0.5)
    yield f"http://127.0.0.1:{dashboard}"
    started.terminate()
    started.wait(60)
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.long
def test_a_job_its_lines_its_failure_its_stop_and_its_end(head, settings, tmp_path):
    from ray.job_submission import JobSubmissionClient

    text, out = Path(settings).read_text(), str(tmp_path / "run")
    asked = {
        "address": head,
        "variables": [],
        "packages": [],
        "working_dir": None,
        "follow": True,
    }

    # A job that fails: the exit code is its own.
    missing = ["--set", f"references.path={tmp_path}/none", "--set", "references.kind=parquet"]
    lines = io.StringIO()
    with pytest.raises(JobFailedError, match="ended as FAILED") as failed:
        submit_run(text, out, arguments=missing, lines=lines, **asked)
    assert failed.value.exit_code == 2
    assert "no Parquet files at" in lines.getvalue()

    # A job that is stopped while it filters commits what is in progress.
    client = JobSubmissionClient(head)
    slow = ["--set", "pool.0.per_reference=200"]
    submitted = submit_run(text, out, arguments=slow, **{**asked, "follow": False})
    assert submitted["status"] == "PENDING"
    commits = tmp_path / "run" / "filtered" / "commits"
    end = time.monotonic() + SECONDS
    while not list(commits.glob("*.json")) and time.monotonic() < end:
        time.sleep(0.2)
    client.stop_job(submitted["job"])
    while client.get_job_status(submitted["job"]) not in ("STOPPED", "FAILED", "SUCCEEDED"):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert client.get_job_status(submitted["job"]) == "STOPPED"
    assert "what is committed stays" in client.get_job_logs(submitted["job"])
    assert not (tmp_path / "run" / "filtered" / "_SUCCESS").exists()

    # Submitted again it goes on from there.
    lines = io.StringIO()
    result = submit_run(text, out, arguments=slow, lines=lines, **asked)
    assert (result["status"], result["exit_code"]) == ("SUCCEEDED", 0)
    assert "train: done before, nothing to do" in lines.getvalue()
    assert "done before, going on" in lines.getvalue()
    assert (tmp_path / "run" / "filtered" / "_SUCCESS").exists()
    assert rayqc.status(out)["ledgers"]["filtered"]["whole"]
