"""Folders as they are found on disks: nothing in them hangs, and no image is lost unsaid."""

import errno
import os
import socket
from pathlib import Path

import numpy as np
import pytest

from rayqc.config import Data
from rayqc.errors import InputError, StorageError
from rayqc.images.encode import encode_png
from rayqc.schema import PROBLEM, candidate_schema, image_bytes
from rayqc.sources import detect, open_source
from rayqc.sources.folder import open_folder
from rayqc.sources.listing import fingerprint_of, list_files
from rayqc.sources.places import find_files
from rayqc.sources.select import read_all, select_references
from rayqc.storage import Folder
from rayqc.units import WHOLE

PNG = encode_png(np.zeros((4, 4, 1), np.uint8))

pytestmark = pytest.mark.usefixtures("patience")


def fill(root, *names, data=PNG):
    for name in names:
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def rows(source, max_bytes=None):
    """Every row's id, whether it has an image, and its problem."""
    found = {}
    for unit in source.units(3):
        table = source.read(unit, max_bytes)
        met = [None] * table.num_rows
        if "problem" in table.column_names:
            met = [one and (one["reason"], one["message"]) for one in table["problem"].to_pylist()]
            assert any(met)
        for name, data, problem in zip(
            table["id"].to_pylist(), image_bytes(table), met, strict=True
        ):
            assert (data is None) == (problem is not None)
            found[name] = problem
    return found


def test_names_of_every_make_are_read(tmp_path):
    names = ["per%cent.png", "pc%20.png", "x#1.png", "#1.png", "ü.png", "sp ace.png", "tab\t.png"]
    names += ["new\nline.png", "bell\x07.png", "\x7f.png", "back\\slash.png", "q?.png", "[a]*.png"]
    names += ["a..png", "~.png", "-.png", "日本.png", "e\u0301.png", "\u202eright.png"]
    names = [f"cat/{name}" for name in names] + ["c%/1.png", "c#1/1.png", "c\n/1.png"]
    for i, name in enumerate(names):
        fill(tmp_path, name, data=encode_png(np.full((4, 4, 1), i, np.uint8)))
    source = open_source(Data(path=str(tmp_path)))
    assert source.classes == ("c\n", "c#1", "c%", "cat")
    (unit,) = source.units(WHOLE)
    table = source.read(unit)
    found = dict(zip(table["id"].to_pylist(), image_bytes(table), strict=True))
    assert set(found) == set(names)
    for i, name in enumerate(names):
        assert found[name] == encode_png(np.full((4, 4, 1), i, np.uint8)), name


def test_a_blank_class_name_is_refused(tmp_path):
    fill(tmp_path, "cat/1.png", " /1.png")
    with pytest.raises(InputError, match="found class name ' '; expected strings that are not"):
        open_folder(str(tmp_path))


def test_names_that_are_not_utf8_are_refused_and_counted(tmp_path):
    fill(tmp_path, "cat/1.png", "notes.txt")
    for name in (b"cat/bad\xff.png", b"cat/worse\xfe.png", b"cat/bad\xff.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(PNG)
    message = r"found 2 file names that are not UTF-8, b'cat/bad\\xff\.png' first; rename them"
    with pytest.raises(InputError, match=message):
        open_source(Data(path=str(tmp_path)))


def test_staged_and_hidden_files_are_left_out_and_counted(tmp_path, caplog):
    fill(tmp_path, "cat/1.png", "cat/2.png#1", "cat/._1.png", "__MACOSX/cat/1.png", ".git/x/1.png")
    fill(tmp_path, "lost+found/1.png")
    source = open_folder(str(tmp_path))
    assert set(rows(source)) == {"cat/1.png"}
    assert "left out 5 other files, .git/ first" in caplog.text
    assert caplog.text.count("left out") == 1


def test_links_to_files_and_folders_are_followed(tmp_path):
    fill(tmp_path / "elsewhere", "deep/1.png", "2.png")
    root = tmp_path / "root"
    fill(root, "cat/1.png")
    (root / "dog").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "cat" / "2.png").symlink_to(root / "cat" / "1.png")
    source = open_source(Data(path=str(root)))
    assert source.classes == ("cat", "dog")
    found = rows(source)
    assert set(found) == {"cat/1.png", "cat/2.png", "dog/2.png", "dog/deep/1.png"}
    assert not any(found.values())
    (tmp_path / "alias").symlink_to(root)
    assert set(rows(open_source(Data(path=str(tmp_path / "alias"))))) == set(found)


def test_loops_of_links_are_left_out_and_counted(tmp_path, caplog):
    fill(tmp_path, "cat/1.png", "dog/a/2.png")
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "cat" / "up").symlink_to("..")
    (tmp_path / "dog" / "a" / "dog").symlink_to("../../dog")
    assert detect(str(tmp_path)) == "folder"
    source = open_source(Data(path=str(tmp_path)))
    assert set(rows(source)) == {"cat/1.png", "dog/a/2.png"}
    assert "left out 3 linked folders (loops, or there already), again first" in caplog.text


