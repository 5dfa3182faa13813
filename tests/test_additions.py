"""A new kind is one file and one line: CONTRIBUTING's examples, added to a copy of the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import rayqc
from rayqc.images.decode import Limits, decode_native

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```python\n# (rayqc/[\w/]+\.py)(?:, in ([A-Z]+))?\n(.*?)```", re.DOTALL)

SETTINGS = {
    "references": {"kind": "bundled", "per_class": 6},
    "pool": [{"path": "pool/digits.npz", "name": "arrays"}],
    "encoder": {"kind": "thumbnail"},
    "regions": {"views": ["edges", "coarse"], "folds": 3, "measure_images": 50},
    "filter": {"actors": 1},
    "classify": {"kind": "probe", "arms": ["real"], "seeds": 2},
    "farthest": {"count": 3},
}


def rayqc_in(folder: Path, *argv: str) -> str:
    """What a command of the copied package prints."""
    done = subprocess.run(
        [sys.executable, *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """A folder with the package, the examples in it, a pool, settings, and a run made with them."""
    folder = tmp_path_factory.mktemp("added")
    shutil.copytree(Path(rayqc.__file__).parent, folder / "rayqc")
    blocks = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    files = {path: text for path, table, text in blocks if not table}
    lines = {table: text for _, table, text in blocks if table}
    assert len(files) == len(lines) == 5
    for path, text in files.items():
        assert not (folder / path).exists()
        (folder / path).write_text(text)
    register = folder / "rayqc" / "kinds.py"
    text = register.read_text()
    for table, line in lines.items():
        assert line.count("\n") == 1, f"{table}: one line"
        start = text.index(f"{table} = Kinds(")
        end = text.index("\n)", start) + 1
        text = text[:end] + line + text[end:]
    register.write_text(text)
    make_pool(folder / "pool")
    (folder / "my.yaml").write_text(yaml.safe_dump(SETTINGS))
    rayqc_in(folder, "-m", "rayqc", "run", "my.yaml", "--out", "run", "--num-cpus", "2")
    return folder


def make_pool(folder: Path) -> None:
    """Real digits as arrays, half of them under a wrong label."""
    rows = pq.read_table(ROOT / "rayqc" / "data" / "mnist5k-test.parquet").to_pylist()[::25]
    images = [decode_native(row["image"]["bytes"], Limits()) for row in rows]
    labels = [(row["label"] + number % 2) % 10 for number, row in enumerate(rows)]
    folder.mkdir()
    np.savez(folder / "digits.npz", images=np.stack(images), labels=np.array(labels))


def scores(folder: Path) -> list[dict[str, object]]:
    (path,) = (folder / "run" / "filtered" / "scores").glob("*.parquet")
    return pq.ParquetFile(path).read().to_pylist()


def test_a_source_is_read(added):
    rows = scores(added)
    with np.load(added / "pool" / "digits.npz") as arrays:
        assert len(rows) == len(arrays["labels"])
    assert rows[0]["id"] == "arrays/train#0"
    assert {row["verdict"] for row in rows} == {"accepted", "rejected"}


def test_an_encoder_and_a_view_are_used(added):
    model = json.loads((added / "run" / "model" / "model.json").read_text())
    assert model["kind"] == "thumbnail"
    result = json.loads((added / "run" / "result.json").read_text())
    assert result["encoder"] == {"latent_dim": 64}
    assert result["classify"]["kind"] == "probe of latents"
    arrays = (added / "run" / "regions" / "regions.safetensors").read_bytes()
    assert b"scorer0.label.coarse.weight_FK" in arrays


def test_a_score_is_part_of_the_evidence(added):
    rows = scores(added)
    assert all(row["brightness_evidence"] >= 0 for row in rows)
    assert len({row["brightness_evidence"] for row in rows}) > 10
    thresholds = json.loads((added / "run" / "result.json").read_text())["regions"]["thresholds"]
    assert set(thresholds) == {"label", "quality", "nearness", "alteration", "brightness", "joint"}
    shown = " ".join(rayqc_in(added, "-m", "rayqc", "refilter", "--help").split())
    assert "detail, seams, nearness, texture, alteration, brightness or joint" in shown


def test_a_stage_is_a_command_a_section_and_a_key(added):
    assert "list the rejected images that lie farthest outside" in " ".join(
        rayqc_in(added, "-m", "rayqc", "--help").split()
    )
    shown = rayqc_in(added, "-m", "rayqc", "farthest", "--help")
    assert "farthest.count (default: 10): How many are listed." in " ".join(shown.split())
    page = rayqc_in(added, "-m", "rayqc.cli.settings_page")
    assert "## farthest\n" in page
    assert "| `count` | `10` | farthest | How many are listed. |" in page
    result = json.loads((added / "run" / "result.json").read_text())
    order = sorted(scores(added), key=lambda row: (-row["score"], row["id"]))
    assert result["farthest"] == {"ids": [row["id"] for row in order[:3]]}
    assert rayqc_in(added, "-m", "rayqc", "farthest", "run").split() == result["farthest"]["ids"]


def test_a_changed_setting_undoes_its_stage_alone(added):
    (added / "my.yaml").write_text(yaml.safe_dump({**SETTINGS, "farthest": {"count": 2}}))
    command = [sys.executable, "-m", "rayqc", "run", "my.yaml", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(added)}
    done = subprocess.run(command, cwd=added, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "farthest.count: 3 -> 2); this affects farthest." in done.stderr
