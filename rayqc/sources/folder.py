"""A folder of class folders: `cat/1.png`, `dog/a/2.jpg`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.schema import NO_LABEL, candidate_table
from rayqc.sources.base import ANY, SourceAsked, SourceKind, refuse_columns
from rayqc.sources.classes import checked_classes, described
from rayqc.sources.columns import image_array
from rayqc.sources.cut import cut
from rayqc.sources.listed import ListedSource, gives_classes, metadata_files, open_listings
from rayqc.sources.listing import (
    ENDINGS,
    class_of,
    is_image,
    list_files,
    refuse_undecodable,
    size_of,
)
from rayqc.sources.listing_file import LIST_ENDINGS
from rayqc.sources.places import say_left_out, say_once
from rayqc.sources.problems import with_problems
from rayqc.sources.reading import read_file
from rayqc.sources.splits import NO_SPLITS, ClassFolders, class_folders, warn_of_wrapper
from rayqc.storage import Folder, canonical_json, digest
from rayqc.units import Unit

STYLEGAN_LABELS = "dataset.json"
"""Where StyleGAN's tools write labels."""
CHUNK = re.compile(r"\d{5}/[^/]+$")
"""An image as StyleGAN's tools lay it, a thousand a folder."""


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """Image files; the first folder below the root is the class."""

    location: str
    classes: tuple[str, ...]
    layout: ClassFolders = NO_SPLITS

    def units(self, most_rows: int) -> list[Unit]:
        """Slices of the sorted listing; see `Source`."""
        folder = Folder(self.location)
        images = {
            name: fingerprint
            for name, fingerprint in list_files(folder).files.items()
            if is_image(name) and self.layout.takes(name)
        }
        refuse_undecodable(folder, images)
        names, listing_digest = tuple(images), digest(canonical_json(images))
        return [
            Unit(
                entry=0,
                path="",
                start=start,
                stop=stop,
                fingerprint=listing_digest,
                names=names[start:stop],
            )
            for start, stop in cut(
                [size_of(fingerprint) for fingerprint in images.values()], most_rows
            )
        ]

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        label_by_class = {name: label for label, name in enumerate(self.classes)}
        labels = [
            label_by_class.get(self.layout.class_of(name), NO_LABEL)
            for name in self._names_of(unit)
        ]
        return np.array(labels, dtype=np.int64)

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """See `Source`; a file that vanished or cannot be read gives its row a problem."""
        folder = Folder(self.location)
        names = self._names_of(unit)
        contents = [read_file(folder, name, max_bytes) for name in names]
        data = [content if isinstance(content, bytes) else None for content in contents]
        problems = [None if isinstance(content, bytes) else content for content in contents]
        table = candidate_table(
            self.classes,
            ids=names,
            images=image_array(data, names),
            labels=self.labels(unit),
            sources=[folder.path(name) for name in names],
        )
        return with_problems(table, problems)

    def _names_of(self, unit: Unit) -> list[str]:
        return [unit.names[row - unit.start] for row in unit.rows()]


def open_folder(path: str, asked: SourceAsked = ANY) -> FolderSource | ListedSource:
    """Class folders at a path, or those of a split at `path/SPLIT`; class names sorted.

    Images without class folders that a metadata.csv or a dataset.json lists are taken from there.

    Raises:
        InputError: no class folder holds images, a folder may not be listed, or a name is not
            UTF-8; or there is no such split.
    """
    folder = Folder(path)
    listing = list_files(folder)
    images = [name for name in listing.files if is_image(name)]
    refuse_undecodable(folder, images)
    listings = _listings(folder, listing.files, images, asked)
    if listings:
        return open_listings(folder, listings, asked)
    refuse_columns(str(folder), "a folder of class folders", asked)
    layout = class_folders(images, asked, folder.location)
    images = [name for name in images if layout.takes(name)]
    classes = sorted({layout.class_of(name) for name in images} - {""})
    if not classes:
        lists = [name for name in listing.files if name.endswith(LIST_ENDINGS)]
        advice = f"; where {lists[0]} lists them, give {folder.path(lists[0])}" if lists else ""
        raise InputError(
            f"no class folders with images in {folder}: expected CLASS/NAME ending in one of "
            f"{', '.join(ENDINGS)}{advice}"
        )
    say_left_out(folder, "other files", [name for name in listing.files if not is_image(name)])
    say_left_out(folder, "linked folders (loops, or there already)", listing.loops)
    say_left_out(
        folder,
        "class folders without images",
        sorted(
            {layout.class_of(f"{name}/") for name in listing.folders if layout.takes(f"{name}/")}
            - {*classes, ""}
        ),
    )
    top = "/".join([folder.location, *layout.tops[:1], classes[0]])
    warn_of_wrapper(images, classes, layout, folder.location, f"give {top}")
    for name in (STYLEGAN_LABELS, *metadata_files(listing.files)):
        if name in listing.files:
            say_once(
                f"{folder}: the classes are the folders {described(classes)}; {name} is not read, "
                f"which may hold the images' labels: give {folder.path(name)} to take them"
            )
    return FolderSource(
        location=folder.location, classes=checked_classes(classes, str(folder)), layout=layout
    )


def _listings(
    folder: Folder, names: Iterable[str], images: list[str], asked: SourceAsked
) -> list[str]:
    """The listings among the names that give the classes; none where folders do.

    Hugging Face's lie beside images that have no class folders; images of StyleGAN's tools lie in
    folders that are numbered and mean nothing.
    """
    if STYLEGAN_LABELS in names and all(CHUNK.match(name) for name in images):
        return [STYLEGAN_LABELS] if gives_classes(folder, STYLEGAN_LABELS, asked) else []
    listings = metadata_files(names)
    homes = [name.rpartition("/")[0] for name in listings]
    class_folders_below = {
        class_of(name.removeprefix(f"{home}/"))
        for home in homes
        for name in images
        if not home or name.startswith(f"{home}/")
    } - {""}
    if not listings or len(class_folders_below) > 1:
        return []
    if not class_folders_below:
        return listings
    return listings if all(gives_classes(folder, name, asked) for name in listings) else []


# Class folders often lie beside the tar they came in: `kinds.SOURCES` lists `folder` before `tar`.
KIND = SourceKind(
    open=open_folder,
    tells_splits=True,
    has_columns=True,
    shows=lambda name: is_image(name) and class_of(name) != "",
)
