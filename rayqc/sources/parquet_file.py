"""Open one Parquet file of labelled images and check its columns."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rayqc.errors import InputError
from rayqc.sources.classes import checked_classes, classes_in_metadata, numbered_classes
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


def image_column(schema: pa.Schema, where: str, names: tuple[str, ...] = IMAGE_COLUMNS) -> str:
    """The first of these names that a column has, which must hold images.

    Raises:
        InputError: there is none, or its type holds no images.
    """
    name = _column(schema, names, where, "image")
    field = schema.field(name)
    if is_text(field.type):
        raise InputError(
            f"{where}: image column is {field.type}; expected images, or `kind: listed` where the "
            "column holds paths of images"
        )
    as_images(pa.chunked_array([], field.type), where, field.metadata)
    return name


def label_column(schema: pa.Schema, where: str, names: tuple[str, ...] = LABEL_COLUMNS) -> str:
    """The first of these names that a column has, which must hold labels.

    Raises:
        InputError: there is none, or it holds neither whole numbers nor names.
    """
    name = _column(schema, names, where, "label")
    dtype = schema.field(name).type
    if not pa.types.is_integer(dtype) and not is_text(dtype):
        raise InputError(
            f"{where}: column {name} is {dtype}, expected integers or names of classes; another is "
            f"named by `label_column`, one of {', '.join(schema.names)}"
        )
    return name


def is_text(dtype: pa.DataType) -> bool:
    """Whether a column of this type holds strings, also as a dictionary."""
    if pa.types.is_dictionary(dtype):
        return is_text(dtype.value_type)
    return bool(
        pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or dtype == pa.string_view()
    )


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """Names that the columns of images and of labels may have, the first to be taken first."""

    image: tuple[str, ...] = IMAGE_COLUMNS
    label: tuple[str, ...] = LABEL_COLUMNS

    def of(self, schema: pa.Schema, where: str) -> tuple[str, str]:
        """Names of the columns of images and of labels; raises as the functions above."""
        return image_column(schema, where, self.image), label_column(schema, where, self.label)


def must_match(
    found: pa.Schema, where: str, first: pa.Schema, first_where: str, names: ColumnNames
) -> None:
    """Refuse a file whose columns or class names differ from the first file's.

    Raises:
        InputError: they differ, so that one label would mean different classes.
    """
    columns = names.of(found, where)
    if (
        columns != names.of(first, first_where)
        or is_text(found.field(columns[1]).type) != is_text(first.field(columns[1]).type)
        or classes_in_metadata(found, columns[1], where)
        != classes_in_metadata(first, columns[1], first_where)
    ):
        raise InputError(
            f"{where} and {first_where} differ in columns or class names; give each its own entry"
        )


def rows_that_fit(facts: pq.FileMetaData) -> int:
    """How many rows of the file's mean size fit in `UNIT_BYTES`, at least 1."""
    group_bytes = sum(facts.row_group(g).total_byte_size for g in range(facts.num_row_groups))
    return max(1, UNIT_BYTES * int(facts.num_rows) // max(int(group_bytes), 1))


def classes_in_column(folder: Folder, files: list[str], label: str) -> tuple[str, ...]:
    """The classes of files that name none: the column's names, sorted, or `0`, `1`, ... as counted.

    Raises:
        InputError: a file is damaged, a label is too large, or a name is blank.
    """
    largest, names = -1, set[str]()
    for file_name in files:
        file = open_parquet_file(folder, file_name)
        try:
            column = file.read(columns=[label])[label]
            if is_text(column.type):
                names.update(pc.unique(column.cast(pa.string())).drop_null().to_pylist())
                continue
            file_largest = pc.max(column).as_py()
        except DAMAGE as error:
            raise InputError(
                f"{folder.path(file_name)} is damaged in column {label}: {first_line(error)}"
            ) from error
        largest = max(largest, -1 if file_largest is None else int(file_largest))
    if names:
        return checked_classes(sorted(names), str(folder))
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
        f"{where} has no {content} column: found {', '.join(schema.names)}; expected one called "
        f"{' or '.join(names)}, or its name as `{content}_column`"
    )
