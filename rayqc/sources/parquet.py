"""Parquet files with an image column: Hugging Face's, rayqc's own, or anyone's."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rayqc.errors import InputError
from rayqc.schema import LATENT, NO_LABEL, candidate_table
from rayqc.sources.base import ANY, SourceAsked, SourceKind
from rayqc.sources.classes import classes_in_metadata
from rayqc.sources.columns import as_images
from rayqc.sources.cut import cut_groups
from rayqc.sources.latents import dimension, latents_of
from rayqc.sources.listing import fingerprint_of, is_hidden
from rayqc.sources.parquet_file import (
    DAMAGE,
    ColumnNames,
    classes_in_column,
    first_line,
    is_text,
    must_match,
    open_parquet_file,
    rows_that_fit,
)
from rayqc.sources.places import find_files, is_one_file, is_pattern
from rayqc.sources.problems import with_problems
from rayqc.sources.reading import refuse_replaced
from rayqc.sources.rows import RowReader
from rayqc.sources.splits import files_of_split
from rayqc.storage import Folder, read_json
from rayqc.units import Unit

# Each process resolves it by itself, since nodes of a cluster may keep the package in different
# folders.
BUNDLED = "bundled"
IN_OUTPUT = r"(?:(?:^|/)rounds/\d{4,})?(?:(?:^|/)(?:accepted|rejected|errors|scores))?(?:^|/)[^/]*$"
"""Of a shard's path, what lies below the folder of the output."""
FIRST_ROWS = 64
"""Rows of a file that the latents' length is taken from."""


@dataclass(frozen=True, kw_only=True)
class ParquetSource:
    """Parquet files below one folder."""

    location: str
    files: tuple[str, ...]
    classes: tuple[str, ...]
    image_column: str
    label_column: str
    latent_column: str | None = None
    """Of latents that are read beside the images; None reads none."""
    latent_dim: int = 0
    """D of these."""
    _open_files: dict[tuple[str, str], pq.ParquetFile] = field(
        default_factory=dict, compare=False, repr=False
    )
    _reader: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        shown = (each for each in fields(self) if not each.name.startswith("_"))
        return _rebuild, ({each.name: getattr(self, each.name) for each in shown},)

    def units(self, most_rows: int) -> list[Unit]:
        """Row ranges; see `Source`."""
        folder = folder_of(self.location)
        units = []
        for name in self.files:
            metadata = open_parquet_file(folder, name).metadata
            # Nodes install the bundled files at different times: only their row count is the same.
            bundled = self.location == BUNDLED
            fingerprint = f"{metadata.num_rows}" if bundled else fingerprint_of(folder, name)
            group_rows = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
            for start, stop in cut_groups(group_rows, min(most_rows, rows_that_fit(metadata))):
                units.append(
                    Unit(entry=0, path=name, start=start, stop=stop, fingerprint=fingerprint)
                )
        return units

    @functools.cached_property
    def _has_several_outputs(self) -> bool:
        """Are the files of several folders that rayqc wrote? Their ids are then not unique."""
        return len({_output_of(name) for name in self.files}) > 1

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        label = self._rows(unit, [self.label_column])[self.label_column]
        return np.asarray(pc.fill_null(self._as_labels(label, unit), NO_LABEL))

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """See `Source`; images are not limited by `max_bytes`, since whole batches are read."""
        schema = self._file(unit).schema_arrow
        written_by_rayqc = b"rayqc_schema" in (schema.metadata or {})
        own_names = [
            name for name in ("id", "source", "parent") if written_by_rayqc and name in schema.names
        ]
        latent_names = [self.latent_column] if self.latent_column else []
        columns = [self.image_column, self.label_column, *own_names, *latent_names]
        rows = self._rows(unit, columns)
        origin = pa.array([self.location + "/" + unit.path] * rows.num_rows, pa.string())
        try:
            own_columns = {f"{name}s": rows[name] for name in own_names}
            if "ids" in own_columns and self._has_several_outputs:
                own_columns["ids"] = pc.binary_join_element_wise(
                    _output_of(unit.path), own_columns["ids"], "/"
                )
            default_columns = {
                "ids": [f"{unit.path}#{row}" for row in unit.rows()],
                "sources": origin,
            }
            table = candidate_table(
                self.classes,
                images=as_images(
                    rows[self.image_column],
                    unit.path,
                    rows.schema.field(self.image_column).metadata,
                ),
                labels=self._as_labels(rows[self.label_column], unit),
                **{**default_columns, **own_columns},
            )
            table.validate(full=True)  # else strings that are not UTF-8 would be found much later
        except pa.ArrowException as error:
            raise self._damaged(unit, error) from error
        if table["id"].null_count:
            raise self._damaged(unit, "an id is null")
        if self.location != BUNDLED:
            refuse_replaced(folder_of(self.location), unit)
        if self.latent_column is None:
            return table
        latents, problems = latents_of(rows[self.latent_column], self.latent_dim, unit.path)
        return with_problems(table.append_column(LATENT, latents), problems)

    def _rows(self, unit: Unit, columns: list[str]) -> pa.Table:
        """The unit's rows. The last reader is cached, since an actor's units follow one another."""
        key = (unit.path, unit.fingerprint, columns)
        if self._reader.get("key") != key:
            self._reader.clear()
            self._reader.update(key=key, rows=RowReader(self._file(unit), columns))
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
            if is_text(column.type):
                names = column.cast(pa.string())
                return pc.index_in(names, pa.array(self.classes, pa.string())).cast(pa.int64())
            return column.cast(pa.int64())
        except pa.ArrowException as error:
            raise self._damaged(unit, error) from error

    def _damaged(self, unit: Unit, error: object) -> InputError:
        """The error for a unit that cannot be read; raises another if its file was replaced."""
        folder = folder_of(self.location)
        self._open_files.clear()
        self._reader.clear()
        if self.location != BUNDLED:
            refuse_replaced(folder, unit)
        return InputError(
            f"{folder.path(unit.path)} is damaged in rows {unit.start} to {unit.stop - 1}: "
            f"{first_line(error)}; make it anew, or take it out"
        )

    def _file(self, unit: Unit) -> pq.ParquetFile:
        """The unit's file, open; the last one stays open."""
        key = (unit.path, unit.fingerprint)
        if key not in self._open_files:
            self._open_files.clear()
            self._open_files[key] = open_parquet_file(folder_of(self.location), unit.path)
        return self._open_files[key]


