"""Pools whose classes are matched to the references' by name.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.sources import Source

UNKNOWN = -1
MOST_NAMED = 8
"""Classes that an error names."""


@dataclass(frozen=True, kw_only=True)
class PoolSource:
    """A pool entry as the filter meets it."""

    source: Source
    prefix: str
    """Goes before ids; empty for pools whose ids stand for themselves."""
    to_class: tuple[int, ...]
    """The source's label to the references' label, by class name; -1 where there is none."""


def match_classes(source: Source, prefix: str, classes: tuple[str, ...]) -> PoolSource:
    """A pool whose classes are matched to the references' by name.

    Raises:
        InputError: not one class in common.
    """
    index = {name: label for label, name in enumerate(classes)}
    to_class = tuple(index.get(name, UNKNOWN) for name in source.classes)
    if all(label == UNKNOWN for label in to_class):
        raise InputError(
            f"the pool shares no class with the references: it has {_first(source.classes)}, "
            f"they have {_first(classes)}; classes are matched by name"
        )
    return PoolSource(source=source, prefix=prefix, to_class=to_class)


def own_labels(table: pa.Table, to_class: tuple[int, ...]) -> np.ndarray:
    """(N,) labels among the references' classes, -1 for none."""
    mapping_K = np.array([*to_class, UNKNOWN])
    label_N = np.asarray(table["label"].fill_null(len(to_class)))
    outside_N = (label_N < 0) | (label_N > len(to_class))
    return mapping_K[np.where(outside_N, len(to_class), label_N)]


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
