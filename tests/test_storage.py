"""Writes are whole or nothing, names are published once, damage is named."""

import pickle
import threading

import numpy as np
import pyarrow as pa
import pytest
from obstore.exceptions import GenericError
from pyarrow import fs

from rayqc.errors import ArtefactError, InputError, StorageError
from rayqc.storage import (
    Folder,
    arrays_bytes,
    read_arrays,
    read_json,
    read_table,
    write_json,
    write_table,
)
from rayqc.storage.arrow import arrow_filesystem
from tests.azure import azurite
from tests.faults.s3 import faulty_s3


@pytest.fixture(scope="module")
def azure():
    with azurite() as server:
        yield server


@pytest.fixture(scope="module")
def s3():
    with faulty_s3() as proxy:
        yield proxy


@pytest.fixture(params=["path", "url", "s3", "azure"])
def folder(request, tmp_path, monkeypatch):
    """A local folder, the same by way of the code that serves object stores, and two stores."""
    place = tmp_path / "new" / "place"
    if request.param in ("path", "url"):
        return Folder(str(place) if request.param == "path" else f"file://{place}")
    server = request.getfixturevalue(request.param)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    url = server.new_bucket() if request.param == "s3" else server.new_container()
    return Folder(f"{url}/new/place")


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
    assert folder.listing() == {name: folder.fingerprint(name) for name in folder.names()}
    folder.delete(["a/b.txt", "not/there"])
    assert folder.names() == ["a/c/d.txt"]
    many = [f"many/{number:03d}" for number in range(300)]
    for name in many[::30]:
        folder.write(name, b"")
    folder.delete(many)
    assert folder.names() == ["a/c/d.txt"]


def test_reading_makes_no_folder(tmp_path):
    folder = Folder(str(tmp_path / "typo"))
    folder.names(), folder.exists("x")
    assert not (tmp_path / "typo").exists()


def test_pyarrow_copies_files_to_a_folder_and_back(folder, tmp_path):
    """As Ray Train does with checkpoints."""
    (tmp_path / "here" / "below").mkdir(parents=True)
    (tmp_path / "here" / "weights").write_bytes(bytes(range(256)) * 9000)
    (tmp_path / "here" / "below" / "empty").write_bytes(b"")
    there = pickle.loads(pickle.dumps(arrow_filesystem(folder)))
    assert there == arrow_filesystem(folder) != arrow_filesystem(folder.sub("other"))
    there.create_dir("run/first")
    fs.copy_files(str(tmp_path / "here"), "./run/first", destination_filesystem=there)
    fs.copy_files("run/first", str(tmp_path / "back"), source_filesystem=there)
    assert (tmp_path / "back" / "weights").read_bytes() == bytes(range(256)) * 9000
    assert folder.names() == ["run/first/below/empty", "run/first/weights"]
    found = there.get_file_info(["run", "run/first/weights", "run/fir", ""])
    kinds = [fs.FileType.Directory, fs.FileType.File, fs.FileType.NotFound, fs.FileType.Directory]
    assert [info.type for info in found] == kinds
    assert found[1].size == 256 * 9000
    below = there.get_file_info(fs.FileSelector("run/first"))
    assert [(info.path, info.is_file) for info in below] == [
        ("run/first/below", False),
        ("run/first/weights", True),
    ]
    assert len(there.get_file_info(fs.FileSelector("", recursive=True))) == 5
    assert there.get_file_info(fs.FileSelector("no", allow_not_found=True)) == []
    with pytest.raises(FileNotFoundError):
        there.get_file_info(fs.FileSelector("no"))
    there.move("run/first/weights", "run/moved")
    there.delete_dir("run/first")
    assert folder.names() == ["run/moved"]