def open_parquet(path: str, asked: SourceAsked = ANY) -> ParquetSource:
    """Parquet files at a path: one file, a `*` pattern, a folder, or a folder that rayqc wrote.

    Args:
        asked: selects files in a folder whose files are named by splits.

    Raises:
        InputError: no Parquet files at the path, or they are unreadable, have no rows, lack an
            image or a label column, or differ from one another; or there is no such split.
    """
    folder, files = _list(path, asked)
    if not files:
        raise InputError(f"no Parquet files at {path} (looked in {folder})")
    file = open_parquet_file(folder, files[0])
    rows, schema, where = file.metadata.num_rows, file.schema_arrow, folder.path(files[0])
    names = ColumnNames(
        **{
            column: (name,)
            for column, name in (("image", asked.image_column), ("label", asked.label_column))
            if name is not None
        }
    )
    image, label = names.of(schema, where)
    classes = classes_in_metadata(schema, label, where)
    for name in files[1:]:
        file = open_parquet_file(folder, name)
        rows += file.metadata.num_rows
        must_match(file.schema_arrow, folder.path(name), schema, where, names)
    if not rows:
        raise InputError(f"no images at {path}: found 0 rows in {len(files)} Parquet files")
    return ParquetSource(
        location=folder.location,
        files=tuple(files),
        classes=classes or classes_in_column(folder, files, label),
        image_column=image,
        label_column=label,
        latent_column=asked.latent_column,
        latent_dim=_latent_dim(folder, files, asked.latent_column) if asked.latent_column else 0,
    )


def _rebuild(state: dict[str, Any]) -> ParquetSource:
    return ParquetSource(**state)


def _latent_dim(folder: Folder, files: list[str], column: str) -> int:
    """D of the latents in a column of all these files.

    Raises:
        InputError: a file lacks the column, or it holds no vectors, or those of another length.
    """
    where_of_dim: dict[int, str] = {}
    for name in files:
        file, where = open_parquet_file(folder, name), folder.path(name)
        names = file.schema_arrow.names
        if column not in names:
            raise InputError(f"{where}: no column {column} of latents; found {', '.join(names)}")
        if not file.metadata.num_rows:
            continue
        first_rows = RowReader(file, [column]).read(0, FIRST_ROWS)[column]
        where_of_dim.setdefault(dimension(first_rows, where), where)
    if len(where_of_dim) > 1:
        found = ", ".join(f"{dim} numbers in {where}" for dim, where in where_of_dim.items())
        raise InputError(f"column {column} holds latents of different lengths: {found}")
    return next(iter(where_of_dim), 0)


def _output_of(name: str) -> str:
    """The folder of rayqc's output that a shard lies in, such as `runs/a/filtered`."""
    return re.sub(IN_OUTPUT, "", name).rstrip("/")


def folder_of(location: str) -> Folder:
    """The folder at a location; for `BUNDLED`, the data folder of this process's package."""
    if location == BUNDLED:
        return Folder(str(Path(__file__).parent.parent / "data"))
    return Folder(location)


def _list(path: str, asked: SourceAsked) -> tuple[Folder, list[str]]:
    """A folder and the Parquet files below it that the path stands for."""
    named = is_pattern(path) or is_one_file(path, ".parquet")
    folder = Folder(path)
    manifest_paths = None if named else _paths_in_manifest(folder)
    if manifest_paths is not None and not asked.split_is_set:
        return folder, manifest_paths
    if manifest_paths is not None:
        return folder, files_of_split(folder, manifest_paths, asked)
    folder, names = find_files(path, ".parquet")
    if named and not asked.split_is_set:
        return folder, names
    return folder, files_of_split(folder, names, asked)


def _paths_in_manifest(folder: Folder) -> list[str] | None:
    """Paths of the files that rayqc wrote, from its manifest; None without a manifest of rayqc's.

    Files that the manifest lacks are left over from unfinished work.
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
    tells_splits=True,
    has_columns=True,
    has_latents=True,
    shows=lambda name: name.lower().endswith(".parquet") and not is_hidden(name),
)