def test_links_that_fan_out_do_not_multiply(tmp_path, caplog):
    for level in range(30):
        fill(tmp_path, f"{level:02d}/1.png")
        for side in "ab":
            (tmp_path / f"{level:02d}" / side).symlink_to(f"../{level + 1:02d}")
    found = rows(open_folder(str(tmp_path)))
    assert len(found) < 30 * 30
    assert {f"{level:02d}/1.png" for level in range(30)} <= set(found)
    assert "linked folders (loops, or there already)" in caplog.text


def test_what_is_no_readable_file_is_a_problem_of_its_row(tmp_path):
    fill(tmp_path, "cat/1.png")
    (tmp_path / "cat" / "dangling.png").symlink_to("nowhere")
    (tmp_path / "cat" / "self.png").symlink_to("self.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "pipelink.png").symlink_to("pipe.png")
    os.mkfifo(tmp_path / "cat" / "pipe.txt")
    here = Path.cwd()
    os.chdir(tmp_path / "cat")  # a socket's path may be short only
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
    os.chdir(here)
    source = open_source(Data(path=str(tmp_path)))
    assert rows(source) == {
        "cat/1.png": None,
        "cat/dangling.png": ("unreadable", "No such file or directory"),
        "cat/pipe.png": ("unreadable", "is a pipe (FIFO)"),
        "cat/pipelink.png": ("unreadable", "is a pipe (FIFO)"),
        "cat/self.png": ("unreadable", "Too many levels of symbolic links"),
        "cat/socket.png": ("unreadable", "is a socket"),
    }
    message = r"real image cat/dangling\.png of .*cat/dangling\.png is unreadable: No such file or "
    with pytest.raises(InputError, match=message):
        read_all(source)
    with pytest.raises(InputError, match="so put it right or take it out"):
        select_references(source, None, seed=0)
    fill(tmp_path, "dog/1.png")
    for odd in ("dangling", "self", "pipe", "pipelink", "socket"):
        (tmp_path / "cat" / f"{odd}.png").rename(tmp_path / f"{odd}.png")
    assert read_all(source).num_rows == 1


def test_devices_are_not_opened(tmp_path):
    fill(tmp_path, "cat/1.png")
    try:
        os.mknod(tmp_path / "cat" / "zero.png", 0o020666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root may make device nodes")
    found = rows(open_folder(str(tmp_path)))
    assert found == {"cat/1.png": None, "cat/zero.png": ("unreadable", "is a character device")}


def test_files_that_change_after_the_plan_are_problems_of_their_rows(tmp_path):
    fill(tmp_path, *(f"cat/{i}.png" for i in range(6)), "dog/deep/7.png")
    source = open_folder(str(tmp_path))
    (unit,) = source.units(WHOLE)
    (tmp_path / "cat" / "1.png").unlink()
    (tmp_path / "cat" / "2.png").unlink()
    (tmp_path / "cat" / "2.png").mkdir()
    (tmp_path / "cat" / "3.png").unlink()
    os.mkfifo(tmp_path / "cat" / "3.png")
    (tmp_path / "dog" / "deep" / "7.png").unlink()
    (tmp_path / "dog" / "deep").rmdir()
    fill(tmp_path, "dog/deep", data=b"")
    table = source.read(unit)
    met = dict(zip(table["id"].to_pylist(), table["problem"].to_pylist(), strict=True))
    assert {name: one["message"] for name, one in met.items() if one} == {
        "cat/1.png": "No such file or directory",
        "cat/2.png": "Is a directory",
        "cat/3.png": "is a pipe (FIFO)",
        "dog/deep/7.png": "Not a directory",
    }
    assert {one["reason"] for one in met.values() if one} == {"unreadable"}
    assert table["image"].null_count == 4
    assert table["label"].to_pylist() == [0] * 6 + [1]
    assert table.schema.equals(
        candidate_schema(("cat", "dog")).append(PROBLEM), check_metadata=True
    )


def test_a_folder_that_is_gone_is_no_row_of_errors(tmp_path):
    root = tmp_path / "root"
    fill(root, "cat/1.png")
    source = open_folder(str(root))
    (unit,) = source.units(WHOLE)
    (root / "cat" / "1.png").unlink()
    (root / "cat").rmdir()
    for _ in range(2):
        with pytest.raises(
            StorageError, match="root is gone or empty, as when a disk is no longer"
        ):
            source.read(unit)
        if root.exists():
            root.rmdir()


def test_failures_of_the_disk_are_no_row_of_errors(tmp_path, monkeypatch):
    fill(tmp_path, "cat/1.png")
    source = open_folder(str(tmp_path))
    (unit,) = source.units(WHOLE)

    def fail(*args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("rayqc.sources.reading.os.open", fail)
    with pytest.raises(StorageError, match=r"cannot read .*cat/1\.png: Input/output error"):
        source.read(unit)


@pytest.mark.parametrize("by_url", [False, True])
def test_too_large_files_are_not_read(tmp_path, by_url):
    fill(tmp_path, "cat/1.png", "cat/2.png")
    with (tmp_path / "cat" / "big.png").open("wb") as file:
        file.truncate(5 * 10**12)  # a hole: reading it would take all memory
    source = open_folder(f"file://{tmp_path}" if by_url else str(tmp_path))
    assert rows(source, 64_000_000) == {
        "cat/1.png": None,
        "cat/2.png": None,
        "cat/big.png": ("too_large", "5,000,000,000,000 bytes, limit 64,000,000"),
    }
    assert rows(source, len(PNG))["cat/1.png"] is None
    assert rows(source, len(PNG) - 1)["cat/1.png"] == (
        "too_large",
        f"{len(PNG)} bytes, limit {len(PNG) - 1}",
    )
    if not by_url:
        # Arrow's own limit holds where none is set.
        assert rows(source)["cat/big.png"][1].endswith("bytes, limit 2,147,483,647")
    with pytest.raises(InputError, match=r"real image cat/big\.png of .* is too large: 5,000,0"):
        select_references(source, None, seed=0, max_bytes=10**6)


@pytest.mark.parametrize("by_url", [False, True])
def test_a_vanished_file_on_a_store_is_a_problem_too(tmp_path, by_url):
    fill(tmp_path, "cat/1.png", "cat/2.png")
    source = open_folder(f"file://{tmp_path}" if by_url else str(tmp_path))
    (unit,) = source.units(WHOLE)
    (tmp_path / "cat" / "2.png").unlink()
    for limit in (None, 1000):
        problems = source.read(unit, limit)["problem"].to_pylist()
        assert problems == [
            None,
            {"reason": "unreadable", "message": "No such file or directory"},
        ]


def test_units_are_bounded_by_bytes_too(tmp_path, monkeypatch):
    fill(tmp_path, *(f"c/{i:02d}.png" for i in range(20)), data=bytes(100))
    fill(tmp_path, "c/10.png", data=bytes(5000))
    monkeypatch.setattr("rayqc.sources.cut.UNIT_BYTES", 450)
    source = open_folder(str(tmp_path))
    units = source.units(WHOLE)
    assert [unit.stop - unit.start for unit in units] == [4, 4, 2, 1, 4, 4, 1]
    assert [name for unit in units for name in unit.names] == [f"c/{i:02d}.png" for i in range(20)]
    assert max(unit.stop - unit.start for unit in source.units(3)) <= 3


def test_local_fingerprints_are_the_object_store_s(tmp_path):
    fill(tmp_path, "a/1.png", "a/2.png")
    local, remote = Folder(str(tmp_path)), Folder(f"file://{tmp_path}")
    assert list_files(local) == list_files(remote)
    assert list_files(local).files == local.listing()
    assert fingerprint_of(local, "a/1.png") == local.fingerprint("a/1.png")
    for folder in (local, remote):
        with pytest.raises(InputError, match=r"a/3\.png is missing"):
            fingerprint_of(folder, "a/3.png")


def test_a_pattern_looks_no_deeper_than_it_says(tmp_path, monkeypatch):
    fill(tmp_path, "1.png", "cat/2.png", "cat/deep/3.png")
    looked = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: looked.append(place) or scandir(place))
    for pattern, expected in (("*.png", 1), ("*/*.png", 2), ("**.png", 3)):
        looked.clear()
        _, names = find_files(f"{tmp_path}/{pattern}", ".png")
        assert len(looked) == expected
        assert names[0] == ("cat/2.png" if pattern == "*/*.png" else "1.png")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*.png", ["1.png", "a/2.png", "a/b/3.png", "a/b/c/4.png"]),
        ("a/**/*.png", ["2.png", "b/3.png", "b/c/4.png"]),
        ("a/**/b/**/?.png", ["3.png", "c/4.png"]),
        ("a/**/c/*.png", ["b/c/4.png"]),
    ],
)
def test_two_stars_stand_for_any_folders_and_for_none(pattern, expected, tmp_path):
    fill(tmp_path, "1.png", "a/2.png", "a/b/3.png", "a/b/c/4.png")
    _, names = find_files(f"{tmp_path}/{pattern}", ".png")
    assert [name.rpartition("/")[2] for name in names] == [
        name.rpartition("/")[2] for name in expected
    ]
