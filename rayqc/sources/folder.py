"""A folder of class folders: `cat/1.png`, `dog/a/2.jpg`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.schema import NO_LABEL, candidate_table
from rayqc.sources.base import SourceKind
from rayqc.sources.classes import checked_classes
from rayqc.sources.columns import image_array
from rayqc.sources.cut import cut
from rayqc.sources.listing import (
    ENDINGS,
    class_of,
    is_image,
    list_files,
    refuse_undecodable,
    size_of,
)
from rayqc.sources.places import say_left_out
from rayqc.sources.problems import with_problems
from rayqc.sources.reading import read_file
from rayqc.storage import Folder, canonical_json, digest
from rayqc.units import Unit


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """Image files; the first folder below the root is the class."""

    location: str
    classes: tuple[str, ...]

    def units(self, most_rows: int) -> list[Unit]:
        """Slices of the sorted listing; see `Source`."""
        folder = Folder(self.location)
        images = {n: tag for n, tag in list_files(folder).files.items() if is_image(n)}
        refuse_undecodable(folder, images)
        names, tag = tuple(images), digest(canonical_json(images))
        return [
            Unit(entry=0, path="", start=a, stop=b, fingerprint=tag, names=names[a:b])
            for a, b in cut([size_of(held) for held in images.values()], most_rows)
        ]

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        index = {name: label for label, name in enumerate(self.classes)}
        found = [index.get(class_of(name), NO_LABEL) for name in self._taken(unit)]
        return np.array(found, dtype=np.int64)

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """See `Source`. A file that vanished or cannot be read is its row's problem."""
        folder = Folder(self.location)
        names = self._taken(unit)
        found = [read_file(folder, name, max_bytes) for name in names]
        data = [one if isinstance(one, bytes) else None for one in found]
        problems = [None if isinstance(one, bytes) else one for one in found]
        table = candidate_table(
            self.classes,
            ids=names,
            images=image_array(data, names),
            labels=self.labels(unit),
            sources=[folder.path(name) for name in names],
        )
        return with_problems(table, problems)

    def _taken(self, unit: Unit) -> list[str]:
        return [unit.names[row - unit.start] for row in unit.rows()]


def open_folder(path: str) -> FolderSource:
    """Class folders at a path; class names sorted.

    Raises:
        InputError: no image files below class folders, a folder that may not be listed, or names
            that are not UTF-8.
    """
    folder = Folder(path)
    listing = list_files(folder)
    images = [name for name in listing.files if is_image(name)]
    refuse_undecodable(folder, images)
    classes = sorted({class_of(name) for name in images} - {""})
    if not classes:
        raise InputError(
            f"no class folders with images in {folder}: expected CLASS/NAME ending in one of "
            + ", ".join(ENDINGS)
        )
    say_left_out(folder, "other files", [name for name in listing.files if not is_image(name)])
    say_left_out(folder, "linked folders (loops, or there already)", listing.loops)
    return FolderSource(location=folder.location, classes=checked_classes(classes, str(folder)))


# Class folders often lie beside the tar they came in, so that tars are looked for after them.
KIND = SourceKind(
    open=lambda path, split: open_folder(path),
    shows=lambda name: is_image(name) and class_of(name) != "",
)
