"""A column of images of any type, as struct<bytes, path>.

Encoded images are kept as they are. Raw pixels, which are lists or tensors of whole numbers, are
encoded as PNG once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.images.decode import RAW_PIXELS
from rayqc.images.encode import encode_png
from rayqc.schema import IMAGE_TYPE
from rayqc.sources.ray_tensors import pixels_of_ray_tensors

CHANNELS = (1, 3)
EXPECTED = (
    "encoded bytes as binary, struct<bytes, path> or list<uint8>, or raw uint8 pixels (H, W) or "
    "(H, W, C) or (C, H, W) as nested or fixed-size lists or tensors"
)


def as_images(
    column: pa.ChunkedArray, where: str, metadata: Mapping[bytes, bytes] | None = None
) -> pa.ChunkedArray:
    """The images of a column, one struct<bytes, path> a row; null stays null.

    Args:
        column: encoded bytes as binary, list<uint8> or a struct with a field `bytes`; or raw
            pixels as list<list<uint8>> (H, W), list<list<list<uint8>>> (H, W, C), fixed-size lists
            of the H * W or H * W * 3 values of a square image, or Arrow's or Ray Data's tensors
            (H, W), (H, W, C) or (C, H, W). Dictionaries and views of these are taken too.
        where: name of the file, for errors.
        metadata: of the column's field; names types that are not registered here.

    Raises:
        InputError: the column's type is none of these.
    """
    ray_pixels = pixels_of_ray_tensors(column, metadata)
    if ray_pixels is not None:
        return _image_column(pa.array([_png_or_marker(image) for image in ray_pixels], pa.binary()))
    column = _unwrapped(column)
    dtype = column.type
    if pa.types.is_struct(dtype) and dtype.get_field_index("bytes") >= 0:
        return _images_of_structs(column, where)
    if _is_binary(dtype):
        return _image_column(column.cast(pa.binary()).combine_chunks())
    if (
        pa.types.is_list(dtype) or pa.types.is_large_list(dtype)
    ) and dtype.value_type == pa.uint8():
        return _image_column(pa.array(_bytes_of_lists(column), pa.binary()))
    images = _pixels(column, where)
    if images is None:
        raise InputError(f"{where}: image column is {dtype}; expected {EXPECTED}")
    return _image_column(pa.array([_png_or_marker(image) for image in images], pa.binary()))


def _unwrapped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a dictionary, and what types such as Hugging Face's Array3D are stored as."""
    dtype = column.type
    if pa.types.is_dictionary(dtype):
        return _unwrapped(column.cast(dtype.value_type))
    if isinstance(dtype, pa.BaseExtensionType) and not isinstance(dtype, pa.FixedShapeTensorType):
        stored = [chunk.storage for chunk in column.chunks]
        return _unwrapped(pa.chunked_array(stored, dtype.storage_type))
    return column


def image_array(data: list[bytes | None], paths: list[str]) -> pa.StructArray:
    """Encoded images and their paths as struct<bytes, path>; null where `data` is None."""
    return pa.StructArray.from_arrays(
        [pa.array(data, pa.binary()), pa.array(paths, pa.string())],
        fields=list(IMAGE_TYPE),
        mask=pa.array([encoded is None for encoded in data], pa.bool_()),
    )


def _pixels(column: pa.ChunkedArray, where: str) -> Iterator[np.ndarray | None] | None:
    """Raw pixels of each row; None where the column's type is not one of raw pixels."""
    dtype = column.type
    if isinstance(dtype, pa.FixedShapeTensorType) and dtype.value_type == pa.uint8():
        return _pixels_of_tensors(column)
    if pa.types.is_fixed_size_list(dtype) and dtype.value_type == pa.uint8():
        return _pixels_of_squares(column, dtype.list_size, where)
    return _pixels_of_lists(column) if _is_nested(dtype) else None


def _is_binary(dtype: pa.DataType) -> bool:
    type_tests = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(is_type(dtype) for is_type in type_tests)


def _is_nested(dtype: pa.DataType) -> bool:
    """Whether the type is a list of uint8, or a list of such lists."""
    is_list = pa.types.is_list(dtype) or pa.types.is_large_list(dtype)
    if not (is_list or pa.types.is_fixed_size_list(dtype)):
        return False
    return bool(dtype.value_type == pa.uint8()) or _is_nested(dtype.value_type)


def _images_of_structs(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    structs = column.combine_chunks()
    if isinstance(structs, pa.ChunkedArray):  # a column without rows
        return pa.chunked_array([], IMAGE_TYPE)
    data = as_images(pa.chunked_array([structs.field("bytes")]), where).combine_chunks()
    if structs.type.get_field_index("path") >= 0:
        paths = structs.field("path").cast(pa.string())
    else:
        paths = pa.nulls(len(structs), pa.string())
    return _image_column(data.field("bytes"), paths)


def _image_column(data: pa.Array, paths: pa.Array | None = None) -> pa.ChunkedArray:
    if isinstance(data, pa.ChunkedArray):
        return pa.chunked_array([], IMAGE_TYPE)
    paths = pa.nulls(len(data), pa.string()) if paths is None else paths
    return pa.chunked_array([pa.StructArray.from_arrays([data, paths], fields=list(IMAGE_TYPE))])


def _bytes_of_lists(column: pa.ChunkedArray) -> Iterator[bytes | None]:
    for chunk in column.chunks:
        byte_values = chunk.values.to_numpy(zero_copy_only=False)
        bounds = chunk.offsets.to_numpy()
        for row, (start, stop) in enumerate(itertools.pairwise(bounds)):
            yield byte_values[start:stop].tobytes() if chunk[row].is_valid else None


def _pixels_of_squares(
    column: pa.ChunkedArray, size: int, where: str
) -> Iterator[np.ndarray | None]:
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


def _pixels_of_tensors(column: pa.ChunkedArray) -> Iterator[np.ndarray | None]:
    for chunk in column.chunks:
        pixels_N = chunk.to_numpy_ndarray()
        for row in range(len(chunk)):
            yield pixels_N[row] if chunk[row].is_valid else None


def _pixels_of_lists(column: pa.ChunkedArray) -> Iterator[np.ndarray | None]:
    for value in column.to_pylist():
        try:
            yield None if value is None else np.array(value, dtype=np.uint8)
        except (ValueError, TypeError):  # ragged, or null pixels
            yield np.zeros(0, np.uint8)


def _png_or_marker(pixels: np.ndarray | None) -> bytes | None:
    """PNG bytes; an array that is no image gives bytes that every decoder refuses."""
    if pixels is None:
        return None
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim == 3 and pixels.shape[2] not in CHANNELS and pixels.shape[0] in CHANNELS:
        pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0))  # (C, H, W), as PyTorch has them
    if pixels.ndim != 3 or pixels.shape[2] not in CHANNELS or 0 in pixels.shape:
        return RAW_PIXELS + str(pixels.shape).encode()
    return encode_png(pixels)
