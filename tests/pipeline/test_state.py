"""`rayqc status`: of finished, running and dead runs."""

import json
import shutil

import pytest

import rayqc
from rayqc.errors import InputError
from rayqc.ledger.owner import OWNER, own
from rayqc.storage import Folder, read_json, write_json


def test_a_finished_run_is_whole(tiny_run):
    found = rayqc.status(str(tiny_run))
    assert [stage["status"] for stage in found["stages"]] == ["done"] * 5
    assert found["owner"] is None
    totals = read_json(Folder(str(tiny_run)), "result.json")["ledger"]
    filtered = found["ledgers"]["filtered"]
    assert filtered["whole"]
    assert filtered["images_done"] == filtered["images"] == totals["read"] == 300
    assert filtered["outcomes"] == totals["outcomes"]
    alone = rayqc.status(str(tiny_run / "filtered"))
    assert alone["stages"] == []
    assert list(alone["ledgers"].values()) == [filtered]


def test_of_a_dead_run_what_is_committed_counts(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    filtered = run / "filtered"
    for name in ("_SUCCESS", "manifest.json"):
        (filtered / name).unlink()
    commits = sorted((filtered / "commits").iterdir())
    assert len(commits) == 5
    rows = read_json(Folder(str(filtered)), "commits/0000000.json")["read"]
    for commit in commits[1:]:
        commit.unlink()
    (run / "stages" / "classify.json").unlink()
    ledger = rayqc.status(str(run))["ledgers"]["filtered"]
    assert not ledger["whole"]
    assert (ledger["units_done"], ledger["units"]) == (1, 5)
    assert ledger["images_done"] == rows == sum(ledger["outcomes"].values())
    assert rayqc.status(str(run))["stages"][-1]["status"] == "not begun"


def test_who_is_at_work_or_has_died_is_said(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    folder = Folder(str(run))
    with own(folder):
        assert "is at work" in rayqc.status(str(run))["owner"]
        mark = folder.read(OWNER)
    assert rayqc.status(str(run))["owner"] is None
    write_json(folder, OWNER, {**json.loads(mark), "started": "0"})  # of another process
    assert "which is gone: run again to go on" in rayqc.status(str(run))["owner"]
    with pytest.raises(InputError, match="neither a run"):
        rayqc.status(str(tmp_path))
