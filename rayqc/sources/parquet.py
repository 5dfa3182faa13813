"""Parquet files with an image column: Hugging Face's, rayqc's own, or anyone's."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rayqc.errors import InputError
from rayqc.schema import candidate_schema, class_names
from rayqc.sources.base import NO_LABEL
from rayqc.sources.columns import as_images
from rayqc.sources.rows import RowReader
from rayqc.storage import Folder, is_url, read_json
from rayqc.units import Unit, slices

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")

# Resolved in each process by itself: a cluster's nodes may keep the package in different places.
BUNDLED = "bundled"

UNIT_BYTES = 256_000_000
"""Encoded images of a unit, at most, besides its number of rows."""


@dataclass(frozen=True, kw_only=True)
class ParquetSource:
    """Parquet files below one folder."""

    location: str
    files: tuple[str, ...]
    classes: tuple[str, ...]
    image_column: str
    label_column: str
    _open: dict[str, pq.ParquetFile] = field(default_factory=dict, compare=False, repr=False)
    _reader: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        state = (self.location, self.files, self.classes, self.image_column, self.label_column)
        return _rebuild, state

    def units(self, most_rows: int) -> list[Unit]:
        """Row ranges; see `Source`."""
        folder = _folder(self.location)
        found = []
        for name in self.files:
            facts = _open_parquet(folder, name).metadata
            # The bundled files are the package's, whatever installed them when.
            tag = f"{facts.num_rows}" if self.location == BUNDLED else folder.fingerprint(name)
            for start, stop in slices(facts.num_rows, min(most_rows, _rows_that_fit(facts))):
                found.append(Unit(entry=0, path=name, start=start, stop=stop, fingerprint=tag))
        return found

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        label = self._rows(unit, [self.label_column])[self.label_column]
        return np.asarray(pc.fill_null(label.cast(pa.int64()), NO_LABEL))

    def read(self, unit: Unit) -> pa.Table:
        """See `Source`."""
        file = self._file(unit.path)
        own = b"rayqc_schema" in (file.schema_arrow.metadata or {})
        wanted = [self.image_column, self.label_column]
        kept = [
            name for name in ("id", "source", "parent") if own and name in file.schema_arrow.names
        ]
        table = self._rows(unit, wanted + kept)
        nothing = pa.nulls(table.num_rows, pa.string())
        origin = pa.array([self.location + "/" + unit.path] * table.num_rows, pa.string())
        columns = {
            "id": pa.array([f"{unit.path}#{row}" for row in unit.rows()], pa.string()),
            "image": as_images(table[self.image_column], unit.path),
            "label": table[self.label_column].cast(pa.int64()),
            "source": origin,
            "parent": nothing,
        } | {name: table[name] for name in kept}
        return pa.table(columns, schema=candidate_schema(self.classes))

    def _rows(self, unit: Unit, columns: list[str]) -> pa.Table:
        """The unit's rows; a reader is kept, since an actor's units follow one another."""
        if self._reader.get("file") != (unit.path, columns):
            self._reader.clear()
            file = self._file(unit.path)
            self._reader.update(file=(unit.path, columns), rows=RowReader(file, columns))
        try:
            table = self._reader["rows"].read(unit.start, unit.stop)
        except (pa.ArrowInvalid, OSError) as error:
            where = _folder(self.location).path(unit.path)
            raise InputError(f"{where} is damaged in rows from {unit.start} on: {error}") from error
        if unit.sample is None:
            return table
        return table.take(pa.array(unit.rows() - unit.start))

    def _file(self, name: str) -> pq.ParquetFile:
        """The open file; one is kept open."""
        if name not in self._open:
            self._open.clear()
            self._open[name] = _open_parquet(_folder(self.location), name)
        return self._open[name]


def open_parquet(path: str) -> ParquetSource:
    """Parquet files at a path: one file, a `*` pattern, a folder, or a folder rayqc wrote.

    Raises:
        InputError: none found, unreadable, or without an image and a label column.
    """
    folder, files = _list(path)
    if not files:
        raise InputError(f"no Parquet files at {path} (looked in {folder})")
    schema = _open_parquet(folder, files[0]).schema_arrow
    where = folder.path(files[0])
    image = _column(schema, IMAGE_COLUMNS, where, "image")
    label = _column(schema, LABEL_COLUMNS, where, "label")
    if not pa.types.is_integer(schema.field(label).type):
        raise InputError(
            f"{where}: column {label} is {schema.field(label).type}, expected integers"
        )
    as_images(pa.chunked_array([], schema.field(image).type), where)
    names = class_names(schema, label) or _numbered(folder, files, label)
    for name in files[1:]:
        _must_match(
            _open_parquet(folder, name).schema_arrow, schema, label, folder.path(name), where
        )
    return ParquetSource(
        location=folder.location,
        files=tuple(files),
        classes=names,
        image_column=image,
        label_column=label,
    )


def _must_match(
    found: pa.Schema, first: pa.Schema, label: str, where: str, first_where: str
) -> None:
    """Refuse a file whose columns or class names differ: its labels would mean something else."""
    _column(found, IMAGE_COLUMNS, where, "image")
    _column(found, LABEL_COLUMNS, where, "label")
    if class_names(found, label) != class_names(first, label) or not set(
        _read_columns(first)
    ) <= set(found.names):
        raise InputError(
            f"{where} and {first_where} differ in columns or class names; give each its own entry"
        )


def _read_columns(schema: pa.Schema) -> list[str]:
    return [name for name in schema.names if name in (*IMAGE_COLUMNS, *LABEL_COLUMNS)]


def open_bundled(split: str) -> ParquetSource:
    """The package's own digits: real MNIST, 400 a class to train on, 100 a class to test on."""
    found = open_parquet(str(Path(_folder(BUNDLED).location) / f"mnist5k-{split}.parquet"))
    return ParquetSource(
        location=BUNDLED,
        files=found.files,
        classes=found.classes,
        image_column=found.image_column,
        label_column=found.label_column,
    )


