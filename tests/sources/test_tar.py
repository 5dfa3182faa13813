"""Tars read like folders and like WebDataset shards; hostile and broken ones are refused whole."""

import io
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pytest

from rayqc.config import Data
from rayqc.errors import InputError
from rayqc.images.decode import Limits, decode_native
from rayqc.images.encode import encode_png
from rayqc.schema import PROBLEM, candidate_schema, image_bytes
from rayqc.sources import detect, open_source
from rayqc.sources.select import read_all, select_references
from rayqc.sources.tar import open_tar
from rayqc.units import WHOLE, number

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def png(value):
    return encode_png(np.full((4, 4, 1), value, np.uint8))


def member(name, data=b"", kind=tarfile.REGTYPE, link="", size=None):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data) if size is None else size, kind, link
    return info, data


def write_tar(path, members, kind=tarfile.PAX_FORMAT):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=kind) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def class_tar(path, count=6, kind=tarfile.PAX_FORMAT):
    names = [f"{'cat' if i % 2 else 'dog'}/{i}.png" for i in range(count)]
    members = [member(name, png(i)) for i, name in enumerate(names)]
    return write_tar(path, members, kind), names


def whole(source, most=2):
    return pa.concat_tables([source.read(unit) for unit in source.units(most)])


def values(table):
    return [int(decode_native(data, Limits())[0, 0, 0]) for data in image_bytes(table)]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("by_url", [False, True])
def test_class_folders_in_a_tar(tmp_path, kind, by_url):
    path, names = class_tar(tmp_path / "pool.tar", kind=kind)
    source = open_source(Data(path=f"file://{path}" if by_url else str(path)))
    assert source.classes == ("cat", "dog")
    table = whole(source)
    assert table["id"].to_pylist() == [f"pool.tar/{name}" for name in names]
    assert table["label"].to_pylist() == [1, 0, 1, 0, 1, 0]
    assert values(table) == list(range(6))
    assert table["source"][0].as_py().endswith("/pool.tar")
    assert table["image"][1].as_py()["path"] == "cat/1.png"
    assert table.schema.equals(candidate_schema(("cat", "dog")), check_metadata=True)
    for unit in source.units(4):
        np.testing.assert_array_equal(source.labels(unit), source.read(unit)["label"])
        assert unit.names == tuple(names[unit.start : unit.stop])


def test_names_of_every_make(tmp_path):
    names = ["cat/a b.png", "cat/deep/er/x.JPG", "dog/ü#1%20.png", "dog/" + "n" * 180 + ".png"]
    names += ["dog/new\nline\x01.png", "dog/a..png", "cat/a\\..\\b.png"]
    path = write_tar(tmp_path / "t.tar", [member(f"./{n}", png(i)) for i, n in enumerate(names)])
    source = open_tar(str(path))
    table = whole(source)
    assert table["id"].to_pylist() == [f"t.tar/{name}" for name in names]
    assert values(table) == list(range(7))
    assert source.classes == ("cat", "dog")


def test_many_tars_by_folder_and_by_pattern(tmp_path):
    class_tar(tmp_path / "a.tar", 3)
    class_tar(tmp_path / "sub" / "b.tar", 5)
    (tmp_path / "._a.tar").write_bytes(b"a note of macOS")
    assert detect(str(tmp_path)) == detect(str(tmp_path / "*.tar")) == "tar"
    assert open_source(Data(path=str(tmp_path))).files == ("a.tar", "sub/b.tar")
    assert open_source(Data(path=str(tmp_path / "*.tar"))).files == ("a.tar",)
    assert open_source(Data(kind="tar", path=str(tmp_path / "sub"))).files == ("b.tar",)
    source = open_source(Data(path=str(tmp_path)))
    table = whole(source)
    assert len(set(table["id"].to_pylist())) == 8
    assert values(table) == [0, 1, 2, 0, 1, 2, 3, 4]
    chosen = select_references(source, 2, seed=0)
    assert np.bincount(chosen["label"]).tolist() == [2, 2]
    limited = [source.read(unit)["id"].to_pylist() for unit in number(source.units(2), 3)]
    assert sum(map(len, limited)) == 3


def test_class_folders_beside_their_tar_are_read_instead(tmp_path, caplog):
    class_tar(tmp_path / "all.tar")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "x.png").write_bytes(png(0))
    assert detect(str(tmp_path)) == "folder"
    open_source(Data(path=str(tmp_path)))
    assert "left out 1 other files, all.tar first" in caplog.text


@pytest.mark.parametrize(
    ("texts", "classes", "labels"),
    [
        ([b"2\n", b"0", b" 1 ", b"-1"], ("0", "1", "2"), [2, 0, 1, None]),
        ([b"dog", b"cat\n", b"dog", "größe".encode()], ("cat", "dog", "größe"), [1, 0, 1, 2]),
        ([b"7", b"cat", b"7", b"7"], ("7", "cat"), [0, 1, 0, 0]),
    ],
)
def test_webdataset_shards(tmp_path, texts, classes, labels, caplog):
    members = []
    for i, text in enumerate(texts):
        # Labels come before or behind their images.
        pair = [member(f"s/{i:03d}.png", png(i)), member(f"s/{i:03d}.cls", text)]
        members += pair if i % 2 else pair[::-1]
    members += [member("s/000.json", b"{}"), member("s/001.txt", b"")]
    source = open_tar(str(write_tar(tmp_path / "w.tar", members)))
    assert source.classes == classes
    table = whole(source)
    assert table["label"].to_pylist() == labels
    assert values(table) == list(range(4))
    assert "left out 2 other members, w.tar/s/000.json first" in caplog.text
    unlabelled = labels.count(None)
    assert read_all(source).num_rows == 4 - unlabelled


