"""Open one Parquet file of labelled images and check its columns."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rayqc.errors import InputError
from rayqc.sources.classes import classes_in_metadata, numbered_classes
from rayqc.sources.columns import as_images
from rayqc.sources.cut import UNIT_BYTES
from rayqc.sources.reading import open_file
from rayqc.storage import Folder

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")

DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, StopIteration)
"""Errors that readers of damaged bytes raise."""


def open_parquet_file(folder: Folder, name: str) -> pq.ParquetFile:
    """The file, opened; only its footer is read.

    Raises:
        InputError: the file is missing or is not Parquet.
        StorageError: the disk or the object store failed.
    """
    where = folder.path(name)
    file = open_file(folder, name)
    try:
        parquet_file = pq.ParquetFile(file, buffer_size=1 << 20)
        metadata = parquet_file.metadata
        group_rows = sum(metadata.row_group(g).num_rows for g in range(metadata.num_row_groups))
    except DAMAGE as error:
        raise InputError(f"{where} is not readable Parquet: {first_line(error)}") from error
    if group_rows != metadata.num_rows:
        raise InputError(
            f"{where} is not readable Parquet: its footer speaks of {metadata.num_rows:,} rows, "
            f"its row groups of {group_rows:,}"
        )
    return parquet_file


def image_column(schema: pa.Schema, where: str) -> str:
    """Name of the column of images.

    Raises:
        InputError: there is none, or its type holds no images.
    """
    name = _column(schema, IMAGE_COLUMNS, where, "image")
    field = schema.field(name)
    as_images(pa.chunked_array([], field.type), where, field.metadata)
    return name


def label_column(schema: pa.Schema, where: str) -> str:
    """Name of the column of labels.

    Raises:
        InputError: there is none, or it is not of integers.
    """
    name = _column(schema, LABEL_COLUMNS, where, "label")
    if not pa.types.is_integer(schema.field(name).type):
        raise InputError(f"{where}: column {name} is {schema.field(name).type}, expected integers")
    return name


def must_match(found: pa.Schema, where: str, first: pa.Schema, first_where: str) -> None:
    """Refuse a file whose columns or class names differ from the first file's.

    Raises:
        InputError: they differ, so that one label would mean different classes.
    """
    label = label_column(first, first_where)
    columns = (image_column(found, where), label_column(found, where))
    if columns != (image_column(first, first_where), label) or classes_in_metadata(
        found, label, where
    ) != classes_in_metadata(first, label, first_where):
        raise InputError(
            f"{where} and {first_where} differ in columns or class names; give each its own entry"
        )


def rows_that_fit(facts: pq.FileMetaData) -> int:
    """How many rows of the file's mean size fit in `UNIT_BYTES`, at least 1."""
    group_bytes = sum(facts.row_group(g).total_byte_size for g in range(facts.num_row_groups))
    return max(1, UNIT_BYTES * int(facts.num_rows) // max(int(group_bytes), 1))


def numbered(folder: Folder, files: list[str], label: str) -> tuple[str, ...]:
    """Names `0`, `1`, ... up to the largest label, where the files name no classes.

    Raises:
        InputError: a file is damaged or a label is too large.
    """
    largest = -1
    for name in files:
        file = open_parquet_file(folder, name)
        try:
            file_largest = pc.max(file.read(columns=[label])[label]).as_py()
        except DAMAGE as error:
            raise InputError(
                f"{folder.path(name)} is damaged in column {label}: {first_line(error)}"
            ) from error
        largest = max(largest, -1 if file_largest is None else int(file_largest))
    return numbered_classes(largest, str(folder))


def first_line(error: object) -> str:
    """First line of an error's text, or its type's name where it has no text."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _column(schema: pa.Schema, names: tuple[str, ...], where: str, content: str) -> str:
    for name in names:
        if schema.names.count(name) > 1:
            raise InputError(f"{where} has {schema.names.count(name)} columns called {name}")
        if name in schema.names:
            return name
    raise InputError(
        f"{where} has no {content} column: found {', '.join(schema.names)}; "
        f"expected one called {' or '.join(names)}"
    )
