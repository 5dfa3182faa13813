"""What a source is, and what a kind of sources says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

from rayqc.units import Unit

Split = Literal["train", "test"]


class Source(Protocol):
    """Labelled images at one place. Small, and safe to send to other processes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a label is an index into them."""
        ...

    def units(self, most_rows: int) -> list[Unit]:
        """All of it, in a fixed order, in pieces of at most `most_rows`."""
        ...

    def labels(self, unit: Unit) -> np.ndarray:
        """(n,) int64 labels of the unit's rows without reading images; -1 where there is none."""
        ...

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """The unit's rows, in `schema.candidate_schema(self.classes)`.

        A file or member of more than `max_bytes` is not read. Where there is such a one, or a file
        that cannot be read, its image is null and a last column, `schema.PROBLEM`, says why; a
        table without problems has no such column.

        Raises:
            InputError: what the unit was planned on is damaged or was replaced.
            StorageError: the disk or the object store failed.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """How sources of a kind are opened, and how one is known where the settings say `files`."""

    open: Callable[[str, Split], Source]
    """Takes a path and a split.

    Raises:
        InputError: nothing there, or nothing that this kind reads.
    """
    endings: tuple[str, ...] = ()
    """Of a file or pattern of this kind."""
    shows: Callable[[str], bool] | None = None
    """Is a folder of this kind if a file in it has this name?"""
    specific: bool = False
    """It is known by names that nothing else has, and asked before kinds known by their endings."""
