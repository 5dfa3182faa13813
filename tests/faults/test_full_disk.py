"""A disk that fills up, or can only be read: one clear error, nothing by halves, and on it goes."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.errors import StorageError
from rayqc.ledger.clean import orphans, remove
from rayqc.ledger.commit import committed_units, is_committed, load_commits
from rayqc.ledger.manifest import is_finished, load_files, load_totals
from rayqc.ledger.plan import is_ours, start_or_resume
from rayqc.storage import Folder, digest
from tests.conftest import tiny
from tests.distributed.test_end_to_end import COUNT
from tests.distributed.test_faults import check_ledger, outcome
from tests.ledger.test_ledger import commit, contents, merge, units

ROWS = 60
PAGE = 4096
KINDS = ("accepted", "rejected", "error", "scores")
ROOM = "make room and run again; what is committed stays"


def mount(*arguments: str) -> None:
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount here: {getattr(error, 'stderr', None) or error}")


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, large enough until told otherwise."""
    place = tmp_path / "disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place))
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def conclude(folder: Folder) -> None:
    """All units that are not committed, and the end."""
    plan = start_or_resume(folder, {"s": 1}, units(total=ROWS))
    for index, unit in enumerate(plan):
        if not is_committed(folder, index):
            commit(folder, index, unit)
    merge(folder, plan, shard_bytes=20_000)


def check_nothing_by_halves(folder: Folder) -> None:
    """Every file that has its name is whole, and so is all that records speak of."""
    assert not is_finished(folder)
    for record in load_commits(folder):
        assert all(digest(folder.read(part.path)) == part.sha256 for part in record.parts)
    for name in folder.names():
        assert is_ours(name), name
        if name.endswith(".parquet"):
            pq.ParquetFile(io.BytesIO(folder.read(name))).read()
    staged = [path for path in Path(folder.location).rglob("*") if "#" in path.name]
    assert staged == []


def check_balanced(folder: Folder, expected: dict[str, list[dict[str, object]]]) -> None:
    assert is_finished(folder)
    assert {kind: contents(folder, kind) for kind in KINDS} == expected
    assert load_totals(folder).read == ROWS
    for parts in load_files(folder).values():
        assert all(digest(folder.read(part.path)) == part.sha256 for part in parts)


@pytest.fixture
def expected(tmp_path):
    """What a run without trouble gives."""
    folder = Folder(str(tmp_path / "undisturbed"))
    conclude(folder)
    return {kind: contents(folder, kind) for kind in KINDS}


def test_a_full_disk_is_one_error_and_more_room_resumes(disk, expected):
    folder = Folder(str(disk / "out"))
    mount("-o", f"remount,size={64 * PAGE}", str(disk))
    for _ in range(2):  # without more room it fails in the same way
        with pytest.raises(
            StorageError, match="cannot (write|create) .*No space left on device"
        ) as caught:
            conclude(folder)
        assert f" {folder}/" in str(caught.value)
        assert str(caught.value).endswith(f"(os error 28); {ROOM}")
        assert "\n" not in str(caught.value)
        check_nothing_by_halves(folder)
    assert 0 < len(load_commits(folder)) < 10
    mount("-o", "remount,size=64m", str(disk))
    conclude(folder)
    check_balanced(folder, expected)


def test_wherever_the_room_ends_nothing_is_by_halves(disk, expected):
    """The disk grows by little, and what the attempt before left is deleted, until all fits."""
    folder = Folder(str(disk / "out"))
    stopped = set()
    for pages in range(2, 500, 5):
        mount("-o", f"remount,size={pages * PAGE}", str(disk))
        if folder.exists("ledger.json"):
            remove(folder, orphans(folder))
        try:
            conclude(folder)
            break
        except StorageError as error:
            assert str(error).endswith(f"No space left on device (os error 28); {ROOM}")
            place = str(error).partition(f"{folder}/")[2].partition(":")[0]
            stopped.add(place.partition("/")[0] + " " + place.rpartition("/")[2][:5])
        check_nothing_by_halves(folder)
    check_balanced(folder, expected)
    assert len(stopped) > 5, stopped


def test_a_disk_that_can_only_be_read_is_said(disk, expected):
    folder = Folder(str(disk / "out"))
    plan = start_or_resume(folder, {"s": 1}, units(total=ROWS))
    for index in (0, 1):
        commit(folder, index, plan[index])
    before = folder.names()
    mount("-o", "remount,ro", str(disk))
    for work in (lambda: conclude(folder), lambda: Folder(str(disk / "new")).write("x", b"")):
        with pytest.raises(StorageError, match="cannot (write|create) .*Read-only") as caught:
            work()
        assert str(caught.value).endswith("(os error 30); expected a place to write to")
    with pytest.raises(StorageError, match=r"cannot delete .*\(os error 30\)"):
        folder.delete(before)
    assert folder.names() == before
    assert committed_units(folder) == {0, 1}
    mount("-o", "remount,rw", str(disk))
    conclude(folder)
    check_balanced(folder, expected)


@pytest.mark.long
def test_a_training_that_finds_no_room_says_so_and_goes_on(ray_session, disk, caplog):
    config = rayqc.make_config(tiny(encoder={"max_failures": 1, "steps": 60}))
    run = disk / "run"
    mount("-o", "remount,size=300k", str(disk))
    with pytest.raises(StorageError, match="No space") as found:
        rayqc.train(config, str(run))
    assert "\n" not in str(found.value)
    assert not (run / "model" / "model.json").exists()
    mount("-o", "remount,size=64m", str(disk))
    rayqc.train(config, str(run))
    record = json.loads((run / "model" / "model.json").read_text())["record"]
    assert [one["step"] for one in record["history"]][-1] == 60


def test_a_filter_on_ray_says_so_once_and_goes_on(tiny_run, disk):
    out = disk / "out"
    mount("-o", "remount,size=150k", str(disk))
    with pytest.raises(StorageError, match=f"^cannot (write|create) .*No space.*{ROOM}$") as found:
        rayqc.filter_pool(str(tiny_run), str(tiny_run / "pool"), str(out))
    assert "\n" not in str(found.value)
    check_nothing_by_halves(Folder(str(out)))
    mount("-o", "remount,ro", str(disk))
    with pytest.raises(StorageError, match="Read-only file system"):
        rayqc.filter_pool(str(tiny_run), str(tiny_run / "pool"), str(out))
    mount("-o", "remount,rw,size=64m", str(disk))
    rayqc.filter_pool(str(tiny_run), str(tiny_run / "pool"), str(out))
    check_ledger(out, COUNT)
    assert outcome(out) == outcome(tiny_run / "filtered")
