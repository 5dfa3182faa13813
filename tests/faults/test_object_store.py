"""An object store that fails, hangs, breaks off and loses answers: all work is done once, whole."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from rayqc.errors import StorageError
from rayqc.ledger.commit import committed_units, is_committed, load_commits
from rayqc.ledger.manifest import is_finished, load_files, load_totals
from rayqc.ledger.owner import own
from rayqc.ledger.plan import start_or_resume
from rayqc.storage import Folder, digest, read_table, write_table
from tests.conftest import TINY
from tests.faults.s3 import FAULTS, SECRET, always, faulty_s3, first, never, seeded
from tests.ledger.test_ledger import commit, contents, merge, units

KINDS = ("accepted", "rejected", "error", "scores")
SHARE = 0.25
MOST_SECONDS_TO_STOP = 30.0


@pytest.fixture(scope="module")
def server():
    with faulty_s3() as proxy:
        yield proxy


@pytest.fixture
def proxy(server, monkeypatch):
    """The proxy without faults, in the environment; short pauses between attempts."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("rayqc.storage.remote.FIRST_PAUSE", 0.005)
    monkeypatch.setattr("rayqc.storage.remote.LONGEST_PAUSE", 0.05)
    server.plan, server.pause = never, 0.02
    server.asked.clear()
    server.faults.clear()
    return server


@pytest.fixture
def folder(proxy):
    return Folder(f"{proxy.new_bucket()}/run")


VERBS = {
    "write": lambda folder: folder.write("new", b"abc" * 1000),
    "create": lambda folder: folder.create("fresh", b"abc"),
    "create again": lambda folder: folder.create("old", b"abc"),
    "read": lambda folder: folder.read("old"),
    "open": lambda folder: folder.open("old").read(),
    "list": lambda folder: folder.names(),
    "exists": lambda folder: folder.exists("old"),
    "exists not": lambda folder: folder.exists("gone"),
    "delete": lambda folder: folder.delete(["less"]),
}
EXPECTED = {
    "write": None,
    "create": True,
    "create again": False,
    "read": b"old" * 1000,
    "open": b"old" * 1000,
    "list": ["less", "old"],
    "exists": True,
    "exists not": False,
    "delete": None,
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", [*FAULTS, "429", "hang"])
def test_each_verb_outlasts_each_fault(folder, proxy, monkeypatch, fault, verb):
    folder.write("old", b"old" * 1000)
    folder.write("less", b"")
    if fault == "hang":
        monkeypatch.setenv("AWS_READ_TIMEOUT", "200ms")
        proxy.pause = 0.5
    proxy.plan = first("slow" if fault == "hang" else fault, 2)
    proxy.asked.clear()
    assert VERBS[verb](Folder(folder.location)) == EXPECTED[verb]
    assert len(proxy.faults) == 2 or (fault == "slow" and proxy.faults)
    proxy.plan = never
    left = {"old": b"old" * 1000, "less": b""}
    left |= {"write": {"new": b"abc" * 1000}, "create": {"fresh": b"abc"}}.get(verb, {})
    if verb == "delete":
        del left["less"]
    assert {name: folder.read(name) for name in folder.names()} == left
    if verb == "write":
        puts = [asked for asked in proxy.asked if "new" in asked and asked.startswith("PUT")]
        assert not any("uploads" in asked for asked in proxy.asked) and puts


def test_a_large_table_is_one_put_and_reads_whole_through_cut_answers(folder, proxy):
    table = pa.table({"x": [os.urandom(1000) for _ in range(12_000)]})
    proxy.plan = first("cut upload", 2)
    write_table(folder, "t.parquet", table)
    assert [asked.partition("?")[0].split("/")[-1] for asked in proxy.asked] == ["t.parquet"] * 3
    proxy.plan = lambda method, path: "cut answer" if len(proxy.asked) % 2 else None
    assert read_table(folder, "t.parquet") == table
    assert proxy.faults.count("cut answer") > 2


def test_a_lost_answer_leaves_the_owner_the_owner(folder, proxy):
    proxy.plan = first("lost answer", 2)
    with own(folder):
        assert folder.exists("_owner.json")
    assert len(proxy.faults) == 2
    assert folder.names() == []


@pytest.mark.parametrize("how", ["errors", "hangs", "refuses"])
def test_a_store_that_stays_down_is_one_error_in_time(proxy, folder, monkeypatch, how):
    monkeypatch.setattr("rayqc.storage.remote.RETRY_SECONDS", 1.0)
    monkeypatch.setenv("AWS_READ_TIMEOUT", "300ms")
    proxy.plan, proxy.pause = always("slow" if how == "hangs" else "503"), 1.0
    if how == "refuses":
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for verb in ("write", "create", "read", "list", "delete"):
        with pytest.raises(StorageError) as caught:
            VERBS[verb](Folder(folder.location))
        said = str(caught.value)
        assert re.match(rf"cannot {verb} {folder}/.*: .*http://127.*: .*\(tried for \d+ s\)$", said)
        assert {"errors": "503", "hangs": "no answer in time", "refuses": "refused"}[how] in said
    assert how == "refuses" or len(proxy.faults) > 10


@pytest.fixture
def default_ctrl_c():
    """A shell that runs these tests in the background lets them ignore Ctrl-C."""
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, kept)


