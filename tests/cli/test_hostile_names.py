"""Names from strangers' files: shown as what they are, and never made into a path or a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from rayqc.images.encode import encode_png
from rayqc.printable import printable
from tests.distributed.test_end_to_end import pool_file, rows

NAMES = (
    "../../../escaped",
    "<script>alert(1)</script>",
    "$\\frac{$",
    "[red]not markup[/red]",
    "\x1b[31mred\x1b[0m",
    "line\nerror: forged",
    "\u202ecod.exe",
    "ü \U0001f600",
)


def test_what_does_not_print_is_escaped():
    assert printable("\x1b[31m a\nb\tü\u202e") == "\\x1b[31m a\\nb\\tü\\u202e"
    assert printable("a\nb", keep="\n") == "a\nb"
    assert printable("\udcff") == "\\udcff"


@pytest.mark.long
def test_a_run_over_classes_of_such_names(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = [], []
    for label in range(len(NAMES)):
        for _ in range(4):
            pixels = rng.integers(0, 60, (12, 12, 1), dtype=np.uint8) + 24 * label
            images.append(encode_png(pixels.astype(np.uint8)))
            labels.append(label)
    pool_file(tmp_path / "refs.parquet", images, labels, NAMES)
    config = {
        "references": {"path": str(tmp_path / "refs.parquet")},
        "pool": [{"kind": "augment", "policy": "mild", "per_reference": 2}],
        "encoder": {
            "width": 0.02,
            "steps": 12,
            "batch_size": 8,
            "latent_dim": 8,
            "allow_collapse": True,
        },
        "regions": {"kind": "sphere"},
        "classify": {"arms": []},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    words = ["run", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "work" / "run")]
    found = subprocess.run(
        [sys.executable, "-m", "rayqc", *words, "--num-cpus", "2"],
        capture_output=True,
        text=True,
        env={**os.environ, "FORCE_COLOR": "", "NO_COLOR": "1"},
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    said = found.stdout + found.stderr
    assert "\x1b" not in said and "\u202e" not in said
    assert "[red]not markup[/red]" in found.stdout
    assert "\\x1b[31mred" in found.stdout
    assert not [line for line in said.splitlines() if line.startswith("error: forged")]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.yaml",
        "refs.parquet",
        "work",
    ]
    run = tmp_path / "work" / "run"
    assert {row["label"] for row in rows(run / "filtered", "scores")} == set(range(len(NAMES)))
    schema = pq.read_schema(run / "filtered" / "accepted" / "train-00000-of-00001.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["label"]["names"] == list(NAMES)
    assert not [path for path in run.rglob("*") if "escaped" in path.name or "<" in path.name]
