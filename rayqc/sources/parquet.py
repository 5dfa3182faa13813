"""Parquet files with an image column: Hugging Face's, rayqc's own, or anyone's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rayqc.errors import InputError
from rayqc.schema import NO_LABEL, candidate_table
from rayqc.sources.base import SourceKind
from rayqc.sources.classes import classes_in_metadata
from rayqc.sources.columns import as_images
from rayqc.sources.cut import cut_groups
from rayqc.sources.listing import fingerprint_of, is_hidden
from rayqc.sources.parquet_file import (
    DAMAGE,
    first_line,
    image_column,
    label_column,
    must_match,
    numbered,
    open_parquet_file,
    rows_that_fit,
)
from rayqc.sources.places import find_files, is_one_file, is_pattern, say_left_out
from rayqc.sources.reading import refuse_replaced
from rayqc.sources.rows import RowReader
from rayqc.storage import Folder, read_json
from rayqc.units import Unit

# Resolved in each process by itself: a cluster's nodes may keep the package in different places.
BUNDLED = "bundled"
SPLIT = re.compile(r"(?:^|/)(train|test|validation|valid|val|dev)[-_./]")


@dataclass(frozen=True, kw_only=True)
class ParquetSource:
    """Parquet files below one folder."""

    location: str
    files: tuple[str, ...]
    classes: tuple[str, ...]
    image_column: str
    label_column: str
    _open: dict[tuple[str, str], pq.ParquetFile] = field(
        default_factory=dict, compare=False, repr=False
    )
    _reader: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        state = (self.location, self.files, self.classes, self.image_column, self.label_column)
        return _rebuild, state

    def units(self, most_rows: int) -> list[Unit]:
        """Row ranges; see `Source`."""
        folder = folder_of(self.location)
        found = []
        for name in self.files:
            facts = open_parquet_file(folder, name).metadata
            # The bundled files are the package's, whatever installed them when.
            bundled = self.location == BUNDLED
            tag = f"{facts.num_rows}" if bundled else fingerprint_of(folder, name)
            groups = [facts.row_group(g).num_rows for g in range(facts.num_row_groups)]
            for start, stop in cut_groups(groups, min(most_rows, rows_that_fit(facts))):
                found.append(Unit(entry=0, path=name, start=start, stop=stop, fingerprint=tag))
        return found

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        label = self._rows(unit, [self.label_column])[self.label_column]
        return np.asarray(pc.fill_null(self._as_labels(label, unit), NO_LABEL))

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """See `Source`. An image's bytes come with its row group's, whatever their number."""
        found = self._file(unit).schema_arrow
        own = b"rayqc_schema" in (found.metadata or {})
        kept = [name for name in ("id", "source", "parent") if own and name in found.names]
        rows = self._rows(unit, [self.image_column, self.label_column, *kept])
        origin = pa.array([self.location + "/" + unit.path] * rows.num_rows, pa.string())
        try:
            own_columns = {f"{name}s": rows[name] for name in kept}
            named = {"ids": [f"{unit.path}#{row}" for row in unit.rows()], "sources": origin}
            table = candidate_table(
                self.classes,
                images=as_images(rows[self.image_column], unit.path),
                labels=self._as_labels(rows[self.label_column], unit),
                **{**named, **own_columns},
            )
            table.validate(full=True)  # strings that are not UTF-8 would be found much later
        except pa.ArrowException as error:
            raise self._damaged(unit, error) from error
        if table["id"].null_count:
            raise self._damaged(unit, "an id is null")
        if self.location != BUNDLED:
            refuse_replaced(folder_of(self.location), unit)
        return table

    def _rows(self, unit: Unit, columns: list[str]) -> pa.Table:
        """The unit's rows; a reader is kept, since an actor's units follow one another."""
        wanted = (unit.path, unit.fingerprint, columns)
        if self._reader.get("wanted") != wanted:
            self._reader.clear()
            self._reader.update(wanted=wanted, rows=RowReader(self._file(unit), columns))
        try:
            table = self._reader["rows"].read(unit.start, unit.stop)
        except DAMAGE as error:
            raise self._damaged(unit, error) from error
        if table.num_rows != unit.stop - unit.start:
            raise self._damaged(unit, f"found {table.num_rows} of them")
        if unit.sample is None:
            return table
        return table.take(pa.array(unit.rows() - unit.start))

    def _as_labels(self, column: pa.ChunkedArray, unit: Unit) -> pa.ChunkedArray:
        try:
            return column.cast(pa.int64())
        except pa.ArrowException as error:
            raise self._damaged(unit, error) from error

    def _damaged(self, unit: Unit, error: object) -> InputError:
        """What to raise for a unit that cannot be read; the file as a whole may be another."""
        folder = folder_of(self.location)
        self._open.clear()
        self._reader.clear()
        if self.location != BUNDLED:
            refuse_replaced(folder, unit)
        return InputError(
            f"{folder.path(unit.path)} is damaged in rows {unit.start} to {unit.stop - 1}: "
            f"{first_line(error)}; make it anew, or take it out"
        )

    def _file(self, unit: Unit) -> pq.ParquetFile:
        """The unit's file, open; one is kept open."""
        key = (unit.path, unit.fingerprint)
        if key not in self._open:
            self._open.clear()
            self._open[key] = open_parquet_file(folder_of(self.location), unit.path)
        return self._open[key]


