"""Files that are broken, replaced or not what they say: an error names the file and what to do."""

import gzip
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rayqc.config import Data
from rayqc.errors import InputError
from rayqc.images.encode import encode_png
from rayqc.schema import candidate_schema
from rayqc.sources import open_source
from rayqc.sources.parquet import open_parquet
from rayqc.sources.select import read_all, select_references
from rayqc.units import WHOLE

pytestmark = pytest.mark.usefixtures("patience")


def table_of(count=40, classes=("a", "b"), **columns):
    rng = np.random.default_rng(0)
    data = [encode_png(rng.integers(0, 256, (6, 6, 1), dtype=np.uint8)) for _ in range(count)]
    label = np.arange(count) % max(len(classes), 1)
    metadata = {"huggingface": candidate_schema(classes).metadata[b"huggingface"]}
    table = pa.table({"image": pa.array(data, pa.binary()), "label": label, **columns})
    return table.replace_schema_metadata(metadata)


def write(path, table, **options):
    pq.write_table(table, path, row_group_size=10, use_dictionary=False, **options)
    return path


def page_at(path, row_group, column):
    """Where the first page of a column chunk begins."""
    return pq.ParquetFile(path).metadata.row_group(row_group).column(column).data_page_offset


def damage(path, at, length=40):
    """Overwrite bytes, and leave no sign of it in the file's time."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[at : at + length] = b"\xff" * length
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("by_url", [False, True])
def test_a_damaged_page_is_found_when_its_unit_is_read(tmp_path, by_url):
    path = write(tmp_path / "a.parquet", table_of())
    damage(path, page_at(path, 2, 0))
    source = open_source(Data(path=f"file://{path}" if by_url else str(path)))
    units = source.units(10)
    assert source.read(units[1]).num_rows == 10
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            source.read(units[2])
        said = str(caught.value)
        assert said.startswith(f"{source.location}/a.parquet is damaged in rows 20 to 29: ")
        assert said.endswith("; make it anew, or take it out")
        assert "\n" not in said
    assert source.read(units[3])["id"][0].as_py() == "a.parquet#30"
    assert source.labels(units[2]).size == 10


def test_damaged_labels_are_found_too(tmp_path):
    path = write(tmp_path / "a.parquet", table_of())
    unnamed = write(tmp_path / "b.parquet", table_of().replace_schema_metadata({}))
    damage(path, page_at(path, 1, 1))
    damage(unnamed, page_at(unnamed, 1, 1))
    source = open_parquet(str(path))
    with pytest.raises(InputError, match=r"a\.parquet is damaged in rows 10 to 19: "):
        source.labels(source.units(10)[1])
    with pytest.raises(InputError, match=r"a\.parquet is damaged in rows 0 to 29: "):
        select_references(source, 1, seed=0)
    with pytest.raises(InputError, match=r"b\.parquet is damaged in column label: "):
        open_parquet(str(unnamed))


@pytest.mark.parametrize("by_url", [False, True])
def test_a_truncated_file_is_refused(tmp_path, by_url):
    path = write(tmp_path / "a.parquet", table_of())
    data = path.read_bytes()
    for length in (0, 3, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"a\.parquet is not readable Parquet: "):
            open_source(Data(path=f"file://{path}" if by_url else str(path)))


@pytest.mark.parametrize("by_url", [False, True])
def test_a_file_replaced_after_the_plan_is_found(tmp_path, by_url):
    path = write(tmp_path / "a.parquet", table_of())
    source = open_source(Data(path=f"file://{path}" if by_url else str(path)))
    units = source.units(10)
    source.read(units[0])
    other = write(tmp_path / "other", table_of(80))
    other.rename(path)
    message = r"a\.parquet was replaced after the work was planned: found .* bytes, .*, expected "
    for unit in (units[1], units[0]):
        with pytest.raises(InputError, match=message):
            source.read(unit)
    # Planned anew, the new file is read, not the one that was open.
    assert sum(source.read(unit).num_rows for unit in source.units(30)) == 80
    path.write_bytes(b"no Parquet any more")
    with pytest.raises(InputError, match=r"a\.parquet (is not readable|was replaced)"):
        source.read(units[2])
    path.unlink()
    with pytest.raises(InputError, match=r"a\.parquet is missing"):
        source.read(units[3])


def test_files_without_rows_are_refused(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        write(tmp_path / name, table_of(0))
    with pytest.raises(InputError, match="no images at .*: found 0 rows in 2 Parquet files"):
        open_parquet(str(tmp_path))
    write(tmp_path / "b.parquet", table_of(3))
    assert read_all(open_parquet(str(tmp_path))).num_rows == 3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [0.5] * 4}, r"b\.parquet: column label is double, expected integers"),
        ({"label": ["x"] * 4}, r"b\.parquet and .*a\.parquet differ in columns"),
        (
            {"image": ["x"] * 4},
            r"b\.parquet: image column is string; .* `kind: listed`",
        ),
        ({"image": None}, r"b\.parquet has no image column: found label"),
        ({"label": None}, r"b\.parquet has no label column: found image"),
    ],
)
def test_a_later_file_of_another_make_is_refused_at_once(tmp_path, columns, message):
    write(tmp_path / "a.parquet", table_of(4))
    table = table_of(4)
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.remove_column(place)
        if values is not None:
            table = table.append_column(name, pa.array(values))
    write(tmp_path / "b.parquet", table)
    with pytest.raises(InputError, match=message):
        open_parquet(str(tmp_path))


def test_a_column_there_twice_is_refused(tmp_path):
    table = table_of(4).append_column("image", pa.array([b"x"] * 4))
    write(tmp_path / "a.parquet", table)
    with pytest.raises(InputError, match=r"a\.parquet has 2 columns called image"):
        open_parquet(str(tmp_path))


def own(tmp_path, **columns):
    """A file that says rayqc wrote it."""
    columns = {name: pa.array(values) for name, values in columns.items()}
    table = table_of(4, **columns)
    metadata = {**table.schema.metadata, b"rayqc_schema": b"2"}
    return write(tmp_path / "own.parquet", table.replace_schema_metadata(metadata))


def test_ids_that_are_no_text_are_refused(tmp_path):
    good = [b"1", b"2", b"3"]
    bad = pa.Array.from_buffers(
        pa.string(), 4, pa.array([*good, b"\xff\xfe"], pa.binary()).buffers()
    )
    path = own(tmp_path, id=bad)
    source = open_parquet(str(path))
    (unit,) = source.units(WHOLE)
    with pytest.raises(InputError, match=r"own\.parquet is damaged in rows 0 to 3: .*UTF8"):
        source.read(unit)
    source = open_parquet(str(own(tmp_path, id=["1", None, "3", "4"])))
    with pytest.raises(InputError, match=r"damaged in rows 0 to 3: an id is null"):
        source.read(source.units(WHOLE)[0])
    source = open_parquet(str(own(tmp_path, id=[[1]] * 4)))
    with pytest.raises(InputError, match=r"own\.parquet is damaged in rows 0 to 3: "):
        source.read(source.units(WHOLE)[0])


def test_labels_beyond_the_numbers_are_refused(tmp_path):
    label = pa.array([0, 1, 2, 2**63 + 1], pa.uint64())
    table = table_of(4).set_column(1, "label", label)
    path = write(tmp_path / "a.parquet", table)
    source = open_parquet(str(path))
    for read in (source.read, source.labels):
        with pytest.raises(InputError, match=r"damaged in rows 0 to 3: Integer value 9223372"):
            read(source.units(WHOLE)[0])
    write(path, table.replace_schema_metadata({}))
    with pytest.raises(InputError, match=r"found label 9,223,372,036,854,775,809; expected 0 to"):
        open_parquet(str(path))


def test_labels_without_a_class_are_refused_in_real_images(tmp_path, caplog):
    table = table_of(4).set_column(1, "label", pa.array([0, 1, 7, -1]))
    source = open_parquet(str(write(tmp_path / "a.parquet", table)))
    message = "found 1 real images with labels that have no class, 7 first; expected 0 to 1, one of"
    with pytest.raises(InputError, match=message):
        read_all(source)
    with pytest.raises(InputError, match=message):
        select_references(source, 1, seed=0)
    table = table.set_column(1, "label", pa.array([0, 1, -1, None]))
    source = open_parquet(str(write(tmp_path / "a.parquet", table)))
    assert select_references(source, 1, seed=0).num_rows == 2
    assert "left out 2 images without a label" in caplog.text


def test_damage_of_every_kind_is_an_input_error(tmp_path, rng):
    path = tmp_path / "f.parquet"
    sound = np.frombuffer(write(path, table_of(), compression="zstd").read_bytes(), np.uint8)
    refused = 0
    for _ in range(200):
        data = sound.copy()
        # Half in the pages, half in the footer.
        first = 0 if rng.random() < 0.5 else sound.size - 900
        at = rng.integers(first, sound.size, rng.integers(1, 6))
        data[at] = rng.integers(0, 256, at.size)
        path.write_bytes(data)
        try:
            source = open_parquet(str(path))
            for unit in source.units(7):
                source.labels(unit)
                source.read(unit)["image"].to_pylist()
        except InputError as error:
            assert "f.parquet" in str(error)
            refused += 1
    assert refused > 50


def test_a_pipe_by_the_name_of_a_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"cannot read .*a\.parquet: is a pipe \(FIFO\)"):
        open_source(Data(path=str(tmp_path)))
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(InputError, match=r"cannot read .*a\.tar: is a pipe \(FIFO\)"):
        open_source(Data(path=str(tmp_path / "a.tar")))
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=r"cannot read .*train-images-idx3-ubyte: is a pipe"):
        open_source(Data(path=str(tmp_path)))


@pytest.mark.parametrize("name", ["a[1].parquet", "new\nline.parquet", "a*.parquet", "q?.parquet"])
def test_parquet_by_odd_names(tmp_path, name):
    path = write(tmp_path / name, table_of(4))
    for where in (tmp_path, path):
        source = open_source(Data(path=str(where)))
        assert source.files == (name,)
        assert read_all(source).num_rows == 4
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "._x.parquet").write_bytes(b"a note of macOS")
    assert open_source(Data(path=str(tmp_path))).files == (name,)


def test_what_find_files_leaves_out_is_counted(tmp_path, caplog):
    write(tmp_path / "a.parquet", table_of(4))
    (tmp_path / "._a.parquet").write_bytes(b"a note of macOS")
    (tmp_path / "again").symlink_to(".")
    open_parquet(str(tmp_path))
    assert "left out 1 hidden files, ._a.parquet first" in caplog.text
    assert "left out 1 linked folders (loops, or there already), again first" in caplog.text


def idx(tmp_path, images, labels=b"\0\0\x08\1\0\0\0\1\0"):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(images)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def test_broken_mnist_files_are_refused(tmp_path, monkeypatch):
    sound = gzip.compress(b"\0\0\x08\3" + b"\0\0\0\1" * 3 + b"\7")
    idx(tmp_path, sound)
    assert open_source(Data(path=str(tmp_path))).classes == tuple("0123456789")
    flipped = sound[:12] + b"\xff" * 9 + sound[21:]
    for i, broken in enumerate((b"no gzip", sound[:-10], flipped)):
        other = tmp_path / str(i)
        other.mkdir()
        idx(other, broken)
        with pytest.raises(InputError, match=r"idx3-ubyte\.gz is damaged: .*; download it again"):
            open_source(Data(path=str(other)))
    short = tmp_path / "short"
    short.mkdir()
    idx(short, gzip.compress(b"\0\0\x08\3\0\0"))
    with pytest.raises(InputError, match="IDX of 6 bytes, its header alone takes 16"):
        open_source(Data(path=str(short)))
    bomb = tmp_path / "bomb"
    bomb.mkdir()
    idx(bomb, gzip.compress(bytes(2000)))
    monkeypatch.setattr("rayqc.sources.mnist.MOST_BYTES", 1000)
    with pytest.raises(InputError, match=r"holds more than 1,000 bytes, which no MNIST does"):
        open_source(Data(path=str(bomb)))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([b"a", b"a"], "batches.meta: found class name 'a' more than once"),
        ([b"a", b""], "batches.meta: found class name ''; expected"),
        ([b"a", b"\xff"], "batches.meta: found a class name that is not UTF-8"),
        ([], "batches.meta: found no list of class names"),
        ("ab", "batches.meta: found no list of class names"),
    ],
)
def test_class_names_of_cifar_are_checked(tmp_path, names, message):
    batch = pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]})
    for i in range(1, 6):
        (tmp_path / f"data_batch_{i}").write_bytes(batch)
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}))
    with pytest.raises(InputError, match=message):
        open_source(Data(path=str(tmp_path)))
