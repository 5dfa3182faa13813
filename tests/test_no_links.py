"""A file is created once and whole also where the file system has no hard links."""

import errno
import threading
import time
from pathlib import Path

import pytest
from obstore.exceptions import GenericError

from rayqc.errors import ConflictError
from rayqc.ledger.plan import start_or_resume
from rayqc.storage import Folder, no_links
from rayqc.storage import folder as folder_module
from rayqc.storage.no_links import create_without_links, lacks_links, rename_once


@pytest.fixture(params=["renameat2", "lock file"])
def way(request, monkeypatch):
    """Both ways: of a kernel that can refuse to replace, and of one that cannot (FUSE)."""
    if request.param == "lock file":
        monkeypatch.setattr(no_links, "rename_once", lambda old, new: errno.ENOSYS)
    elif rename_once("/nowhere/a", "/nowhere/b") == errno.ENOSYS:
        pytest.skip("this system has no renameat2")
    return request.param


def test_one_of_many_creates_and_no_reader_sees_a_part(way, tmp_path):
    path, whole, seen, winners = tmp_path / "a" / "b.json", 200_000, set(), []
    over = threading.Event()

    def read():
        while not over.is_set():
            if path.exists():
                seen.add(len(path.read_bytes()))

    def write(number):
        if create_without_links(str(tmp_path), "a/b.json", b"%d" % number * whole):
            winners.append(number)

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    over.set()
    reader.join()
    assert len(winners) == 1
    assert path.read_bytes() == b"%d" % winners[0] * whole
    assert seen <= {whole}
    assert [entry.name for entry in path.parent.iterdir()] == ["b.json"]


def test_a_folder_without_links_is_claimed_once(monkeypatch, tmp_path):
    def without_links(name, data, store):
        raise GenericError(
            "Generic LocalFileSystem error: ... Operation not supported (os error 95)"
        )

    monkeypatch.setattr(folder_module, "_create", without_links)
    folder = Folder(str(tmp_path / "run"))
    assert folder.create("claim.json", b"first")
    assert not folder.create("claim.json", b"second")
    assert folder.create("claim.json", b"first")  # the same bytes: its own answer was lost
    start_or_resume(Folder(str(tmp_path / "work")), {"a": 1}, [])
    with pytest.raises(ConflictError, match="a: 1 -> 2"):
        start_or_resume(Folder(str(tmp_path / "work")), {"a": 2}, [])


def test_a_lock_that_a_dead_writer_left_is_replaced(monkeypatch, tmp_path):
    monkeypatch.setattr(no_links, "rename_once", lambda old, new: errno.ENOSYS)
    monkeypatch.setattr(no_links, "SECONDS_OF_A_DEAD_LOCK", 0.1)
    lock = tmp_path / "b.json#0"
    lock.write_bytes(b"of the dead")
    assert create_without_links(str(tmp_path), "b.json", b"1")
    assert not lock.exists()
    assert Folder(str(tmp_path)).names() == ["b.json"]


def test_a_lock_of_the_living_is_waited_for(monkeypatch, tmp_path):
    monkeypatch.setattr(no_links, "rename_once", lambda old, new: errno.ENOSYS)
    lock = tmp_path / "b.json#0"
    lock.write_bytes(b"of the living")

    def finish():
        time.sleep(0.2)
        (tmp_path / "b.json").write_bytes(b"first")
        lock.unlink()

    living = threading.Thread(target=finish)
    living.start()
    assert not create_without_links(str(tmp_path), "b.json", b"second")
    living.join()
    assert (tmp_path / "b.json").read_bytes() == b"first"


def test_other_failures_are_no_lack_of_links():
    assert lacks_links(OSError("Unable to copy: Operation not supported (os error 95)"))
    assert not lacks_links(OSError("No space left on device (os error 28)"))
    assert not lacks_links(OSError("connection reset"))


def test_what_cannot_be_written_says_so_and_leaves_nothing(tmp_path):
    (tmp_path / "a").write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match=r"a"):
        create_without_links(str(tmp_path), "a/b.json", b"1")
    assert [path.name for path in Path(tmp_path).iterdir()] == ["a"]
