"""The files to start from: what can be checked of them without a cluster is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

import rayqc
from rayqc.version import __version__

ROOT = Path(rayqc.__file__).parents[1]
DEPLOY = ROOT / "deploy"
OF_RAYJOB = {
    *("entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"),
    *("submitterPodTemplate", "rayClusterSpec"),
}
OF_CLUSTER = {
    *("rayVersion", "enableInTreeAutoscaling", "authOptions"),
    *("headGroupSpec", "workerGroupSpecs"),
}
"""Keys of KubeRay's RayJobSpec and RayClusterSpec (ray.io/v1) that the file uses."""

FAKE = """#!/usr/bin/env bash
echo "{name} $* token=${{RAY_AUTH_TOKEN:+yes}}" >> "$CALLS"
{does}
"""
FAKES = {
    "scontrol": 'if [[ $1 == show ]]; then printf "n1\\nn2\\nn3\\n"; fi',
    "srun": "exec sleep 600",
    "ray": 'sleep "${SLOW:-0}"; printf " 1 node_a\\n 1 node_b\\n 1 node_c\\n"',
    "rayqc": "trap 'echo committed >> \"$CALLS\"; exit 4' TERM\n"
    'if [[ -n ${LONG:-} ]]; then while true; do sleep 0.1; done; fi\nexit "${CODE:-0}"',
}


@pytest.mark.parametrize(("tool", "name"), [("shellcheck", "slurm.sh"), ("hadolint", "Dockerfile")])
def test_the_linter_of_its_kind_finds_nothing(tool, name):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed; the extra `dev` has it")
    done = subprocess.run([tool, str(DEPLOY / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_rayjob_is_of_kuberays_keys_and_one_image():
    text = (DEPLOY / "rayjob.yaml").read_text()
    job = yaml.safe_load(text)
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert set(job["spec"]) == OF_RAYJOB
    assert set(cluster) == OF_CLUSTER
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert set(group["rayStartParams"]) <= {"num-cpus"}
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] == f"YOUR-REGISTRY/rayqc:{__version__}"
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
            "/settings",
            "/dev/shm",
        }
    assert job["spec"]["entrypoint"].startswith("rayqc run /settings/my.yaml --out s3://")
    assert "# FILL IN" in text


def test_versions_of_ray_and_torch_are_one_in_all_files():
    found = {
        name: set(re.findall(rf"{name}(?:\[default\])?==([\d.]+)", text))
        for name in ("ray", "torch")
        for text in [
            "\n".join(path.read_text() for path in [*DEPLOY.iterdir(), ROOT / "cluster.yaml"])
        ]
    }
    assert found["ray"] == {"2.60.0"}
    assert len(found["torch"]) == 1
    assert (
        yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())["spec"]["rayClusterSpec"]["rayVersion"]
        in found["ray"]
    )


@pytest.fixture
def slurm(tmp_path):
    """Starts slurm.sh among programs that note how they were called."""
    for name, does in FAKES.items():
        (tmp_path / name).write_text(FAKE.format(name=name, does=does))
        (tmp_path / name).chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()

    def start(**more: str) -> tuple[subprocess.Popen[str], Path]:
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "SLURM_JOB_NODELIST": "n[1-3]",
            "SLURM_CPUS_PER_TASK": "16",
            "SLURM_JOB_ID": "7",
            **more,
        }
        words = ["bash", str(DEPLOY / "slurm.sh"), "my.yaml", "/shared/run", "--limit", "9"]
        started = subprocess.Popen(words, env=environment, text=True, stderr=subprocess.PIPE)
        return started, calls

    return start


def test_slurm_starts_a_ray_on_all_nodes_and_returns_the_runs_code(slurm):
    started, calls = slurm(CODE="3")
    _, said = started.communicate(timeout=60)
    assert started.returncode == 3, said
    lines = calls.read_text().splitlines()
    of_srun = [line for line in lines if line.startswith("srun")]
    assert "--nodelist=n1 ray start --head --port=6379 --num-cpus=16" in of_srun[0]
    assert "--nodes=2" in of_srun[1]
    assert "--nodelist=n2,n3 ray start --address n1:6379 --num-cpus=16" in of_srun[1]
    (run,) = [line for line in lines if line.startswith("rayqc")]
    assert run == "rayqc run my.yaml --out /shared/run --address n1:6379 --limit 9 token=yes"
    assert not any("requeue" in line for line in lines)


def stopped_after(call, started, calls):
    """Tell slurm.sh to stop once it has made a call; it queues the job again."""
    while call not in calls.read_text():
        assert started.poll() is None
        time.sleep(0.05)
    started.send_signal(signal.SIGTERM)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 4, said
    assert "queued again" in said


def test_slurm_told_to_stop_lets_the_run_commit_and_queues_it_again(slurm):
    started, calls = slurm(LONG="yes")
    stopped_after("rayqc run", started, calls)
    assert calls.read_text().splitlines()[-2:] == ["committed", "scontrol requeue 7 token=yes"]


def test_slurm_told_to_stop_before_the_run_begins_does_not_begin_it(slurm):
    started, calls = slurm(SLOW="2")
    stopped_after("srun", started, calls)
    assert "scontrol requeue 7 token=yes" in calls.read_text()
    assert "rayqc run" not in calls.read_text()


def test_the_dashboard_asks_for_metrics_that_there_are():
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    name = re.compile(r"ray_(rayqc_\w+?)(?:_total|_bucket)?\{")
    names = {found for text in asked for found in name.findall(text)}
    made = (ROOT / "rayqc" / "distributed" / "metrics.py").read_text()
    assert names == set(re.findall(r'"(rayqc_\w+)"', made))
