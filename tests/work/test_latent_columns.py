"""Columns of latents: what no number is, is found."""

import numpy as np
import pyarrow as pa
import pytest

from rayqc.errors import InputError
from rayqc.work.latent_columns import finite_rows, inner_columns, refuse_nonfinite, vectors


def encoded(latent_ND, middle_NF):
    inner = inner_columns({"middle": np.asarray(middle_NF, np.float32)})
    ids = [f"real/{row}.png" for row in range(len(latent_ND))]
    return pa.table({"id": ids, "latent": vectors(np.asarray(latent_ND, np.float32)), **inner})


def test_real_images_without_a_number_are_named():
    sound = encoded([[1, 2], [3, 4], [5, 6]], [[1], [2], [3]])
    assert finite_rows(sound).all()
    refuse_nonfinite(sound, "references")
    odd = encoded([[1, 2], [3, np.nan], [5, 6]], [[1], [2], [-np.inf]])
    assert finite_rows(odd).tolist() == [True, False, False]
    with pytest.raises(InputError, match=r"2 of 3 references, real/1\.png first; mend the encoder"):
        refuse_nonfinite(odd, "references")
