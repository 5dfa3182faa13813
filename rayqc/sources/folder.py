"""A folder of class folders: `cat/1.png`, `dog/a/2.jpg`."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.schema import IMAGE_TYPE, candidate_schema
from rayqc.sources.base import NO_LABEL
from rayqc.storage import Folder, canonical_json, digest
from rayqc.units import Unit, slices

logger = logging.getLogger(__name__)

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """Image files; the first folder below the root is the class."""

    location: str
    classes: tuple[str, ...]

    def units(self, most_rows: int) -> list[Unit]:
        """Slices of the sorted listing; see `Source`."""
        folder = Folder(self.location)
        images = _images(folder)
        names, tag = tuple(images), digest(canonical_json(images))
        return [
            Unit(entry=0, path="", start=a, stop=b, fingerprint=tag, names=names[a:b])
            for a, b in slices(len(names), most_rows)
        ]

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        index = {name: label for label, name in enumerate(self.classes)}
        found = [index.get(_class_of(name), NO_LABEL) for name in self._taken(unit)]
        return np.array(found, dtype=np.int64)

    def read(self, unit: Unit) -> pa.Table:
        """See `Source`."""
        folder = Folder(self.location)
        names = self._taken(unit)
        images = [{"bytes": folder.read(name), "path": name} for name in names]
        label_N = self.labels(unit)
        columns = {
            "id": pa.array(names, pa.string()),
            "image": pa.array(images, IMAGE_TYPE),
            "label": pa.array(label_N, mask=label_N == NO_LABEL),
            "source": pa.array([folder.path(name) for name in names], pa.string()),
            "parent": pa.nulls(len(names), pa.string()),
        }
        return pa.table(columns, schema=candidate_schema(self.classes))

    def _taken(self, unit: Unit) -> list[str]:
        return [unit.names[row - unit.start] for row in unit.rows()]


def open_folder(path: str) -> FolderSource:
    """Class folders at a path; class names sorted.

    Raises:
        InputError: no image files below class folders.
    """
    folder = Folder(path)
    classes = sorted({_class_of(name) for name in _images(folder)} - {""})
    if not classes:
        raise InputError(
            f"no class folders with images in {folder}: expected CLASS/NAME ending in one of "
            + ", ".join(ENDINGS)
        )
    return FolderSource(location=folder.location, classes=tuple(classes))


def _class_of(name: str) -> str:
    first, slash, _ = name.partition("/")
    return first if slash else ""


def _is_image(name: str) -> bool:
    hidden = any(part.startswith(".") for part in name.split("/"))
    return name.lower().endswith(ENDINGS) and not hidden


def _images(folder: Folder) -> dict[str, str]:
    """Image files and their fingerprints, sorted by name."""
    found = folder.listing()
    images = {name: tag for name, tag in found.items() if _is_image(name)}
    others = [name for name in found if name not in images]
    if others:
        logger.warning("%s: left out %d other files, %s first", folder, len(others), others[0])
    return images
