"""What a source of labelled images is, and what a kind of source declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

from rayqc.units import Unit

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class SplitAsked:
    """The split that a source is opened for."""

    name: Split = "train"
    explicit: bool = False
    """Do the settings name it? Otherwise it is what its section needs: test images or others."""


ANY_SPLIT = SplitAsked()
"""Train where there are splits."""


class Source(Protocol):
    """Labelled images at one location. Small, and safe to send to other processes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a label is an index into them."""
        ...

    def units(self, most_rows: int) -> list[Unit]:
        """Units that cover all images in a fixed order, each of at most `most_rows` rows."""
        ...

    def labels(self, unit: Unit) -> np.ndarray:
        """(N,) int64 labels of the unit's rows, without reading images; -1 where a row has none."""
        ...

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """The unit's rows, in `schema.candidate_schema(self.classes)`.

        A file or member of more than `max_bytes` bytes is not read. The image is null where it is
        too large or cannot be read, and a last column, `schema.PROBLEM`, gives the reason; a table
        without problems has no such column.

        Raises:
            InputError: the file that the unit was planned on is damaged or was replaced.
            StorageError: the disk or the object store failed.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """How a kind of source is opened, and how it is recognised where the settings say `files`."""

    open: Callable[[str, SplitAsked], Source]
    """Takes a path and the split to open there.

    Raises:
        InputError: nothing at the path, or nothing that this kind reads.
    """
    endings: tuple[str, ...] = ()
    """Endings of files and patterns of this kind."""
    shows: Callable[[str], bool] | None = None
    """Whether a file of this name shows that its folder is of this kind; None: no name does."""
    tells_splits: bool = False
    """Can it tell splits? `split:` in the settings is refused where it cannot."""
    specific: bool = False
    """Recognised by file names that no other kind has, and so asked before the other kinds."""
