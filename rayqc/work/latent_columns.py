"""Columns of latents and of features of inner layers, in tables of encoded images.

Shape suffixes: N images, D latent, F features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.errors import InputError
from rayqc.schema import LATENT

INNER = "inner."
"""Begins the name of a column of features of an inner layer; the features' name follows."""
LARGEST_HALF = 65504.0
"""The largest number of float16."""


def kept_latents(latent_ND: np.ndarray, kept_N: np.ndarray) -> pa.Array:
    """A column of float16 latents, NaN where they are not to be kept; huge values are cut off.

    No row is null: lists of a fixed size with nulls are read back by PyArrow from 26 on only.
    """
    half_ND = np.clip(latent_ND, -LARGEST_HALF, LARGEST_HALF).astype(np.float16)
    half_ND[~kept_N] = np.nan
    return vectors(half_ND)


def vectors(value_ND: np.ndarray) -> pa.FixedSizeListArray:
    """A column of N vectors."""
    return pa.FixedSizeListArray.from_arrays(pa.array(value_ND.ravel()), value_ND.shape[1])


def latent_matrix(table: pa.Table) -> np.ndarray:
    """(N, D) float32 of a table's column `latent`."""
    return _matrix(table, LATENT)


def given_latents(table: pa.Table) -> np.ndarray | None:
    """(N, D) float32 that came with a table's images; None where none did."""
    return latent_matrix(table) if LATENT in table.column_names else None


def inner_columns(inner: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
    """Columns of features of inner layers, by name of the column; see `inner_matrices`."""
    return {INNER + name: vectors(value_NF) for name, value_NF in inner.items()}


def inner_matrices(table: pa.Table) -> dict[str, np.ndarray]:
    """(N, F) float32 of each of a table's columns of features of inner layers, by their names."""
    names = [name for name in table.column_names if name.startswith(INNER)]
    return {name.removeprefix(INNER): _matrix(table, name) for name in names}


def finite_rows(table: pa.Table) -> np.ndarray:
    """(N,) bool: are the latent, and the features of inner layers, numbers throughout?"""
    return all_finite([latent_matrix(table), *inner_matrices(table).values()])


def all_finite(values: Iterable[np.ndarray]) -> np.ndarray:
    """(N,) bool: are all of these (N, F) features of an image numbers?"""
    return np.asarray(np.all([np.isfinite(value_NF).all(1) for value_NF in values], axis=0))


def refuse_nonfinite(encoded: pa.Table, what: str) -> None:
    """Refuse real images of which an encoder says no number: one decides all that is fitted.

    Args:
        encoded: columns id, latent and features of inner layers.
        what: the images are, in the plural.

    Raises:
        InputError: there are some.
    """
    bad = np.flatnonzero(~finite_rows(encoded))
    if bad.size:
        raise InputError(
            f"the encoder gives NaN or infinity for {bad.size:,} of {encoded.num_rows:,} {what}, "
            f"{encoded['id'][bad[0]].as_py()} first; mend the encoder, or take these images out"
        )


def _matrix(table: pa.Table, name: str) -> np.ndarray:
    column = table[name].combine_chunks()
    if not table.num_rows:
        return np.zeros((0, max(0, getattr(column.type, "list_size", 0))), np.float32)
    return np.asarray(pc.list_flatten(column)).reshape(table.num_rows, -1)
