"""A column of images of any make, as struct<bytes, path>.

Encoded images stay as they are. Raw pixels, lists and tensors of whole numbers, become PNG once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.images.encode import encode_png
from rayqc.schema import IMAGE_TYPE

EXPECTED = (
    "encoded bytes as binary, struct<bytes, path> or list<uint8>, or raw uint8 pixels (H, W) or "
    "(H, W, C) as nested or fixed-size lists or tensors"
)


def as_images(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """The images of a column, one struct<bytes, path> a row; null stays null.

    Args:
        column: dictionaries and views of any of these: binary, struct with a field `bytes`,
            list<uint8> of encoded bytes; raw pixels as list<list<uint8>> (H, W),
            list<list<list<uint8>>> (H, W, C), fixed-size lists of H * W or H * W * 3 values of a
            square image, or fixed-shape tensors (H, W) or (H, W, C).
        where: names the file in errors.

    Raises:
        InputError: the column's type is none of these.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return as_images(column.cast(kind.value_type), where)
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return _from_struct(column, where)
    if _is_binary(kind):
        return _joined(column.cast(pa.binary()).combine_chunks())
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and kind.value_type == pa.uint8():
        return _joined(pa.array(_flat(column), pa.binary()))
    pixels = _pixels(column, where)
    if pixels is None:
        raise InputError(f"{where}: image column is {kind}; expected {EXPECTED}")
    return _joined(pa.array([_png(found) for found in pixels], pa.binary()))


def image_array(data: list[bytes | None], paths: list[str]) -> pa.StructArray:
    """Encoded images and where each lies, as struct<bytes, path>; null where there are no bytes."""
    return pa.StructArray.from_arrays(
        [pa.array(data, pa.binary()), pa.array(paths, pa.string())],
        fields=list(IMAGE_TYPE),
        mask=pa.array([one is None for one in data], pa.bool_()),
    )


def _pixels(column: pa.ChunkedArray, where: str) -> Iterator[np.ndarray | None] | None:
    """Raw pixels of each row, None for a column of another make."""
    kind = column.type
    if isinstance(kind, pa.FixedShapeTensorType) and kind.value_type == pa.uint8():
        return _tensors(column)
    if pa.types.is_fixed_size_list(kind) and kind.value_type == pa.uint8():
        return _squares(column, kind.list_size, where)
    return _nested(column) if _is_nested(kind) else None


def _is_binary(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(test(kind) for test in tests)


def _is_nested(kind: pa.DataType) -> bool:
    """A list of whole numbers, or of such lists."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not (lists or pa.types.is_fixed_size_list(kind)):
        return False
    return bool(kind.value_type == pa.uint8()) or _is_nested(kind.value_type)


def _from_struct(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # without rows
        return pa.chunked_array([], IMAGE_TYPE)
    data = as_images(pa.chunked_array([whole.field("bytes")]), where).combine_chunks()
    if whole.type.get_field_index("path") >= 0:
        paths = whole.field("path").cast(pa.string())
    else:
        paths = pa.nulls(len(whole), pa.string())
    return _joined(data.field("bytes"), paths)


def _joined(data: pa.Array, paths: pa.Array | None = None) -> pa.ChunkedArray:
    if isinstance(data, pa.ChunkedArray):
        return pa.chunked_array([], IMAGE_TYPE)
    paths = pa.nulls(len(data), pa.string()) if paths is None else paths
    return pa.chunked_array([pa.StructArray.from_arrays([data, paths], fields=list(IMAGE_TYPE))])


def _flat(column: pa.ChunkedArray) -> Iterator[bytes | None]:
    for chunk in column.chunks:
        values_P = chunk.values.to_numpy(zero_copy_only=False)
        bounds = chunk.offsets.to_numpy()
        for row, (start, stop) in enumerate(itertools.pairwise(bounds)):
            yield values_P[start:stop].tobytes() if chunk[row].is_valid else None


def _squares(column: pa.ChunkedArray, size: int, where: str) -> Iterator[np.ndarray | None]:
    for channels in (1, 3):
        side = round((size / channels) ** 0.5)
        if side * side * channels == size:
            break
    else:
        raise InputError(
            f"{where}: image column has {size} values a row, which is no square of 1 or 3 channels"
        )
    for row in column:
        pixels = None if not row.is_valid else row.values.to_numpy(zero_copy_only=False)
        yield None if pixels is None else pixels.reshape(side, side, channels)


def _tensors(column: pa.ChunkedArray) -> Iterator[np.ndarray | None]:
    for chunk in column.chunks:
        pixels_N = chunk.to_numpy_ndarray()
        for row in range(len(chunk)):
            yield pixels_N[row] if chunk[row].is_valid else None


def _nested(column: pa.ChunkedArray) -> Iterator[np.ndarray | None]:
    for value in column.to_pylist():
        try:
            yield None if value is None else np.array(value, dtype=np.uint8)
        except (ValueError, TypeError):  # ragged, or null pixels
            yield np.zeros(0, np.uint8)


def _png(pixels: np.ndarray | None) -> bytes | None:
    """PNG; what is no image becomes bytes that no decoder takes, and so a row of errors."""
    if pixels is None:
        return None
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        return b"raw pixels of shape " + str(pixels.shape).encode()
    return encode_png(pixels)
