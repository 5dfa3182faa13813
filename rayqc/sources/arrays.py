"""MNIST and CIFAR as torchvision downloads them: pixel arrays in files of their own formats."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.images.encode import encode_png
from rayqc.schema import IMAGE_TYPE, candidate_schema
from rayqc.sources.cifar import load_cifar10, load_cifar100
from rayqc.sources.idx import load_mnist
from rayqc.storage import Folder
from rayqc.units import Unit, slices


@dataclass(frozen=True, kw_only=True)
class LabelledArrays:
    """images_NHWC uint8 and label_N int64, in the files' order."""

    images_NHWC: np.ndarray
    label_N: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str


LOADERS: dict[str, Callable[[str, str], tuple[np.ndarray, np.ndarray, tuple[str, ...], str]]] = {
    "mnist": load_mnist,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
}


@functools.lru_cache(maxsize=1)
def load(kind: str, location: str, split: str) -> LabelledArrays:
    """All images of a split; these data sets fit in memory."""
    images, labels, classes, fingerprint = LOADERS[kind](location, split)
    return LabelledArrays(
        images_NHWC=images, label_N=labels, classes=classes, fingerprint=fingerprint
    )


@dataclass(frozen=True, kw_only=True)
class ArraySource:
    """One split of a data set of pixel arrays; its images become PNG once, when read."""

    kind: str
    location: str
    split: str
    classes: tuple[str, ...]

    def units(self, most_rows: int) -> list[Unit]:
        """Row ranges; see `Source`."""
        data = self._data()
        return [
            Unit(entry=0, path=self.split, start=a, stop=b, fingerprint=data.fingerprint)
            for a, b in slices(len(data.label_N), most_rows)
        ]

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        return np.asarray(self._data().label_N[unit.rows()])

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """See `Source`; the arrays are in memory already, so nothing is too large."""
        data, rows = self._data(), unit.rows()
        images = [{"bytes": encode_png(data.images_NHWC[row]), "path": None} for row in rows]
        columns = {
            "id": pa.array([f"{self.split}#{row}" for row in rows], pa.string()),
            "image": pa.array(images, IMAGE_TYPE),
            "label": pa.array(data.label_N[rows]),
            "source": pa.array([f"{self.kind} {self.split}"] * len(rows), pa.string()),
            "parent": pa.nulls(len(rows), pa.string()),
        }
        return pa.table(columns, schema=candidate_schema(self.classes))

    def _data(self) -> LabelledArrays:
        return load(self.kind, self.location, self.split)


def _opener(kind: str) -> Callable[[str, str], ArraySource]:
    def open_arrays(path: str, split: str) -> ArraySource:
        location = Folder(path).location  # absolute: actors work elsewhere
        classes = load(kind, location, split).classes
        return ArraySource(kind=kind, location=location, split=split, classes=classes)

    return open_arrays


open_mnist = _opener("mnist")
open_cifar10 = _opener("cifar10")
open_cifar100 = _opener("cifar100")
