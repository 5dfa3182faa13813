"""One file that lists images and their labels: CSV, JSON lines, JSON or Parquet, as two columns."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from rayqc.errors import InputError
from rayqc.sources.base import SourceAsked
from rayqc.sources.listing import ENDINGS
from rayqc.sources.parquet_file import DAMAGE, first_line

TEXT_ENDINGS = (".csv", ".tsv")
LINE_ENDINGS = (".jsonl", ".ndjson")
LIST_ENDINGS = (*TEXT_ENDINGS, *LINE_ENDINGS, ".json")
"""Endings of files that are taken for listings by their names."""

IMAGE_NAMES = ("image", "file_name", "filename", "image_path", "path", "filepath", "file", "img")
LABEL_NAMES = ("label", "class", "class_name", "category", "fine_label", "target")
SPLIT_NAME = "split"
DELIMITERS = ",;\t"
WHOLE = re.compile(r"-?\d{1,18}(\.0)?")
"""A whole number; pandas writes `3.0` where a column has gaps."""
PADDED = re.compile(r"0\d+")
"""A number that is a name, such as a folder's `08`."""

STYLEGAN = "labels"
"""Key of StyleGAN's dataset.json: a list of pairs of path and label."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The rows of a listing."""

    paths: tuple[str, ...]
    class_texts: tuple[str | None, ...]
    """Class of each row; None where it has none."""
    splits: tuple[str | None, ...] | None
    """Column `split`; None where there is none."""


def read_listing(data: bytes, where: str, asked: SourceAsked) -> Listed:
    """Paths and classes of a listing.

    Args:
        data: the whole file; its kind is told by the ending of `where`.
        where: the file's path, for errors.
        asked: names the columns, if the settings do.

    Raises:
        InputError: the file is damaged or empty, or its columns of paths and labels are not told.
    """
    table = _table_of(data, where)
    if not table.num_rows:
        raise InputError(f"{where} lists no images: it has no rows")
    image = _column(table, asked.image_column, IMAGE_NAMES, where, "image")
    label = _column(table, asked.label_column, LABEL_NAMES, where, "label")
    paths = table[image].to_pylist()
    if not all(isinstance(path, str) and path.strip() for path in paths):
        odd = next(path for path in paths if not (isinstance(path, str) and path.strip()))
        raise InputError(f"{where}: column {image} holds {odd!r}, expected paths of images")
    splits = table[SPLIT_NAME].to_pylist() if SPLIT_NAME in table.column_names else None
    return Listed(
        paths=tuple(paths),
        class_texts=tuple(_class_texts(table[label].to_pylist(), f"{where}: column {label}")),
        splits=None if splits is None else tuple(splits),
    )


def _table_of(data: bytes, where: str) -> pa.Table:
    name = where.lower()
    try:
        if name.endswith(TEXT_ENDINGS):
            return _from_text(data, where)
        if name.endswith(LINE_ENDINGS):
            return pa.json.read_json(io.BytesIO(data))
        if name.endswith(".json"):
            return _from_json(json.loads(data), where)
        return pq.read_table(io.BytesIO(data))
    except InputError:
        raise
    except (*DAMAGE, RecursionError) as error:
        raise InputError(f"{where} cannot be read: {first_line(error)}") from error


def _from_text(data: bytes, where: str) -> pa.Table:
    header = data[: data.find(b"\n") if b"\n" in data else None].decode("utf-8-sig").rstrip("\r")
    delimiter = "\t" if where.lower().endswith(".tsv") else max(DELIMITERS, key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    if any(name.lower().endswith(ENDINGS) for name in names):
        raise InputError(
            f"{where}: its first line is {header[:80]!r}, an image and no names of columns; put "
            "such as `image,label` above it"
        )
    return pa.csv.read_csv(
        io.BytesIO(data),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            strings_can_be_null=True,
            null_values=[""],
        ),
    )


def _from_json(value: Any, where: str) -> pa.Table:
    """A list of objects, or StyleGAN's `{"labels": [["00000/1.png", 3], ...]}`."""
    if isinstance(value, dict) and STYLEGAN in value:
        pairs = value[STYLEGAN]
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list) and len(pair) == 2 for pair in pairs
        ):
            raise InputError(
                f"{where}: its {STYLEGAN!r} are no pairs of path and label; StyleGAN's tools write "
                "null where there were no labels: give the folder of class folders then"
            )
        return pa.table({"image": [pair[0] for pair in pairs], "label": [p[1] for p in pairs]})
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return pa.Table.from_pylist(value)
    raise InputError(
        f"{where} is no listing: expected a list of objects such as "
        '{"image": "a/1.png", "label": "cat"}, or the dataset.json of StyleGAN\'s tools'
    )


def _column(
    table: pa.Table, asked: str | None, names: tuple[str, ...], where: str, content: str
) -> str:
    """Name of the column that the settings name, or of the only one with a usual name."""
    found = ", ".join(table.column_names)
    if asked is not None:
        if table.column_names.count(asked) != 1:
            raise InputError(
                f"{where} has no column {asked} ({content}_column in the settings); it has {found}"
            )
        return asked
    usual = [name for name in table.column_names if name.strip().lower() in names]
    if len(usual) == 1:
        return str(usual[0])
    trouble = f"both {' and '.join(usual)}" if usual else f"no column such as {', '.join(names)}"
    raise InputError(
        f"{where} has {trouble}; set `{content}_column` to the one that holds "
        f"{'the paths of images' if content == 'image' else 'the classes'}: it has {found}"
    )


def _class_texts(labels: Iterable[Any], where: str) -> list[str | None]:
    """Labels as names of classes; whole numbers as their digits, those below 0 as no label."""
    texts: list[str | None] = []
    for label in labels:
        if label is None or (isinstance(label, str) and not label.strip()):
            texts.append(None)
        elif isinstance(label, (str, int)) and not isinstance(label, bool):
            texts.append(str(label).strip())
        elif isinstance(label, float) and label.is_integer():
            texts.append(str(int(label)))
        else:
            raise InputError(
                f"{where} holds {label!r}, expected one class an image: a name or a whole number"
            )
    numbered = all(text is None or WHOLE.fullmatch(text) for text in texts)
    if numbered and not any(text and PADDED.fullmatch(text) for text in texts):
        numbers = [None if text is None else int(float(text)) for text in texts]
        return [None if number is None or number < 0 else str(number) for number in numbers]
    return texts
