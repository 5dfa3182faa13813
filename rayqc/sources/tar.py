"""Uncompressed tars of images: class folders in a tar, or WebDataset's `KEY.png` and `KEY.cls`."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.schema import NO_LABEL, candidate_table
from rayqc.sources.base import SourceKind
from rayqc.sources.classes import checked_classes, numbered_classes
from rayqc.sources.columns import image_array
from rayqc.sources.cut import cut
from rayqc.sources.listing import ENDINGS, class_of, is_hidden
from rayqc.sources.places import find_files, say_left_out
from rayqc.sources.problems import Problem, most_bytes, too_large, with_problems
from rayqc.sources.reading import open_file, read_at, refuse_replaced
from rayqc.sources.tar_index import Member, TarIndex, index_tar
from rayqc.storage import Folder
from rayqc.units import Unit

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, kw_only=True)
class TarSource:
    """Tars below one folder."""

    location: str
    files: tuple[str, ...]
    classes: tuple[str, ...]
    layout: str
    """What gives the class: `folders`, or .cls members that hold `numbers` or `names`."""
    _indexes: dict[str, TarIndex] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.location, self.files, self.classes, self.layout)

    def units(self, most_rows: int) -> list[Unit]:
        """Ranges of each tar's images; see `Source`."""
        units = []
        for name in self.files:
            index = self._index(name)
            names = tuple(member.name for member in index.images)
            for start, stop in cut([member.size for member in index.images], most_rows):
                unit = Unit(
                    entry=0,
                    path=name,
                    start=start,
                    stop=stop,
                    fingerprint=index.fingerprint,
                    names=names[start:stop],
                )
                units.append(unit)
        return units

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        return self._labels(self._members_of(unit))

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """See `Source`.

        Raises:
            InputError: the tar is not the one that the unit was planned on.
        """
        folder, members = Folder(self.location), self._members_of(unit)
        where, limit = folder.path(unit.path), most_bytes(max_bytes)
        problems: list[Problem | None] = [
            too_large(member.size, limit) if member.size > limit else None for member in members
        ]
        with contextlib.closing(open_file(folder, unit.path)) as file:
            data = [
                None if problem else read_at(file, member.offset, member.size, where)
                for member, problem in zip(members, problems, strict=True)
            ]
        refuse_replaced(folder, unit)
        table = candidate_table(
            self.classes,
            ids=[f"{unit.path}/{member.name}" for member in members],
            images=image_array(data, [member.name for member in members]),
            labels=self._labels(members),
            sources=[where] * len(members),
        )
        return with_problems(table, problems)

    def _labels(self, members: list[Member]) -> np.ndarray:
        label_by_name = {name: label for label, name in enumerate(self.classes)}
        labels = [
            label_by_name.get(_class_name(member, self.layout), NO_LABEL) for member in members
        ]
        return np.array(labels, dtype=np.int64)

    def _members_of(self, unit: Unit) -> list[Member]:
        """The unit's members in the tar that it was planned on."""
        index = self._index(unit.path)
        if index.fingerprint != unit.fingerprint:
            self._indexes.pop(unit.path, None)
            refuse_replaced(Folder(self.location), unit)
            index = self._index(unit.path)
        return [index.images[row] for row in unit.rows()]

    def _index(self, name: str) -> TarIndex:
        """Index of one tar. The last one is cached, since an actor's units follow one another."""
        if name not in self._indexes:
            self._indexes.clear()
            self._indexes[name] = index_tar(Folder(self.location), name)
        return self._indexes[name]


def open_tar(path: str) -> TarSource:
    """Tars at a path: one file, a `*` pattern, or a folder.

    Raises:
        InputError: no tars at the path, tars that are compressed or have no images or no classes,
            or one that `index_tar` refuses.
    """
    refuse_compressed(path)
    folder, files = find_files(path, ".tar")
    if not files:
        raise InputError(f"no .tar files at {path} (looked in {folder})")
    indexes = {name: index_tar(folder, name) for name in files}
    other_names = [f"{name}/{member}" for name, index in indexes.items() for member in index.others]
    say_left_out(folder, "other members", other_names)
    layout, classes = _classes(indexes, path)
    return TarSource(
        location=folder.location,
        files=tuple(files),
        classes=classes,
        layout=layout,
        _indexes=indexes,
    )


def refuse_compressed(path: str) -> None:
    """Raise `InputError` for a path that ends as compressed tars do."""
    if path.lower().endswith(COMPRESSED):
        raise InputError(
            f"{path} is compressed, and so cannot be read at random; decompress it to .tar first "
            "(images are compressed already)"
        )


def _classes(indexes: dict[str, TarIndex], path: str) -> tuple[str, tuple[str, ...]]:
    """Layout and class names of tars, which must all have one layout."""
    images = [member for index in indexes.values() for member in index.images]
    if not images:
        expected = ", ".join(ENDINGS)
        raise InputError(f"no images in the tars at {path}: expected names ending in {expected}")
    labelled_tars = {
        name for name, index in indexes.items() if any(member.class_text for member in index.images)
    }
    unlabelled_tars = {name for name, index in indexes.items() if index.images} - labelled_tars
    if labelled_tars and unlabelled_tars:
        raise InputError(
            f"{path}: {min(labelled_tars)} has .cls members and {min(unlabelled_tars)} has "
            "none; give tars of different layouts their own entries"
        )
    texts = {member.class_text for member in images if member.class_text}
    if labelled_tars and all(NUMBER.fullmatch(text) for text in texts):
        layout, names = "numbers", numbered_classes(max(map(int, texts)), path)
    else:
        layout = "names" if labelled_tars else "folders"
        class_names = {_class_name(member, layout) for member in images} - {""}
        names = checked_classes(sorted(class_names), path)
    if not names:
        raise InputError(
            f"no classes in the tars at {path}: expected CLASS/NAME{ENDINGS[0]}, or "
            f"KEY{ENDINGS[0]} and KEY.cls with a number or a name"
        )
    return layout, names


def _class_name(member: Member, layout: str) -> str:
    """Name of the member's class; empty where it has none."""
    if layout == "folders":
        return class_of(member.name)
    text = member.class_text or ""
    return str(int(text)) if layout == "numbers" and text else text


def _rebuild(
    location: str, files: tuple[str, ...], classes: tuple[str, ...], layout: str
) -> TarSource:
    return TarSource(location=location, files=files, classes=classes, layout=layout)


KIND = SourceKind(
    open=lambda path, split: open_tar(path),
    endings=(".tar",),
    shows=lambda name: name.endswith(".tar") and not is_hidden(name),
)
