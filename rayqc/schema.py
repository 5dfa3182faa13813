"""Columns of pools and of what the filter writes, as Arrow schemas with a version.

Plain Parquet: pyarrow, DuckDB, pandas, Ray and Hugging Face datasets read it without rayqc.
"""

from __future__ import annotations

import json

import pyarrow as pa

SCHEMA_VERSION = 2

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

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
    pa.field("label_evidence", pa.float32()),
    pa.field("quality_evidence", pa.float32()),
    pa.field("decided_by", pa.string()),
    pa.field("nearest_reference", pa.string()),
    pa.field("nearest_class", pa.string()),
    pa.field("near_copy", pa.bool_()),
    pa.field("verdict", pa.string(), nullable=False),
    pa.field("reason", pa.string()),
    pa.field("message", pa.string()),
]

PROBLEM = pa.field(
    "problem", pa.struct([pa.field("reason", pa.string()), pa.field("message", pa.string())])
)
"""Last column of a source's table in which some image could not be read; null where it could."""

VERDICTS = ("accepted", "rejected", "error")


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


def verdict_schema(classes: tuple[str, ...]) -> pa.Schema:
    """Columns of accepted, rejected and error shards: a candidate and its verdict."""
    return _with_metadata(CANDIDATE_FIELDS + SCORE_FIELDS, classes, image=True)


def score_schema(classes: tuple[str, ...]) -> pa.Schema:
    """Columns of scores/: a verdict without the image."""
    without_image = [field for field in CANDIDATE_FIELDS if field.name != "image"]
    return _with_metadata(without_image + SCORE_FIELDS, classes, image=False)


def image_bytes(table: pa.Table) -> list[bytes | None]:
    """Encoded images of a table's `image` column, in order; None where there is none."""
    return list(table["image"].combine_chunks().field("bytes").to_pylist())


def class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """Names of a ClassLabel column in Hugging Face metadata, None where there are none."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    feature = json.loads(raw).get("info", {}).get("features", {}).get(column, {})
    names = feature.get("names")
    return tuple(names) if names else None
