"""Workers that die on a real local Ray: nothing lost, nothing twice, nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray

import rayqc
from rayqc.distributed.register import Attempt
from rayqc.distributed.tasks import run_tasks
from rayqc.distributed.watch import Watchdog
from rayqc.errors import ErrorBudgetExceeded, StoppedError
from tests.distributed import faulty
from tests.distributed.test_end_to_end import COUNT, pool_file, rows


def filter_with(monkeypatch, worker, run, pool, out, minutes=30.0):
    """The real filter, with a worker that has a fault."""
    text = (run / "config.yaml").read_text()
    changed = text.replace("unit_minutes: 30.0", f"unit_minutes: {minutes}")
    changed = changed.replace("unit_rows: 70", "unit_rows: 10").replace("actors: 1", "actors: 2")
    with monkeypatch.context() as patch:
        patch.setattr("rayqc.distributed.filter.FilterWorker", worker)
        patch.setattr("rayqc.api.pools.open_run", lambda *a, **k: _settings(changed))
        return rayqc.filter_pool(str(run), str(pool), str(out))


def _settings(text):
    import yaml

    return rayqc.make_config(yaml.safe_load(text))


def outcome(folder):
    """What must not depend on any fault: verdict and bytes by id."""
    return {
        row["id"]: (row["verdict"], row["reason"], row["image"]["bytes"])
        for kind in ("accepted", "rejected", "errors")
        for row in rows(folder, kind)
    }


def check_ledger(out, count):
    plan = pq.ParquetFile(out / "_plan").read()
    commits = [json.loads(path.read_text()) for path in (out / "commits").iterdir()]
    assert sorted(one["unit"] for one in commits) == list(range(plan.num_rows))
    assert all(one["read"] == sum(one["outcomes"].values()) for one in commits)
    assert sum(one["read"] for one in commits) == count
    ids = [row["id"] for row in rows(out, "scores")]
    assert len(set(ids)) == len(ids) == count
    assert (out / "_SUCCESS").exists()
    assert not list(out.rglob("unit-*.parquet"))


@pytest.mark.parametrize(
    ("rounds", "seed"), [(1, 0), *(pytest.param(2, n, marks=pytest.mark.long) for n in (1, 2, 3))]
)
def test_workers_killed_at_seeded_moments(tiny_run, tmp_path, monkeypatch, rounds, seed):
    planned = faulty.moments(seed, rounds)
    for number, moment in enumerate(planned):
        (tmp_path / f"death-{number:03d}").write_text(moment)
    filter_with(monkeypatch, faulty.DyingWorker, tiny_run, tiny_run / "pool", tmp_path / "out")
    died = sorted(place.name[-3:] for place in tmp_path.glob("at-*"))
    assert died == [f"{number:03d}" for number in range(len(planned))]
    check_ledger(tmp_path / "out", COUNT)
    assert outcome(tmp_path / "out") == outcome(tiny_run / "filtered")


@pytest.fixture
def deadly_pool(tiny_run, tmp_path):
    images = [(row["image"]["bytes"], row["label"]) for row in rows(tiny_run, "pool")[:30]]
    images.insert(7, (faulty.DEADLY, 3))
    images.insert(12, (faulty.DEADLY, 4))
    images.insert(25, (faulty.ENDLESS, 5))
    path = tmp_path / "pool.parquet"
    pool_file(path, *zip(*images, strict=True), tuple("0123456789"))
    return path


@pytest.mark.long
def test_images_that_kill_or_hang_are_found_and_the_others_judged(
    tiny_run, deadly_pool, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    with pytest.raises(ErrorBudgetExceeded, match="3 of 33 images could not be judged.*poison"):
        filter_with(monkeypatch, faulty.DeadlyDecoder, tiny_run, deadly_pool, out, minutes=0.1)
    check_ledger(out, 33)
    wrong = {row["id"]: row for row in rows(out, "errors")}
    assert set(wrong) == {"pool.parquet#7", "pool.parquet#12", "pool.parquet#25"}
    assert {row["reason"] for row in wrong.values()} == {"poison"}
    assert "took its process down 3 times: SIGSEGV" in wrong["pool.parquet#7"]["message"]
    assert "no end after 6 s" in wrong["pool.parquet#25"]["message"]
    assert wrong["pool.parquet#12"]["image"]["bytes"] == faulty.DEADLY
    judged = [row for row in rows(out, "scores") if row["verdict"] != "error"]
    mine = {row["id"]: row["verdict"] for row in rows(tiny_run / "filtered", "scores")}
    pool = [row["id"] for row in rows(tiny_run, "pool")[:30]]
    found = [row["verdict"] for row in sorted(judged, key=lambda row: int(row["id"][13:]))]
    assert found == [mine[name] for name in pool]


@pytest.mark.long
def test_a_unit_that_kills_without_a_poisonous_image_is_given_up(
    tiny_run, deadly_pool, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    with pytest.raises(StoppedError, match="took its worker down again and again.*to resume"):
        filter_with(monkeypatch, faulty.NeverLives, tiny_run, tiny_run / "pool", out)
    assert not (out / "manifest.json").exists()
    rayqc.filter_pool(str(tiny_run), str(tiny_run / "pool"), str(out))
    assert outcome(out) == outcome(tiny_run / "filtered")


def test_tasks_that_nobody_can_take_up_are_stopped(ray_session, monkeypatch, caplog):
    monkeypatch.setattr("rayqc.distributed.watch.SAY_AFTER_SECONDS", 1.0)
    with pytest.raises(StoppedError, match=r"nothing has moved for 3 s; Ray has 1 node,.*resume"):
        run_tasks(len, [([1, 2],)], gpu=True, minutes=0.05)
    assert "len: nothing has moved for" in caplog.text
    assert "no worker is at anything" in caplog.text


def registers() -> set[str]:
    """Numbers of processes that hold a register, told by the title that Ray gives them."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if place.read_bytes().startswith(b"ray::Register"):
                found.add(place.parent.name)
    return found


