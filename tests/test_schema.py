"""Tables of images, of any number of bytes."""

import numpy as np
import pyarrow as pa
import pytest

from rayqc.schema import IMAGE_TYPE, image_bytes, take_rows

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


@pytest.mark.long
def test_images_of_more_bytes_than_a_column_has_in_one_piece_are_read():
    found = image_bytes(table_of(GIANT))
    assert [len(data) for data in found] == [GIANT, 3, 3, GIANT, 5]
