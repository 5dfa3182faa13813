"""Nodes of a real cluster that are lost, or come, in the middle of a stage.

See `lose_a_node.py` and `more_nodes.py`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.lose_a_node import STEPS

MOST_SECONDS = 580
DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana.json"


def lose_a_node(stage: str, folder) -> dict[str, Any]:
    return told_by("tests.distributed.lose_a_node", stage, folder)


def told_by(module: str, case: str, folder) -> dict[str, Any]:
    words = [sys.executable, "-m", module, case, str(folder)]
    found = subprocess.run(words, capture_output=True, text=True, timeout=MOST_SECONDS)
    lines = [line for line in found.stdout.splitlines() if line.startswith("{")]
    assert lines, found.stderr[-3000:]
    return dict(json.loads(lines[-1]))


@pytest.mark.long
def test_two_of_three_nodes_lost_in_filter(tmp_path):
    found = lose_a_node("filter", tmp_path)
    assert found["lost"] == 2
    assert found["same"]
    assert found["commits"] == found["units"] > 30
    assert found["errors"] == 0


@pytest.mark.long
@pytest.mark.parametrize("stage", ["fit", "classify"])
def test_a_node_lost_in(stage, tmp_path):
    found = lose_a_node(stage, tmp_path)
    assert found["lost"]
    assert found["same"]


def has_no_gap(found: dict[str, Any]) -> bool:
    return bool(found["steps"] == list(range(10, STEPS + 1, 10)))


@pytest.mark.long
def test_training_goes_on_elsewhere(tmp_path):
    found = lose_a_node("train with one to spare", tmp_path)
    assert found["lost"]
    assert has_no_gap(found)
    assert len(found["starts"]) == 2 and 0 < found["starts"][1] < STEPS


@pytest.mark.long
def test_training_that_has_too_few_nodes_left_is_stopped_and_resumes(tmp_path):
    found = lose_a_node("train", tmp_path)
    assert "Ray has 2 nodes of 3 at the start" in found["stopped"]
    assert found["stopped"].endswith("run again to resume")
    assert has_no_gap(found)
    assert len(found["starts"]) == 2 and 0 < found["starts"][1] < STEPS


def more_nodes(case: str, folder) -> dict[str, Any]:
    return told_by("tests.distributed.more_nodes", case, folder)


@pytest.mark.long
@pytest.mark.parametrize("case", ["late", "uneven"])
def test_nodes_that_join_late_or_differ_in_size_are_used(case, tmp_path):
    found = more_nodes(case, tmp_path)
    assert found["nodes"] == 3
    assert found["same"] and found["errors"] == 0
    assert found["commits"] == found["units"]


@pytest.mark.long
def test_an_autoscaler_is_asked_for_nodes_and_takes_back_what_idles(tmp_path):
    found = more_nodes("autoscaled", tmp_path)
    assert found["before"] == 1
    assert found["most"] >= 2
    assert found["nodes"] >= 2
    assert found["same"] and found["errors"] == 0
    assert found["after"] == 1


@pytest.mark.long
def test_a_node_that_joins_late_and_does_not_see_the_folder_is_refused(tmp_path):
    can_mount = ["unshare", "--mount", "true"]
    if subprocess.run(can_mount, capture_output=True, check=False).returncode:
        pytest.skip("mounts are not allowed here")
    found = more_nodes("blind", tmp_path)
    assert "joined later, does not see it" in found["refused"]
    assert not found["succeeded"]


@pytest.mark.long
def test_prometheus_reads_how_far_work_is(tmp_path):
    found = more_nodes("scraped", tmp_path)
    assert found["images"] == found["wanted"]
    names = {name.partition(" ")[0] for name in found["names"]}
    asked_for = set(re.findall(r"ray_rayqc\w+", DASHBOARD.read_text()))
    assert asked_for <= names, "the dashboard asks for what no run tells"
    assert 'ray_rayqc_training_value stage="train" value="loss"' in found["names"]
    assert 'ray_rayqc_images_total stage="filter" verdict="accepted"' in found["names"]