def test_nothing_is_left_behind_by_work_that_ended(tiny_run, tmp_path):
    before = registers()  # of other work on this machine
    for number in range(3):
        rayqc.filter_pool(str(tiny_run), str(tiny_run / "pool"), str(tmp_path / str(number)))
    limit = time.monotonic() + 60
    while left := registers() - before:
        assert time.monotonic() < limit, f"processes {left} are left"
        time.sleep(0.2)


def test_a_watchdog_does_not_repeat_itself(ray_session, monkeypatch, caplog):
    caplog.set_level("INFO", logger="rayqc")  # whatever ran before
    now = [0.0]
    monkeypatch.setattr("rayqc.distributed.watch.time.monotonic", lambda: now[0])
    here = ray.get_runtime_context().get_node_id()
    attempt = Attempt(job=5, node=here, pid=os.getpid(), actor=None, since=0.0)
    busy = Watchdog("stage", minutes=1, running=lambda: [attempt])
    for _ in range(20_000):
        now[0] += 0.5
        busy.look(0)
    assert 3 <= len(caplog.records) <= 8
    assert f"1 in progress, the oldest number 5 (process {os.getpid()} on" in caplog.text
    with pytest.raises(StoppedError, match="run again to resume"):
        idle = Watchdog("stage", minutes=1, running=list)
        now[0] += 61
        idle.look(0)


def test_workers_that_are_dead_are_not_at_work(ray_session, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("rayqc.distributed.watch.time.monotonic", lambda: now[0])
    here = ray.get_runtime_context().get_node_id()
    dead = subprocess.Popen(["true"])
    dead.wait()
    for pid, stops in ((os.getpid(), False), (dead.pid, True)):
        attempt = Attempt(job=5, node=here, pid=pid, actor=None, since=0.0)
        watchdog = Watchdog("stage", minutes=1, running=lambda attempt=attempt: [attempt])
        now[0] += 1000
        with pytest.raises(StoppedError, match="all dead") if stops else contextlib.nullcontext():
            watchdog.look(0)
