"""Ray Data's own tensor columns, read whether or not Ray has registered their types here.

Ray 2.60 writes `ray.data.arrow_tensor_v2` (one shape, in the type's metadata) and
`ray.data.arrow_variable_shaped_tensor` (values and shape of each row).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

PREFIX = "ray.data."
VARIABLE = "ray.data.arrow_variable_shaped_tensor"
NAME, PARAMETERS = b"ARROW:extension:name", b"ARROW:extension:metadata"
"""Keys of a field's metadata where the type is not registered."""


def pixels_of_ray_tensors(
    column: pa.ChunkedArray, metadata: Mapping[bytes, bytes] | None
) -> Iterator[np.ndarray | None] | None:
    """The uint8 values of each row, null stays null; None where the column is no such one.

    Args:
        metadata: of the column's field.
    """
    dtype, known = column.type, metadata or {}
    if isinstance(dtype, pa.ExtensionType) and dtype.extension_name.startswith(PREFIX):
        name, parameters = dtype.extension_name, dtype.__arrow_ext_serialize__()
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], dtype.storage_type)
    else:
        name, parameters = known.get(NAME, b"").decode(), known.get(PARAMETERS, b"")
    if not name.startswith(PREFIX):
        return None
    if name == VARIABLE:
        shaped = pa.types.is_struct(column.type) and column.type.field("data").type
        return _of_shapes(column) if shaped and shaped.value_type == pa.uint8() else None
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if not is_list or column.type.value_type != pa.uint8():
        return None
    return _of_one_shape(column, json.loads(parameters))


def _of_one_shape(column: pa.ChunkedArray, shape: list[int]) -> Iterator[np.ndarray | None]:
    for row in column:
        yield row.values.to_numpy().reshape(shape) if row.is_valid else None


def _of_shapes(column: pa.ChunkedArray) -> Iterator[np.ndarray | None]:
    for row in column:
        if row.is_valid:
            yield row["data"].values.to_numpy().reshape(row["shape"].as_py())
        else:
            yield None
