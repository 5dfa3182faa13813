"""Scripts for `ray job submit`, and the cluster they run on."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import ray
import yaml

from rayqc.config import load_config, load_evaluation

ROOT = Path(__file__).parents[2]


DATA = {"evaluate.yaml": ["mnist", "cifar10"], "table3.yaml": ["mnist", "cifar10", "cifar100"]}
"""Data sets of the evaluations; the other files are runs."""


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("*.yaml")), ids=lambda path: path.name)
def test_example_configurations_are_valid(path):
    if path.name in DATA:
        assert [data.name for data in load_evaluation(str(path)).data] == DATA[path.name]
    else:
        assert load_config(str(path)).pool


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("*.py")), ids=lambda path: path.name)
def test_every_script_says_what_it_takes(path):
    found = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, check=True
    )
    assert "--address" in found.stdout
    assert "(default: auto)" in " ".join(found.stdout.split())


def test_scripts_run_on_the_cluster_they_are_on(ray_session, tiny_run, tmp_path):
    address = ray.get_runtime_context().gcs_address
    found = subprocess.run(
        [
            *(sys.executable, str(ROOT / "jobs" / "filter.py"), "--run", str(tiny_run)),
            *("--pool", str(tiny_run / "pool"), "--out", str(tmp_path / "out"), "--limit", "50"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "RAY_ADDRESS": address, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    assert "ray: auto, 2 CPUs" in found.stderr
    assert (tmp_path / "out" / "_SUCCESS").exists()


@pytest.mark.parametrize("name", ["cluster.yaml", "deploy/on-premises.yaml"])
def test_the_cluster_file_passes_rays_own_validation(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from ray.autoscaler._private.util import prepare_config, validate_config

    text = (ROOT / name).read_text()
    config = prepare_config(yaml.safe_load(text))
    validate_config(config)
    assert config["head_node_type"] in config["available_node_types"]
    assert "FILL IN" in text
