"""A column of latents that somebody's encoder gave before: vectors of one length, a row an image.

Shape suffixes: N rows, D latent.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.errors import InputError
from rayqc.sources.problems import Problem

NO_LATENT = "no_latent"
"""Reason of an image without a usable latent."""


def latent_values(column: pa.ChunkedArray, where: str) -> pa.Array:
    """A column of latents as a list or fixed-size list of numbers; null stays null.

    Args:
        column: lists, fixed-size lists or tensors (Arrow's or Ray Data's) of floats.
        where: name of the file, for errors.

    Raises:
        InputError: the column's type is none of these.
    """
    values = column.combine_chunks()
    values = values.chunk(0) if isinstance(values, pa.ChunkedArray) else values
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    dtype = values.type
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    is_list = any(of_type(dtype) for of_type in lists)
    if not is_list or not pa.types.is_floating(dtype.value_type):
        raise InputError(
            f"{where}: the column of latents is {dtype}; expected lists, fixed-size lists or "
            "tensors of floats, one vector an image"
        )
    return values


def dimension(column: pa.ChunkedArray, where: str) -> int:
    """D of a column of latents: of its first row that has one.

    Raises:
        InputError: see `latent_values`; or no row has one.
    """
    values = latent_values(column, where)
    if pa.types.is_fixed_size_list(values.type):
        return int(values.type.list_size)
    lengths = pc.list_value_length(values).drop_null()
    if not len(lengths):
        raise InputError(f"{where}: the column of latents is empty in its first rows")
    return int(lengths[0].as_py())


def latents_of(
    column: pa.ChunkedArray, dim: int, where: str
) -> tuple[pa.FixedSizeListArray, list[Problem | None]]:
    """The latents of N rows, zeros where a row has none of D finite numbers, and what is wrong.

    Raises:
        InputError: see `latent_values`.
    """
    values = latent_values(column, where)
    length_N = np.asarray(pc.fill_null(pc.list_value_length(values), -1))
    latent_ND = np.zeros((length_N.size, dim), np.float32)
    whole = np.flatnonzero(length_N == dim)
    flat = pc.list_flatten(values.take(pa.array(whole)))
    latent_ND[whole] = np.asarray(pc.fill_null(flat.cast(pa.float32()), np.nan)).reshape(-1, dim)
    finite_N = np.isfinite(latent_ND.sum(axis=1))
    latent_ND[~finite_N] = 0
    problems = [
        None if length == dim and finite else (NO_LATENT, _words(length, dim))
        for length, finite in zip(length_N.tolist(), finite_N.tolist(), strict=True)
    ]
    return pa.FixedSizeListArray.from_arrays(pa.array(latent_ND.ravel()), dim), problems


def _words(length: int, dim: int) -> str:
    if length < 0:
        return "the column of latents is null"
    if length != dim:
        return f"a latent of {length} numbers, expected {dim}"
    return "a latent with NaN or infinity"
