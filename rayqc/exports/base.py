"""A layout that judged images are written in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from rayqc.images.decode import SIGNATURES
from rayqc.ledger.commit import Part
from rayqc.progress import Stage
from rayqc.storage import Folder, read_table

ENDINGS = {"JPEG": ".jpg", "TIFF": ".tif"}
"""Endings of formats that are not named as their ending is."""


@dataclass(frozen=True, kw_only=True)
class ExportTask:
    """What is exported, and to where."""

    judged: Folder
    """A finished filter's output."""
    shards: tuple[Part, ...]
    """Of the verdicts that are asked for, in order."""
    classes: tuple[str, ...]
    """Names of the labels."""
    out: Folder
    link: bool
    """Link to the pool's own files where they have the very bytes, in place of copying them?"""
    card: str
    """The data card, Markdown, for shards of the pattern `CARD_PATTERN`."""
    stage: Stage
    """Counts images."""

    def tables(self) -> Iterator[tuple[Part, pa.Table]]:
        """Each shard and its rows; what is done is counted."""
        for shard in self.shards:
            table = read_table(self.judged, shard.path)
            yield shard, table
            self.stage.advance(table.num_rows)


CARD_PATTERN = "data/*.parquet"
"""Where the card of an export says that the shards are."""


@dataclass(frozen=True, kw_only=True)
class ExportKind:
    """How one layout is written."""

    write: Callable[[ExportTask], str]
    """Writes all files that are not there yet; returns how they are read, in one line of Python.

    Raises:
        ConfigError: the layout cannot be written there.
    """
    images_a_file: bool = False
    """Is each image a file of its own? Such layouts are written to local folders only."""


def ending_of(data: bytes) -> str:
    """Ending of the file name of encoded bytes, with its dot; `.bin` where they are no image."""
    for name, signature in SIGNATURES.items():
        if data.startswith(signature):
            return ENDINGS.get(name, f".{name.lower()}")
    return ".bin"
