"""Canaries: keys in the environment, looked for in all that a command writes and says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import rayqc
from rayqc.storage import Folder
from tests.distributed.test_end_to_end import accepted_ids
from tests.faults.s3 import faulty_s3, seeded

CANARIES = {
    "AWS_SECRET_ACCESS_KEY": "canary-secret-key",
    "AWS_ACCESS_KEY_ID": "canary-key-id",
    "AWS_SESSION_TOKEN": "canary-session",
    "RAY_AUTH_TOKEN": "canary-ray-token-0123456789abcdef",
    "HF_TOKEN": "canary-hub",
}


def command(words, variables):
    return subprocess.run(
        [sys.executable, "-m", "rayqc", *words, "--num-cpus", "2", "-v"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **variables},
    )


@pytest.mark.long
def test_keys_stay_in_the_environment(tiny_run, tmp_path, short_folder, monkeypatch):
    with faulty_s3() as proxy:
        proxy.plan = seeded(0, 0.05)
        variables = {**proxy.environment(), **CANARIES, "RAY_TMPDIR": str(short_folder)}
        bucket = proxy.new_bucket()
        words = ["filter", str(tiny_run), "--pool", str(tiny_run / "pool"), "--out", f"{bucket}/o"]
        found = command(words, variables)
        assert found.returncode == 0, found.stderr
        assert proxy.faults, "no request met a fault"
        said = found.stdout + found.stderr
        for name in ("nowhere/o", f"{bucket.removeprefix('s3://')}/o?X-Amz-Signature=canary-query"):
            wrong = command([*words[:-1], f"s3://{name}"], variables)
            assert wrong.returncode == 2, wrong.stderr
            said += wrong.stdout + wrong.stderr
        proxy.plan = lambda method, path: None
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        out = Folder(f"{bucket}/o")
        objects = {name: out.read(name) for name in out.names()}
        for name, data in objects.items():
            tmp_path.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            tmp_path.joinpath(name).write_bytes(data)
    assert accepted_ids(tmp_path) == accepted_ids(tiny_run / "filtered")
    assert "canary" not in said
    assert not [name for name in objects if "canary" in name]
    assert not [name for name, data in objects.items() if b"canary" in data]
    logs = [path for path in short_folder.rglob("*") if path.is_file()]
    assert logs, "Ray wrote no logs"
    assert not [path for path in logs if b"canary" in path.read_bytes()]


def test_a_url_with_keys_is_refused_and_not_repeated(capfd):
    from rayqc.cli.main import main

    for url in ("s3://canary-id:canary-key@bucket/x", "s3://bucket/x?key=canary"):
        assert main(["check", url]) == 2
    said = "".join(capfd.readouterr())
    assert "credentials belong in the environment" in said
    assert "canary" not in said


def test_settings_hold_no_keys(monkeypatch):
    from rayqc.config import dump_config

    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    assert "canary" not in dump_config(rayqc.make_config({"references": {"kind": "bundled"}}))