def _rows_that_fit(facts: pq.FileMetaData) -> int:
    """Rows whose images stay within `UNIT_BYTES` in the mean of the file."""
    held = sum(facts.row_group(g).total_byte_size for g in range(facts.num_row_groups))
    return max(1, UNIT_BYTES * int(facts.num_rows) // max(int(held), 1))


def _rebuild(
    location: str, files: tuple[str, ...], classes: tuple[str, ...], image: str, label: str
) -> ParquetSource:
    return ParquetSource(
        location=location, files=files, classes=classes, image_column=image, label_column=label
    )


def _folder(location: str) -> Folder:
    if location == BUNDLED:
        return Folder(str(Path(__file__).parent.parent / "data"))
    return Folder(location)


def _list(path: str) -> tuple[Folder, list[str]]:
    """A folder and the Parquet files meant below it."""
    if any(sign in path for sign in "*?["):
        plain = path[: min(path.find(sign) for sign in "*?[" if sign in path)]
        base = plain.rpartition("/")[0] or ("/" if plain.startswith("/") else ".")
        folder = Folder(base)
        pattern = path[len(plain.rpartition("/")[0]) :].lstrip("/")
        return folder, [name for name in folder.names() if _matches(name, pattern)]
    if path.endswith(".parquet") and (is_url(path) or not Path(path).is_dir()):
        base, _, name = path.rpartition("/")
        folder = Folder(base or ("/" if path.startswith("/") else "."))
        return folder, [name] if folder.exists(name) else []
    folder = Folder(path)
    if folder.exists("manifest.json"):
        # Readers trust the manifest: files it does not name are left over from unfinished work.
        if not folder.exists("_SUCCESS"):
            raise InputError(f"{folder} is not finished (no _SUCCESS); run its command again first")
        files = read_json(folder, "manifest.json")["files"]
        kind = "pool" if "pool" in files else "accepted"
        return folder, [entry["path"] for entry in files.get(kind, [])]
    return folder, [name for name in folder.names() if name.endswith(".parquet")]


def _matches(name: str, pattern: str) -> bool:
    """A `*` stays within its folder, unless the pattern has `**`."""
    parts, wanted = name.split("/"), pattern.split("/")
    if "**" in pattern:
        return fnmatch.fnmatchcase(name, pattern)
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _open_parquet(folder: Folder, name: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(folder.open(name), buffer_size=1 << 20)
    except FileNotFoundError as error:
        raise InputError(f"{folder.path(name)} is missing") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{folder.path(name)} is not readable Parquet: {error}") from error


def _column(schema: pa.Schema, names: tuple[str, ...], where: str, what: str) -> str:
    for name in names:
        if name in schema.names:
            return name
    raise InputError(
        f"{where} has no {what} column: found {', '.join(schema.names)}; "
        f"expected one called {' or '.join(names)}"
    )


def _numbered(folder: Folder, files: list[str], label: str) -> tuple[str, ...]:
    """Names `0`, `1`, ... up to the largest label, where the file names no classes."""
    largest = -1
    for name in files:
        column = _open_parquet(folder, name).read(columns=[label])[label]
        top = pc.max(column).as_py()
        largest = max(largest, -1 if top is None else int(top))
    return tuple(str(number) for number in range(largest + 1))
