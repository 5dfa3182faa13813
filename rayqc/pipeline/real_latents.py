"""Latents of real images that `fit` encoded, so that no later stage encodes them again."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from rayqc.pipeline.run import REFERENCES, Run
from rayqc.schema import LATENT, each_image
from rayqc.storage import digest, read_table, write_table

TEST_LATENTS = "test_latents.parquet"
"""File of columns digest, of an image's bytes, and latent."""
DIGEST = "digest"


def keep_test_latents(run: Run, images: pa.Table, encoded: pa.Table) -> None:
    """Write the latents of test images, named by the images' bytes: the data may change later."""
    table = pa.table({DIGEST: _digests(images), LATENT: encoded[LATENT]})
    write_table(run.folder, TEST_LATENTS, table)


def with_test_latents(run: Run, images: pa.Table) -> pa.Table:
    """The test images, with a column of latents if all of them were kept."""
    if LATENT in images.column_names or not run.folder.exists(TEST_LATENTS):
        return images
    kept = read_table(run.folder, TEST_LATENTS)
    rows = pc.index_in(pa.array(_digests(images)), kept[DIGEST])
    if rows.null_count:
        return images
    return images.append_column(LATENT, kept[LATENT].take(rows))


def with_reference_latents(run: Run, references: pa.Table) -> pa.Table:
    """The references, with the column of latents that `fit` wrote."""
    if LATENT in references.column_names:
        return references
    return references.append_column(LATENT, read_table(run.folder, REFERENCES)[LATENT])


def _digests(images: pa.Table) -> list[str]:
    return [digest(data or b"") for data in each_image(images)]