def test_keys_end_at_the_last_dot_or_the_first(tmp_path, caplog):
    members = [
        member("v1.5/a.left.png", png(0)),
        member("v1.5/a.right.png", png(1)),
        member("v1.5/a.cls", b"3"),
        member("v1.5/b.x.png", png(2)),
        member("v1.5/b.x.cls", b"1"),
        member("v1.5/alone.png", png(3)),
    ]
    table = whole(open_tar(str(write_tar(tmp_path / "k.tar", members))))
    assert table["label"].to_pylist() == [3, 3, 1, None]
    said = "1 labels are of several images each, such as v1.5/a.left.png and v1.5/a.right.png"
    assert said in caplog.text


def test_what_is_no_image_is_left_out_with_one_line(tmp_path, caplog):
    members = [
        member("cat", kind=tarfile.DIRTYPE),
        member("cat/1.png", png(1)),
        member("cat/readme.txt", b"x"),
        member("__MACOSX/cat/._1.png", b"x"),
        member("cat/._1.png", b"x"),
        member(".git/2.png", b"x"),
        member("loose.png", png(2)),
    ]
    source = open_tar(str(write_tar(tmp_path / "t.tar", members)))
    table = whole(source)
    assert table["id"].to_pylist() == ["t.tar/cat/1.png", "t.tar/loose.png"]
    assert table["label"].to_pylist() == [0, None]
    assert caplog.text.count("left out") == 1
    assert "left out 4 other members, t.tar/cat/readme.txt first" in caplog.text


def test_too_large_members_are_not_read(tmp_path):
    data = [png(0), png(1) + bytes(70_000_000), png(2)]
    path = write_tar(tmp_path / "t.tar", [member(f"c/{i}.png", d) for i, d in enumerate(data)])
    source = open_tar(str(path))
    (unit,) = source.units(WHOLE)
    table = source.read(unit, max_bytes=64_000_000)
    assert table.schema.names[-1] == "problem"
    assert table.schema.field("problem").equals(PROBLEM)
    message = f"{len(data[1]):,} bytes, limit 64,000,000"
    problem = {"reason": "too_large", "message": message}
    assert table["problem"].to_pylist() == [None, problem, None]
    assert table["image"][1].as_py() is None
    assert table.schema.metadata == candidate_schema(("c",)).metadata
    assert "problem" not in source.read(unit).column_names
    assert "problem" not in source.read(unit, max_bytes=len(data[1])).column_names
    with pytest.raises(InputError, match=r"real image t\.tar/c/1\.png of .*t\.tar is too large: "):
        read_all(source, max_bytes=100)


def test_units_are_bounded_by_rows_and_bytes(tmp_path, monkeypatch):
    names, size = [f"c/{i}.png" for i in range(20)], len(png(0))
    path = write_tar(tmp_path / "t.tar", [member(name, png(0)) for name in names])
    monkeypatch.setattr("rayqc.sources.cut.UNIT_BYTES", 5 * size + 10)
    source = open_tar(str(path))
    units = source.units(1000)
    assert [(unit.start, unit.stop) for unit in units] == [(0, 5), (5, 10), (10, 15), (15, 20)]
    assert max(unit.stop - unit.start for unit in source.units(3)) <= 3
    assert [name for unit in units for name in unit.names] == names


def test_a_source_travels_small_and_reads_elsewhere(tmp_path):
    path, _ = class_tar(tmp_path / "t.tar", 200)
    source = open_tar(str(path))
    sent = pickle.dumps(source)
    assert len(sent) < 500
    there = pickle.loads(sent)
    assert there == source
    assert whole(there, 7).equals(whole(source, 50))


@pytest.mark.parametrize("again", [False, True])
def test_a_tar_replaced_after_the_plan_is_found(tmp_path, again):
    path, _ = class_tar(tmp_path / "t.tar", 6)
    source = open_tar(str(path))
    units = source.units(2)
    if again:
        source = pickle.loads(pickle.dumps(source))
    source.read(units[0])
    class_tar(path, 8)
    with pytest.raises(InputError, match=r"t\.tar was replaced after the work was planned: found"):
        source.read(units[1])
    path.unlink()
    with pytest.raises(InputError, match=r"t\.tar is missing"):
        source.read(units[2])


def test_tars_without_images_or_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no \.tar files at .*none\.tar"):
        open_tar(str(tmp_path / "none.tar"))
    write_tar(tmp_path / "a.tar", [member("c/notes.txt", b"x")])
    with pytest.raises(InputError, match=r"no images in the tars at .*ending in \.png, \.jpg"):
        open_tar(str(tmp_path))
    write_tar(tmp_path / "a.tar", [member("1.png", png(0))])
    with pytest.raises(InputError, match=r"no classes in the tars .* CLASS/NAME\.png, or KEY\.png"):
        open_tar(str(tmp_path))
    write_tar(tmp_path / "a.tar", [member("1.png", png(0)), member("1.cls", b"-1")])
    with pytest.raises(InputError, match="no classes in the tars"):
        open_tar(str(tmp_path))
    write_tar(tmp_path / "a.tar", [member("1.png", png(0)), member("1.cls", b"99999999")])
    with pytest.raises(InputError, match="found label 99,999,999; expected 0 to 99,999"):
        open_tar(str(tmp_path))
    (tmp_path / "a.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(InputError, match=r"a\.tar is not a readable tar: .*; make the tar anew"):
        open_tar(str(tmp_path))


def test_tars_of_different_layouts_are_refused(tmp_path):
    class_tar(tmp_path / "a.tar")
    write_tar(tmp_path / "b.tar", [member("1.png", png(0)), member("1.cls", b"1")])
    with pytest.raises(InputError, match=r"b\.tar has members with labels and a\.tar has none"):
        open_tar(str(tmp_path))