def test_ctrl_c_does_not_wait_for_a_store_that_hangs(folder, proxy, default_ctrl_c):
    def interrupt():
        proxy.plan, proxy.pause = always("slow"), 3 * MOST_SECONDS_TO_STOP
        asked = len(proxy.asked)
        while len(proxy.asked) == asked:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    begun = time.monotonic()
    threading.Timer(0.5, interrupt).start()
    with pytest.raises(KeyboardInterrupt), own(folder):
        while True:
            folder.write("x", b"x")
    assert time.monotonic() - begun < MOST_SECONDS_TO_STOP


@pytest.mark.parametrize("status", ["400", "401", "403"])
def test_a_refusal_is_final_and_tells_no_secrets(folder, proxy, status):
    proxy.plan = always(status)
    for verb in ("write", "create", "read", "list", "delete"):
        proxy.faults.clear()
        with pytest.raises(StorageError, match=rf"{verb} .*{status} .*\(SomeError\)$") as caught:
            VERBS[verb](folder)
        assert len(proxy.faults) == 1
        said = "".join(traceback.format_exception(caught.value))
        assert SECRET not in said and "AKIA" not in said and "?" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_said(proxy):
    folder = Folder("s3://no-such-bucket/run")
    for verb in ("write", "create"):
        with pytest.raises(StorageError, match=f"cannot {verb} s3://no-such.*: no such place"):
            VERBS[verb](folder)
    with pytest.raises(StorageError, match=r"cannot list .*404 Not Found \(NoSuchBucket\)"):
        folder.names()
    with pytest.raises(FileNotFoundError):
        folder.read("x")


def conclude(folder, plan):
    for index, unit in enumerate(plan):
        if not is_committed(folder, index):
            assert commit(folder, index, unit)
    merge(folder, plan, shard_bytes=6000)


def undisturbed(place):
    folder = Folder(str(place))
    conclude(folder, start_or_resume(folder, {"s": 1}, units(total=60)))
    return {kind: contents(folder, kind) for kind in KINDS}


def check_whole(folder, expected):
    """Everything planned is there once, and every object is complete."""
    assert is_finished(folder)
    assert {kind: contents(folder, kind) for kind in KINDS} == expected
    ids = [row["id"] for kind in KINDS[:3] for row in contents(folder, kind)]
    assert len(set(ids)) == len(ids) == load_totals(folder).read == 60
    assert committed_units(folder) == set(range(10))
    parts = {part.path: part for shards in load_files(folder).values() for part in shards}
    lying = {name for name in folder.names() if name.endswith(".parquet")}
    assert lying == set(parts)
    for name, part in parts.items():
        data = folder.read(name)
        assert (digest(data), len(data)) == (part.sha256, part.bytes)
        assert pq.ParquetFile(io.BytesIO(data)).read().num_rows == part.rows


@pytest.mark.parametrize("seed", range(3))
def test_the_ledger_ends_as_if_nothing_had_happened(folder, proxy, tmp_path, seed):
    expected = undisturbed(tmp_path)
    proxy.plan = seeded(seed, SHARE)
    plan = start_or_resume(folder, {"s": 1}, units(total=60))
    for index, unit in enumerate(plan):
        assert commit(folder, index, unit)
    for record in load_commits(folder):
        for part in record.parts:
            assert digest(folder.read(part.path)) == part.sha256
    merge(folder, plan, shard_bytes=6000)
    made = Counter(proxy.faults)
    proxy.plan = never
    check_whole(folder, expected)
    assert set(made) == set(FAULTS) and made.total() > 50
    assert not any("uploads" in asked for asked in proxy.asked)


