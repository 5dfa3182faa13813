"""Images as files of their own: names that are safe and differ, and links or copies."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rayqc.exports.base import ExportTask, ending_of
from rayqc.storage import digest
from rayqc.storage.whole_file import whole_file

FACTS = ("id", "verdict", "score", "decided_by", "nearest_class", "source")
"""Columns of the shards that go with each file's name and class."""
NO_CLASS = "no class"
"""Folder of images without a label, of which errors may be."""
LONGEST = 200
"""Bytes of a name; file systems take 255."""
UNSAFE = frozenset('<>:"\\|?*%')
"""Characters that some file systems refuse, and the one that stands before a replaced character."""


def safe_name(text: str) -> str:
    """A file or folder name for any text; other text gives another name.

    `/` becomes `__`, and what is not safe anywhere its UTF-8 bytes after `%`.
    """
    parts = ("".join(map(_quoted, part)).replace("__", "_%5F") for part in text.split("/"))
    quoted = "__".join(parts)
    if quoted.startswith("."):
        quoted = f"%2E{quoted[1:]}"
    if len(quoted.encode()) > LONGEST:
        end = quoted.encode()[-LONGEST // 2 :].decode(errors="ignore")
        quoted = f"{digest(text.encode())[:16]}-{end}"
    return quoted or "%"


def _quoted(character: str) -> str:
    if character not in UNSAFE and character.isprintable():
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())


def write_files(task: ExportTask, folder_of: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Write each image that is not there yet; yields a row of each for a list of them.

    Args:
        folder_of: label to the folder below the export that its images go to.
    """
    root = Path(task.out.location)
    names: set[str] = set()
    for _, table in task.tables():
        for row in table.to_pylist():
            data = (row["image"] or {}).get("bytes") or b""
            label, id_ = row["label"], row["id"]
            folder = NO_CLASS if label is None else folder_of[label]
            name = f"{folder}/{_name(id_, data)}"
            if name in names:  # ids that differ in their ending only, or not at all
                other_names = (
                    f"{folder}/{digest(f'{id_}{mark}'.encode())[:16]}{ending_of(data)}"
                    for mark in itertools.chain([""], itertools.count(2))
                )
                name = next(other for other in other_names if other not in names)
            names.add(name)
            _put(root / name, data, row["source"] if task.link else None)
            class_name = None if label is None else task.classes[label]
            facts = {fact: row[fact] for fact in FACTS}
            yield {"file_name": name, "label": class_name, **facts}


def write_list(task: ExportTask, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write a CSV of rows of `write_files`; it appears when it is whole."""
    with whole_file(Path(task.out.location, name)) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file_name", "label", *FACTS])
        writer.writeheader()
        writer.writerows(rows)


def _name(id_: str, data: bytes) -> str:
    ending = ending_of(data)
    name = safe_name(id_)
    return name if name.lower().endswith((ending, f"{ending[:-1]}e{ending[-1]}")) else name + ending


def _put(path: Path, data: bytes, source: str | None) -> None:
    """Make a file of these bytes: a link to `source` if that has them, else a copy."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size == len(data):
            return
    with whole_file(path) as part:
        if source is None or not _linked(source, part, data):
            part.write_bytes(data)


def _linked(source: str, path: Path, data: bytes) -> bool:
    """Was a hard link made? Not where `source` is no file of these bytes, or lies elsewhere."""
    with contextlib.suppress(OSError):
        if Path(source).read_bytes() == data:
            os.link(source, path)
            return True
    return False
