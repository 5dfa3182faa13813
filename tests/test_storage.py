"""Writes are whole or nothing, names are published once, damage is named."""

import pickle
import threading

import numpy as np
import pyarrow as pa
import pytest

from rayqc.errors import ArtefactError, StorageError
from rayqc.storage import (
    Folder,
    arrays_bytes,
    read_arrays,
    read_json,
    read_table,
    write_json,
    write_table,
)


@pytest.fixture(params=["path", "url"])
def folder(request, tmp_path):
    """A local folder, and the same by way of the code that serves object stores."""
    place = tmp_path / "new" / "place"
    return Folder(str(place) if request.param == "path" else f"file://{place}")


def test_files_come_and_go(folder):
    assert folder.names() == []
    assert not folder.exists("a/b.txt")
    with pytest.raises(FileNotFoundError):
        folder.read("a/b.txt")
    folder.write("a/b.txt", b"one")
    before = folder.fingerprint("a/b.txt")
    folder.write("a/b.txt", b"three")
    assert folder.fingerprint("a/b.txt") != before
    folder.write("a/c/d.txt", b"")
    assert folder.names() == ["a/b.txt", "a/c/d.txt"]
    assert folder.names("a/c") == ["a/c/d.txt"]
    assert folder.sub("a").read("b.txt") == b"three"
    assert pickle.loads(pickle.dumps(folder)).read("a/b.txt") == b"three"
    folder.delete(["a/b.txt", "not/there"])
    assert folder.names() == ["a/c/d.txt"]


def test_reading_makes_no_folder(tmp_path):
    folder = Folder(str(tmp_path / "typo"))
    folder.names(), folder.exists("x")
    assert not (tmp_path / "typo").exists()


def test_one_of_many_creates(folder):
    won = []

    def race(number: int) -> None:
        if folder.create("commit.json", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=race, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert folder.read("commit.json") == str(won[0]).encode()
    assert folder.names() == ["commit.json"]


def test_a_failed_write_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*file/below/x") as caught:
        Folder(str(tmp_path / "file" / "below")).write("x", b"")
    assert "\n" not in str(caught.value)


def test_tables_arrays_and_json_read_back(folder):
    table = pa.table({"id": ["a", "b"], "n": [1, 2]})
    write_table(folder, "t.parquet", table)
    assert read_table(folder, "t.parquet") == table
    assert read_table(folder, "t.parquet", ["n"]).column_names == ["n"]
    folder.write("a.safetensors", arrays_bytes({"x": np.arange(6).reshape(2, 3).T}))
    np.testing.assert_array_equal(
        read_arrays(folder, "a.safetensors")["x"], [[0, 3], [1, 4], [2, 5]]
    )
    write_json(folder, "j.json", {"b": 1, "a": [None, 2.5]})
    assert read_json(folder, "j.json") == {"b": 1, "a": [None, 2.5]}


def test_damage_is_named(folder):
    folder.write("x", b"nonsense")
    for reader in (read_table, read_arrays, read_json):
        with pytest.raises(ArtefactError, match="/x is not"):
            reader(folder, "x")
