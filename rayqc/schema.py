"""Columns of pools and of the filter's shards, as Arrow schemas with a version.

Plain Parquet: pyarrow, DuckDB, pandas, Ray and Hugging Face datasets read it without rayqc.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from rayqc.kinds import SCORES
from rayqc.verdicts import OF_EVIDENCE

SCHEMA_VERSION = 8
NO_LABEL = -1
MOST_JOINED = 2**30
"""Bytes of a table whose chunks may be joined; a column of bytes has less than 2 GiB of them."""

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def evidence_column(score: str) -> str:
    """The column that holds the evidence of a score, in nats."""
    return f"{score}{OF_EVIDENCE}"


CANDIDATE_FIELDS = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("image", IMAGE_TYPE),
    pa.field("label", pa.int64()),
    pa.field("source", pa.string()),
    pa.field("parent", pa.string()),
]

SCORE_FIELDS = [
    pa.field("score", pa.float32()),
    pa.field("distance", pa.float32()),
    pa.field("radius", pa.float32()),
    pa.field("p_value", pa.float32()),
    *(pa.field(evidence_column(name), pa.float32()) for name in SCORES.names),
    pa.field("decided_by", pa.string()),
    pa.field("nearest_reference", pa.string()),
    pa.field("nearest_class", pa.string()),
    pa.field("near_copy", pa.bool_()),
    pa.field("verdict", pa.string(), nullable=False),
    pa.field("reason", pa.string()),
    pa.field("message", pa.string()),
]

LATENT = "latent"
"""The column of scores/ that holds latents, where they were kept: a list of D float16."""

PIXELS, LOOK = "pixel_digest", "perceptual_hash"
PIXELS_BYTES, LOOK_BYTES = 16, 35
FINGERPRINT_FIELDS = [
    pa.field(PIXELS, pa.binary(PIXELS_BYTES)),
    pa.field(LOOK, pa.binary(LOOK_BYTES)),
]
"""Columns of scores/ that duplicates are found by: see `images.fingerprint`; null of images that
could not be decoded."""

WIDTH, HEIGHT = "width", "height"
OWN_SIZE_FIELDS = [pa.field(WIDTH, pa.int32()), pa.field(HEIGHT, pa.int32())]
"""Columns of scores/ for the image's own size, as it is shown; null of images that could not be
decoded."""

SEEN_FIELDS = FINGERPRINT_FIELDS + OWN_SIZE_FIELDS
"""Columns of scores/ that say what an image is; scores of earlier versions have fewer."""

PROBLEM = pa.field(
    "problem", pa.struct([pa.field("reason", pa.string()), pa.field("message", pa.string())])
)
"""Last column of a source's table if some image could not be read; null for those that were."""


def _with_metadata(fields: list[pa.Field], classes: tuple[str, ...], image: bool) -> pa.Schema:
    features: dict[str, object] = {"label": {"names": list(classes), "_type": "ClassLabel"}}
    if image:
        features["image"] = {"_type": "Image"}
    return pa.schema(
        fields,
        metadata={
            "huggingface": json.dumps({"info": {"features": features}}),
            "rayqc_schema": str(SCHEMA_VERSION),
        },
    )


def candidate_schema(classes: tuple[str, ...]) -> pa.Schema:
    """Columns of a pool: id, image, label, source, parent."""
    return _with_metadata(CANDIDATE_FIELDS, classes, image=True)


def candidate_table(
    classes: tuple[str, ...],
    *,
    ids: Any,
    images: Any,
    labels: Any,
    sources: Any,
    parents: Any = None,
) -> pa.Table:
    """A table of candidates, as `candidate_schema`; each argument is N values or a column.

    Args:
        classes: names of the labels.
        ids: str.
        images: encoded bytes, None where there are none, or a struct<bytes, path> column.
        labels: (N,) int64, -1 where there is none; or a column.
        sources: str, where each image comes from.
        parents: str, the reference that each was made from; None where there is none.
    """
    if isinstance(labels, np.ndarray):
        labels = pa.array(labels, pa.int64(), mask=labels == NO_LABEL)
    if not isinstance(images, pa.Array | pa.ChunkedArray):
        rows = [None if data is None else {"bytes": data, "path": None} for data in images]
        images = pa.array(rows, IMAGE_TYPE)
    columns = {
        "id": _strings(ids),
        "image": images,
        "label": labels,
        "source": _strings(sources),
        "parent": pa.nulls(len(labels), pa.string()) if parents is None else _strings(parents),
    }
    return pa.table(columns, schema=candidate_schema(classes))


def _strings(values: Iterable[str] | pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    return pa.array(values, pa.string())


def verdict_schema(classes: tuple[str, ...]) -> pa.Schema:
    """Columns of accepted, rejected and error shards: a candidate and its verdict."""
    return _with_metadata(CANDIDATE_FIELDS + SCORE_FIELDS, classes, image=True)


def score_schema(
    classes: tuple[str, ...], latent_dim: int | None = None, seen: Collection[str] = ()
) -> pa.Schema:
    """Columns of scores/: a verdict without the image.

    Args:
        latent_dim: D of the latents that are kept beside it; None keeps none.
        seen: names of the `SEEN_FIELDS` that are kept.
    """
    fields = [field for field in CANDIDATE_FIELDS if field.name != "image"] + SCORE_FIELDS
    fields += [field for field in SEEN_FIELDS if field.name in seen]
    if latent_dim is not None:
        fields.append(pa.field(LATENT, pa.list_(pa.float16(), latent_dim)))
    return _with_metadata(fields, classes, image=False)


def like_scores(schema: pa.Schema, classes: tuple[str, ...]) -> pa.Schema:
    """Columns of scores/ with what a table of scores has besides, in the columns' own order."""
    return score_schema(classes, kept_latent_dim(schema), schema.names)


def cast_to(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with exactly the columns of a schema.

    Those that it lacks, as where an earlier version wrote it, are null.
    """
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def kept_latent_dim(schema: pa.Schema) -> int | None:
    """D of the latents that a table of scores holds; None where it holds none."""
    place = schema.get_field_index(LATENT)
    return None if place < 0 else int(schema.field(place).type.list_size)


def image_bytes(table: pa.Table) -> list[bytes | None]:
    """Encoded bytes of a table's images, in order; None for an image without bytes."""
    return [data for chunk in table["image"].chunks for data in chunk.field("bytes").to_pylist()]


def each_image(table: pa.Table) -> Iterator[bytes | None]:
    """What `image_bytes` gives, one after another: without a second copy of all of them."""
    for chunk in table["image"].chunks:
        for data in chunk.field("bytes"):
            yield data.as_py()


def take_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Rows of a table in this order, however many bytes its images have.

    PyArrow's own `take` joins all of a column first, and fails where that has 2 GiB and more.

    Args:
        rows: (N,) int64.
    """
    if table.nbytes < MOST_JOINED:
        return table.take(pa.array(rows))
    taken = pa.concat_tables([table.slice(0, 0), *(table.slice(row, 1) for row in rows.tolist())])
    return taken.combine_chunks() if taken.nbytes < MOST_JOINED else taken


def class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """Class names of a column in Hugging Face metadata (ClassLabel); None where there are none."""
    metadata_json = (schema.metadata or {}).get(b"huggingface")
    if metadata_json is None:
        return None
    feature = json.loads(metadata_json).get("info", {}).get("features", {}).get(column, {})
    names = feature.get("names")
    return tuple(names) if names else None