def test_keys_of_a_profile_are_taken(s3, tmp_path, monkeypatch):
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    url = s3.new_bucket()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    keys = tmp_path / "credentials"
    keys.write_text("[lab]\naws_access_key_id = AKIALAB\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    Folder(url).write("x", b"1")
    assert Folder(url).read("x") == b"1"
    assert "AKIALAB" in s3.keys_seen
    monkeypatch.setenv("AWS_PROFILE", "another")
    with pytest.raises(InputError, match="AWS_PROFILE=another gives no credentials"):
        Folder(url).read("x")


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


def test_what_was_created_already_counts_as_created(folder):
    """As when the store did it and lost its answer."""
    assert folder.create("x", b"mine")
    assert folder.create("x", b"mine")
    assert not folder.create("x", b"another's")
    assert folder.read("x") == b"mine"


def test_a_file_is_read_piece_by_piece(folder):
    data = bytes(range(256)) * 9000  # more than one buffer
    folder.write("x", data)
    file = folder.open("x")
    assert file.read() == data
    for start, length in ((0, 1), (700_000, 1_500_000), (len(data) - 5, 100), (len(data), 1)):
        file.seek(start)
        assert (file.tell(), file.read(length)) == (start, data[start : start + length])
    file.seek(-3, 2)
    assert file.read(3) == data[-3:]
    assert folder.read_range("x", 5, 7) == data[5:12]
    file.close()
    with pytest.raises(FileNotFoundError):
        folder.open("y")


@pytest.mark.parametrize(
    "url",
    [
        "s3://ME:TOPHUSH@bucket/x",
        "s3://ME:TOP/HUSH@bucket/x",
        "s3://ME:12/HUSH@bucket/x",
        "s3://HUSH@bucket/x",
        "az://account/container/x?sv=2022&sig=HUSH",
        "https://host:443/x?sig=HUSH",
        "https://user:HUSH@host/x",
        "gs://bucket/x?HUSH&sig=1",
    ],
)
def test_a_url_with_credentials_is_refused_and_not_repeated(url):
    with pytest.raises(InputError, match="credentials belong in the environment") as caught:
        Folder(url)
    assert "HUSH" not in str(caught.value) and "ME:" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/x@y/a:b",
        "s3://bucket/part-?.parquet",
        "s3://bucket/part-?/label=1",
        "abfss://container@account.dfs.core.windows.net/x",
        "https://host:9000/x",
        "http://[::1]:9000/x",
        "file:///a@b:c/d",
    ],
)
def test_other_urls_pass(url):
    assert Folder(url).location == url


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "Generic LocalFileSystem error: Unable to copy data to file: Disk quota exceeded "
            "(os error 122)\n\nDebug source:\nGeneric {}",
            "Unable to copy data to file: Disk quota exceeded (os error 122); make room and run "
            "again; what is committed stays",
        ),
        (
            "Generic MicrosoftAzure error: Error performing PUT https://me:HUSH@host/x?sig=HUSH in "
            "1.2ms, after 3 retries, max_retries: 9, retry_timeout: 9s  - Server returned non-2xx "
            "status code: 403 Forbidden: <?xml?>\n<Error><Code>Denied</Code>HUSH</Error>",
            "PUT https://host/x: Server returned non-2xx status code: 403 Forbidden (Denied)",
        ),
        ("", "GenericError"),
    ],
)
def test_what_a_store_says_becomes_one_line_without_secrets(folder, monkeypatch, said, shown):
    class Store:
        def put(self, *arguments, **options):
            raise GenericError(said)

    monkeypatch.setattr(folder, "_opened", Store())
    with pytest.raises(StorageError) as caught:
        folder.write("x", b"")
    assert str(caught.value) == f"cannot write {folder}/x: {shown}"


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


@pytest.mark.parametrize("location", ["", "  ", "s3://", "gs:///", "az://"])
def test_a_place_whose_variable_was_unset_is_refused(location):
    """Else it would be the working directory, or a folder named `s3:` in it."""
    with pytest.raises(InputError, match="is a variable unset"):
        Folder(location)
