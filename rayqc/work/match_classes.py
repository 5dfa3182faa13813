"""Pools whose classes are matched to the references' by name.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.sources import Source
from rayqc.sources.classes import described, labels_of
from rayqc.units import Unit
from rayqc.work.known_images import content_of, contents_of

UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class PoolSource:
    """The source of a pool entry, and how the filter writes its ids and labels."""

    source: Source
    prefix: str
    """Put before ids with a slash; empty where ids stay as they are."""
    to_class: tuple[int, ...]
    """The references' label of each label of the source, by class name; -1 where there is none."""

    def read(self, unit: Unit, max_bytes: int) -> pa.Table:
        """The unit's rows, with ids as the filter writes them; see `Source.read`."""
        table = self.source.read(unit, max_bytes)
        if not self.prefix:
            return table
        ids = [f"{self.prefix}/{name}" for name in table["id"].to_pylist()]
        return table.set_column(0, table.schema.field("id"), pa.array(ids, pa.string()))

    def content_of(self, table: pa.Table) -> str:
        """Digest of rows that `read` gave; see `Commit.content`."""
        label_N = own_labels(table, self.to_class)
        return content_of(table["id"].to_pylist(), label_N.tolist(), contents_of(table))


def match_classes(source: Source, prefix: str, classes: tuple[str, ...]) -> PoolSource:
    """A pool whose classes are matched to the references' by name.

    Raises:
        InputError: the pool and the references have no class in common.
    """
    labels = labels_of(source.classes, classes)
    to_class = tuple(UNKNOWN if label is None else label for label in labels)
    if all(label == UNKNOWN for label in to_class):
        raise InputError(
            f"the pool shares no class with the references: it has "
            f"{described(source.classes, classes)}, they have {described(classes)}; classes are "
            "matched by name"
        )
    return PoolSource(source=source, prefix=prefix, to_class=to_class)


def own_labels(table: pa.Table, to_class: tuple[int, ...]) -> np.ndarray:
    """(N,) labels among the references' classes, -1 for an image without one."""
    mapping_K = np.array([*to_class, UNKNOWN])
    label_N = np.asarray(table["label"].fill_null(len(to_class)))
    outside_N = (label_N < 0) | (label_N > len(to_class))
    return mapping_K[np.where(outside_N, len(to_class), label_N)]
