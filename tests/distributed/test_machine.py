"""Machines as they are lent: few CPUs of many, long temporary folders, users without a name."""

import os
import shutil
import subprocess
import sys

import pytest

from rayqc.distributed.machine import (
    BELOW_FOLDER,
    MOST_SOCKET_BYTES,
    ray_folder,
    say_if_shared_memory_is_small,
)

ALLOWED = "from rayqc.distributed.machine import cpus_allowed; print(cpus_allowed())"
DOCTOR = (sys.executable, "-m", "rayqc", "doctor")


def run(*command, **environment):
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_only_allowed_cpus_count():
    if shutil.which("taskset") is None:
        pytest.skip("taskset is absent")
    found = run("taskset", "-c", "0", sys.executable, "-c", ALLOWED)
    assert found.stdout == "1\n", found.stderr


def test_a_folder_too_long_for_sockets_is_not_ray_s(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    room = MOST_SOCKET_BYTES - BELOW_FOLDER - len("/ray")
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/" + "x" * (room - 1))
    assert ray_folder() is None
    monkeypatch.setenv("TMPDIR", "/" + "x" * room)
    assert ray_folder() == "/tmp/ray"
    assert "too long for Ray's sockets: Ray's files are in /tmp/ray" in caplog.text


@pytest.mark.long
@pytest.mark.ci
def test_ray_starts_below_a_long_folder(tmp_path):
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    found = run("env", "-u", "RAY_TMPDIR", *DOCTOR, TMPDIR=str(folder))
    assert found.returncode == 0, found.stderr
    assert "too long for Ray's sockets" in found.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "home", ["readonly", pytest.param("readonly/absent", marks=pytest.mark.ci)]
)
def test_a_user_without_name_and_home(tmp_path, home):
    unshare = ("unshare", "--user", "--map-user=12345", "--map-group=12345", "--")
    if shutil.which("unshare") is None or run(*unshare, "true").returncode:
        pytest.skip("unshare is absent or not allowed")
    (tmp_path / "readonly").mkdir(mode=0o555)
    unnamed = ("env", "-u", "USER", "-u", "LOGNAME", "-u", "USERNAME", "-u", "LNAME")
    found = run(*unshare, *unnamed, *DOCTOR, HOME=str(tmp_path / home))
    assert found.returncode == 0, found.stderr
    assert "Ray's token is in" in found.stderr
    assert "Traceback" not in found.stderr


IN_A_NOTEBOOK = """
import asyncio

async def cell():
    import ray
    from rayqc.distributed.session import session
    from rayqc.distributed.tasks import run_tasks
    with session("local", 1):
        print(run_tasks(abs, [(-3,)]), ray.cluster_resources()["CPU"])

asyncio.run(cell())
"""


def test_a_cell_of_a_notebook_starts_its_own_ray():
    """An event loop runs, `__main__` is no file, and RAY_ADDRESS names another cluster."""
    env = {**os.environ, "RAY_ADDRESS": "192.0.2.1:6379"}
    done = subprocess.run(
        [sys.executable, "-"], input=IN_A_NOTEBOOK, env=env, capture_output=True, text=True
    )
    assert done.stdout.split("\n")[0] == "[3] 1.0", done.stderr


def test_a_small_shared_memory_is_said(caplog):
    caplog.set_level("INFO", "rayqc")
    say_if_shared_memory_is_small(0)
    assert not caplog.records
    say_if_shared_memory_is_small(1e18)
    assert "Ray's objects are in" in caplog.text
