"""Tables of images, of any number of bytes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rayqc.errors import ArtefactError
from rayqc.schema import IMAGE_TYPE, image_bytes, take_rows
from rayqc.sources.rows import RowReader
from rayqc.storage import Folder, formats, read_table, write_table

GIANT = 1_200_000_000
"""Bytes of an image: of two of them Arrow makes no column in one piece."""


def chunk(giant, *contents):
    """A chunk of images, the first of so many zero bytes: memory that is never touched."""
    ends = np.cumsum([giant, *map(len, contents)])
    values = np.zeros(ends[-1], np.uint8)
    values[giant:] = np.frombuffer(b"".join(contents), np.uint8)
    offsets = pa.py_buffer(np.array([0, *ends], np.int32))
    data = pa.Array.from_buffers(pa.binary(), len(ends), [None, offsets, pa.py_buffer(values)])
    paths = pa.nulls(len(ends), pa.string())
    return pa.StructArray.from_arrays([data, paths], fields=list(IMAGE_TYPE))


def table_of(giant):
    chunks = [chunk(giant, b"one", b"two"), chunk(giant, b"three")]
    return pa.table({"id": list("abcde"), "image": pa.chunked_array(chunks)})


@pytest.mark.parametrize("giant", [7, GIANT])
def test_rows_are_taken_in_their_order_of_a_table_of_any_size(giant):
    table = table_of(giant)
    taken = take_rows(table, np.array([4, 1, 2, 1]))
    assert taken["id"].to_pylist() == ["e", "b", "c", "b"]
    assert image_bytes(taken) == [b"three", b"one", b"two", b"one"]
    assert taken["image"].num_chunks == 1
    nothing = take_rows(table, np.array([], np.int64))
    assert nothing.num_rows == 0
    assert nothing.schema == table.schema


def test_rows_stay_in_pieces_where_they_do_not_fit_in_one():
    table = table_of(GIANT)
    taken = take_rows(table, np.array([3, 0, 4]))
    assert taken["id"].to_pylist() == ["d", "a", "e"]
    assert taken["image"].num_chunks > 1
    with pytest.raises(pa.ArrowInvalid, match="offset overflow"):
        table.take(pa.array([3, 0, 4]))  # or `take_rows` can go


def images_of(contents):
    rows = [None if data is None else {"bytes": data, "path": None} for data in contents]
    numbers = list(range(len(rows)))
    table = pa.table({"id": list(map(str, numbers)), "image": pa.array(rows, IMAGE_TYPE)})
    return table.append_column("number", pa.array(numbers)).replace_schema_metadata({"of": "these"})


def test_groups_of_rows_have_so_many_bytes(tmp_path, rng):
    large = images_of([rng.bytes(2_000_000) for _ in range(20)])
    folder = Folder(str(tmp_path))
    write_table(folder, "large.parquet", large)
    write_table(folder, "small.parquet", images_of([b"a"] * 3000))
    counts = {
        name: [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        for name in ("large.parquet", "small.parquet")
        for file in [pq.ParquetFile(tmp_path / name)]
    }
    assert counts == {"large.parquet": [8, 8, 4], "small.parquet": [1024, 1024, 952]}
    assert read_table(folder, "large.parquet").equals(large)
    reader = RowReader(pq.ParquetFile(tmp_path / "large.parquet"), ["id", "image"])
    assert reader.read(5, 16).equals(large.select(["id", "image"]).slice(5, 11))


@pytest.mark.parametrize("columns", [None, ["number"], ["image", "id"]])
def test_a_large_file_is_read_in_pieces_as_in_one(columns, tmp_path, rng, monkeypatch):
    table = images_of([rng.bytes(300), None, *[rng.bytes(n) for n in range(2500)]])
    folder = Folder(str(tmp_path))
    write_table(folder, "some.parquet", table)
    whole = read_table(folder, "some.parquet", columns)
    monkeypatch.setattr(formats, "READ_WHOLE", 1)
    monkeypatch.setattr(formats, "GROUP_BYTES", 70_000)
    in_pieces = read_table(folder, "some.parquet", columns)
    assert in_pieces.column_names == whole.column_names
    assert in_pieces.schema.equals(whole.schema, check_metadata=True)
    assert in_pieces.equals(whole)
    (tmp_path / "some.parquet").write_bytes((tmp_path / "some.parquet").read_bytes()[:-9])
    with pytest.raises(ArtefactError, match="is not readable Parquet"):
        read_table(folder, "some.parquet", columns)


def table_of_pieces(beginnings):
    """Images of eight megabytes that begin so, in three pieces."""
    pieces = np.array_split(np.array(beginnings), 3)
    chunks = [chunk(0, *[bytes(each).ljust(8_000_000, b".") for each in piece]) for piece in pieces]
    return pa.table({"image": pa.chunked_array(chunks)})


def beginnings_of(column):
    """The first four bytes of each image."""
    data = [each for piece in column.chunks for each in piece.field("bytes")]
    return [each.as_buffer().to_pybytes()[:4] for each in data]


@pytest.mark.long
def test_a_file_of_more_bytes_than_a_column_has_in_one_piece_is_read(tmp_path):
    """Also one of a single group of rows, as others may write it, and one of equal images."""
    folder, table = (
        Folder(str(tmp_path)),
        table_of_pieces([n.to_bytes(4, "big") for n in range(300)]),
    )
    equal = table_of_pieces([b"same"] * 300)
    write_table(folder, "several.parquet", table)
    pq.write_table(table, tmp_path / "one.parquet", compression="zstd", row_group_size=1000)
    pq.write_table(equal, tmp_path / "equal.parquet", compression="zstd", row_group_size=1000)
    for name, expected in {"several": table, "one": table, "equal": equal}.items():
        path = tmp_path / f"{name}.parquet"
        with pytest.raises(pa.ArrowNotImplementedError, match="Nested data"):
            pq.ParquetFile(path).read()  # or reading in pieces can go
        found = read_table(folder, path.name)["image"]
        assert beginnings_of(found) == beginnings_of(expected["image"])
        if name != "equal":
            reader = RowReader(pq.ParquetFile(path), ["image"])
            assert reader.read(298, 303).num_rows == 2


@pytest.mark.long
def test_images_of_more_bytes_than_a_column_has_in_one_piece_are_read():
    found = image_bytes(table_of(GIANT))
    assert [len(data) for data in found] == [GIANT, 3, 3, GIANT, 5]