def open_parquet(path: str, split: str = "train") -> ParquetSource:
    """Parquet files at a path: one file, a `*` pattern, a folder, or a folder rayqc wrote.

    Args:
        split: `train` or `test`, taken of a folder whose files are all named by splits.

    Raises:
        InputError: none found, unreadable, without rows, without an image and a label column, or
            different from one another.
    """
    folder, files = _list(path, split)
    if not files:
        raise InputError(f"no Parquet files at {path} (looked in {folder})")
    opened = open_parquet_file(folder, files[0])
    rows, schema, where = opened.metadata.num_rows, opened.schema_arrow, folder.path(files[0])
    image, label = image_column(schema, where), label_column(schema, where)
    names = classes_in_metadata(schema, label, where)
    for name in files[1:]:
        opened = open_parquet_file(folder, name)
        rows += opened.metadata.num_rows
        must_match(opened.schema_arrow, folder.path(name), schema, where)
    if not rows:
        raise InputError(f"no images at {path}: found 0 rows in {len(files)} Parquet files")
    return ParquetSource(
        location=folder.location,
        files=tuple(files),
        classes=names or numbered(folder, files, label),
        image_column=image,
        label_column=label,
    )


def _rebuild(
    location: str, files: tuple[str, ...], classes: tuple[str, ...], image: str, label: str
) -> ParquetSource:
    return ParquetSource(
        location=location, files=files, classes=classes, image_column=image, label_column=label
    )


def folder_of(location: str) -> Folder:
    """The folder at a location; the package's own digits lie where this process has them."""
    if location == BUNDLED:
        return Folder(str(Path(__file__).parent.parent / "data"))
    return Folder(location)


def _list(path: str, split: str) -> tuple[Folder, list[str]]:
    """A folder and the Parquet files meant below it."""
    if is_pattern(path) or is_one_file(path, ".parquet"):
        return find_files(path, ".parquet")
    folder = Folder(path)
    found = _in_manifest(folder)
    if found is not None:
        return folder, found
    folder, names = find_files(path, ".parquet")
    return folder, _of_split(folder, names, split)


def _of_split(folder: Folder, names: list[str], split: str) -> list[str]:
    """The files of a split where all are named by one, as Hugging Face's are; else all.

    References and test images that name the same folder would else be the same.
    """
    splits = [SPLIT.search(name) for name in names]
    told = {found[1] for found in splits if found}
    if None in splits or split not in told or len(told) < 2:
        return names
    own = [name for name, found in zip(names, splits, strict=True) if found and found[1] == split]
    say_left_out(folder, f"files of other splits than {split}", sorted({*names} - {*own}))
    return own


def _in_manifest(folder: Folder) -> list[str] | None:
    """What rayqc wrote there: files that its manifest lacks are left over from unfinished work.

    None where there is no manifest, or another program's.
    """
    if not folder.exists("manifest.json"):
        if folder.exists("ledger.json") and b'"stage"' in folder.read("ledger.json"):
            raise InputError(f"{folder} is not finished; run its command again first")
        return None
    manifest = read_json(folder, "manifest.json")
    if not isinstance(manifest, dict) or not {"totals", "files"} <= set(manifest):
        return None
    if not folder.exists("_SUCCESS"):
        raise InputError(f"{folder} is not finished (no _SUCCESS); run its command again first")
    files = manifest["files"]
    kind = "pool" if "pool" in files else "accepted"
    paths = [entry["path"] for entry in files.get(kind, [])]
    outside = [path for path in paths if path.startswith("/") or ".." in path.split("/")]
    if outside:
        raise InputError(f"{folder.path('manifest.json')} names {outside[0]!r}, outside its folder")
    return paths


KIND = SourceKind(
    open=open_parquet,
    endings=(".parquet",),
    shows=lambda name: name.endswith(".parquet") and not is_hidden(name),
)
