"""MNIST and CIFAR as torchvision downloads them: pixel arrays in files of their own formats."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.images.encode import encode_png
from rayqc.schema import candidate_table
from rayqc.sources.base import SourceAsked, SourceKind
from rayqc.sources.splits import has_train_and_test
from rayqc.storage import Folder
from rayqc.units import Unit, slices


@dataclass(frozen=True, kw_only=True)
class LabelledArrays:
    """Pixels (N, H, W, C) uint8 and labels (N,) int64, in the files' order."""

    images_NHWC: np.ndarray
    label_N: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str


Loader = Callable[[str, str], LabelledArrays]
"""Takes location and split. A module-level function, since sources are sent to other processes."""


@functools.lru_cache(maxsize=1)
def _load_cached(load: Loader, location: str, split: str) -> LabelledArrays:
    """All images of a split. Cached, since these data sets fit in memory."""
    return load(location, split)


@dataclass(frozen=True, kw_only=True)
class ArraySource:
    """One split of a data set of pixel arrays; its images become PNG once, when read."""

    kind: str
    load: Loader
    location: str
    split: str
    classes: tuple[str, ...]

    def units(self, most_rows: int) -> list[Unit]:
        """Row ranges; see `Source`."""
        data = self._data()
        return [
            Unit(entry=0, path=self.split, start=start, stop=stop, fingerprint=data.fingerprint)
            for start, stop in slices(len(data.label_N), most_rows)
        ]

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        return np.asarray(self._data().label_N[unit.rows()])

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """See `Source`; the arrays are in memory already, so nothing is too large."""
        data, rows = self._data(), unit.rows()
        return candidate_table(
            self.classes,
            ids=[f"{self.split}#{row}" for row in rows],
            images=[encode_png(data.images_NHWC[row]) for row in rows],
            labels=data.label_N[rows],
            sources=[f"{self.kind} {self.split}"] * len(rows),
        )

    def _data(self) -> LabelledArrays:
        return _load_cached(self.load, self.location, self.split)


def arrays_kind(kind: str, load: Loader, shows: Callable[[str], bool]) -> SourceKind:
    """The kind of a data set of pixel arrays."""

    def open_arrays(path: str, asked: SourceAsked) -> ArraySource:
        split = has_train_and_test(asked, path)
        location = Folder(path).location  # absolute, since actors run in other folders
        classes = _load_cached(load, location, split).classes
        return ArraySource(kind=kind, load=load, location=location, split=split, classes=classes)

    return SourceKind(open=open_arrays, shows=shows, tells_splits=True, specific=True)
