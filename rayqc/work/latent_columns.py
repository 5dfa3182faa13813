"""Columns of latents and middle features in tables of encoded images.

Shape suffixes: N images, D latent, M middle features.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.schema import LATENT

MIDDLE = "middle"
LARGEST_HALF = 65504.0
"""The largest number of float16."""


def kept_latents(latent_ND: np.ndarray, kept_N: np.ndarray) -> pa.Array:
    """A column of float16 latents, null where they are not to be kept; huge values are cut off."""
    half_ND = np.clip(latent_ND, -LARGEST_HALF, LARGEST_HALF).astype(np.float16)
    return pc.if_else(pa.array(kept_N), vectors(half_ND), None)


def vectors(value_ND: np.ndarray) -> pa.FixedSizeListArray:
    """A column of N vectors."""
    return pa.FixedSizeListArray.from_arrays(pa.array(value_ND.ravel()), value_ND.shape[1])


def latent_matrix(table: pa.Table) -> np.ndarray:
    """(N, D) float32 of a table's column `latent`."""
    return _matrix(table, LATENT)


def given_latents(table: pa.Table) -> np.ndarray | None:
    """(N, D) float32 that came with a table's images; None where none did."""
    return latent_matrix(table) if LATENT in table.column_names else None


def middle_matrix(table: pa.Table) -> np.ndarray | None:
    """(N, M) float32 of a table's column `middle`; None where there is none."""
    return _matrix(table, MIDDLE) if MIDDLE in table.column_names else None


def _matrix(table: pa.Table, name: str) -> np.ndarray:
    column = table[name].combine_chunks()
    return np.asarray(pc.list_flatten(column)).reshape(table.num_rows, -1)
