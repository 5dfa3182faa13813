"""What a source of labelled images is, and what a kind of source declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.units import Unit

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class SourceAsked:
    """What of a source is asked for: a split, and the columns that the settings name."""

    split: Split = "train"
    split_is_set: bool = False
    """Do the settings name it? Otherwise it is what its section needs: test images or others."""
    image_column: str | None = None
    label_column: str | None = None
    latent_column: str | None = None
    """Of latents, which are read beside the images; None reads none."""


ANY = SourceAsked()
"""Train where there are splits, and columns of the usual names."""


def refuse_columns(path: str, what: str, asked: SourceAsked) -> None:
    """Refuse columns that the settings name where there are none.

    Raises:
        InputError: they name some.
    """
    if asked.image_column is not None or asked.label_column is not None:
        raise InputError(
            f"{path}: {what} has no columns, so `image_column` and `label_column` would do "
            "nothing; leave them out"
        )


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
        without problems has no such column. Where latents are asked for, a column `schema.LATENT`
        has them, float32 of one length.

        Raises:
            InputError: the file that the unit was planned on is damaged or was replaced.
            StorageError: the disk or the object store failed.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """How a kind of source is opened, and how it is recognised where the settings say `files`."""

    open: Callable[[str, SourceAsked], Source]
    """Takes a path and what is asked for there.

    Raises:
        InputError: nothing at the path, or nothing that this kind reads.
    """
    endings: tuple[str, ...] = ()
    """Endings of files and patterns of this kind."""
    shows: Callable[[str], bool] | None = None
    """Whether a file of this name shows that its folder is of this kind; None: no name does."""
    tells_splits: bool = False
    """Can it tell splits? `split:` in the settings is refused where it cannot."""
    has_columns: bool = False
    """Has it columns? `image_column` and `label_column` in the settings are refused where not."""
    has_latents: bool = False
    """Can it have a column of latents? `latent_column` in the settings is refused where not."""
    specific: bool = False
    """Recognised by file names that no other kind has, and so asked before the other kinds."""
