"""RAYQC_LOG=json: every line of a command and of its workers is an object with what it is about."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys


def command(words, variables):
    return subprocess.run(
        [sys.executable, "-m", "rayqc", *words],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **variables},
    )


def test_a_filter_says_its_run_stage_units_and_nodes(tiny_run, tmp_path, short_folder):
    out = str(tmp_path / "out")
    words = ["filter", str(tiny_run), "--pool", str(tiny_run / "pool"), "--out", out]
    variables = {"RAYQC_LOG": "json", "RAY_TMPDIR": str(short_folder)}
    done = command([*words, "--num-cpus", "2"], variables)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["run"] for line in lines} == {out}
    last = [line for line in lines if line.get("stage") == "filter"][-1]
    assert (last["done"], last["total"], last["of"], last["levelname"]) == (
        300,
        300,
        "images",
        "INFO",
    )
    units = [
        line
        for path in short_folder.glob("ray/session_2*/logs/worker-*.err")
        for line in map(json.loads, re.findall('.*"unit".*', path.read_text()))
    ]
    assert sorted(line["unit"] for line in units) == list(range(len(units)))
    assert sum(sum(line["outcomes"].values()) for line in units) == 300
    for line in units:
        assert (line["run"], line["stage"]) == (out, "filter")
        assert line["node_id"] and line["actor_id"] and line["seconds"] > 0


def test_errors_are_lines_too_and_another_kind_is_refused(tmp_path):
    done = command(["status", str(tmp_path / "none")], {"RAYQC_LOG": "json"})
    assert done.returncode == 2
    (line,) = map(json.loads, done.stderr.splitlines())
    assert line["levelname"] == "ERROR" and line["run"] == str(tmp_path / "none")
    done = command(["status", str(tmp_path)], {"RAYQC_LOG": "yaml"})
    assert done.returncode == 2
    assert done.stderr == "rayqc: RAYQC_LOG is 'yaml'; expected text or json\n"