def test_of_twins_exactly_one_is_published(folder, proxy):
    plan = start_or_resume(folder, {}, units(total=72))
    proxy.plan = seeded(0, SHARE)
    for index, unit in enumerate(plan):
        won = []
        line = threading.Barrier(2)

        def attempt(index=index, unit=unit, won=won, line=line):
            line.wait()
            won.append(commit(folder, index, unit) is not None)

        twins = [threading.Thread(target=attempt) for _ in range(2)]
        for twin in twins:
            twin.start()
        for twin in twins:
            twin.join()
        assert sorted(won) == [False, True], index
    proxy.plan = never
    records = load_commits(folder)
    assert [record.unit for record in records] == list(range(12))
    named = {part.path for record in records for part in record.parts}
    assert {name for name in folder.names() if name.endswith(".parquet")} == named
    assert len(proxy.faults) > 30


@pytest.mark.parametrize("after", [2, 30, 85, 130])
def test_work_that_an_outage_stopped_is_resumed(folder, proxy, tmp_path, monkeypatch, after):
    """The store goes down for good after so many requests, and comes back later."""
    expected = undisturbed(tmp_path)
    monkeypatch.setattr("rayqc.storage.remote.RETRY_SECONDS", 0.2)
    proxy.plan = lambda method, path: "503" if len(proxy.asked) >= after else None
    with pytest.raises(StorageError, match="503 Service Unavailable"):
        conclude(folder, start_or_resume(folder, {"s": 1}, units(total=60)))
    proxy.plan = never
    assert not is_finished(folder)
    for record in load_commits(folder):
        for part in record.parts:
            if folder.exists(part.path):  # not cleaned up yet
                assert digest(folder.read(part.path)) == part.sha256
    conclude(folder, start_or_resume(folder, {"s": 1}, units(total=60)))
    check_whole(folder, expected)


def accepted(folder):
    parts = folder.sub("filtered")
    return sorted(row["id"] for row in contents(parts, "accepted"))


def run_tiny(out, config, environment):
    command = [sys.executable, "-m", "rayqc", "run", str(config), "--out", out]
    return subprocess.run(
        [*command, "--num-cpus", "2"], env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.mark.long
def test_a_whole_run_on_a_faulty_store_is_that_on_a_disk(proxy, tmp_path):
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY))
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    local = run_tiny(str(tmp_path / "run"), config, plain)
    assert local.returncode == 0, local.stderr
    url = f"{proxy.new_bucket()}/run"
    proxy.plan = seeded(0, 0.2)
    remote = run_tiny(url, config, {**plain, **proxy.environment()})
    assert remote.returncode == 0, remote.stderr
    assert len(proxy.faults) > 50
    proxy.plan = never
    assert accepted(Folder(url)) == accepted(Folder(str(tmp_path / "run")))
    result = json.loads(Folder(url).read("result.json"))
    assert result["ledger"]["read"] == 300 == sum(result["ledger"]["outcomes"].values())
    for name in Folder(url).names():
        if name.endswith(".parquet"):
            pq.ParquetFile(io.BytesIO(Folder(url).read(name))).read()


@pytest.mark.long
def test_a_filter_whose_store_hangs_stops_when_told(proxy, tmp_path):
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY))
    url = f"{proxy.new_bucket()}/run"
    command = [sys.executable, "-m", "rayqc", "run", str(config), "--out", url]
    environment = {**os.environ, **proxy.environment()}
    with subprocess.Popen(
        [*command, "--num-cpus", "2"], env=environment, stderr=subprocess.PIPE, text=True
    ) as stopped:
        limit = time.monotonic() + 600
        while not Folder(url).names("filtered/commits"):
            assert time.monotonic() < limit and stopped.poll() is None
            time.sleep(0.2)
        proxy.plan, proxy.pause = always("slow"), 3 * MOST_SECONDS_TO_STOP
        time.sleep(2)
        told = time.monotonic()
        stopped.terminate()
        _, said = stopped.communicate(timeout=600)
        took = time.monotonic() - told
    assert stopped.returncode == 143, said
    assert took < MOST_SECONDS_TO_STOP, said
    proxy.plan = never
    again = run_tiny(url, config, environment)
    assert again.returncode == 0, again.stderr
    result = json.loads(Folder(url).read("result.json"))
    assert result["ledger"]["read"] == 300 == sum(result["ledger"]["outcomes"].values())
