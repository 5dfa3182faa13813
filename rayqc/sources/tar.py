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
    """What says the class: `folders`, or .cls members that hold `numbers` or `names`."""
    _held: dict[str, TarIndex] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.location, self.files, self.classes, self.layout)

    def units(self, most_rows: int) -> list[Unit]:
        """Ranges of each tar's images; see `Source`."""
        found = []
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
                found.append(unit)
        return found

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        return self._labels(self._taken(unit))

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """See `Source`.

        Raises:
            InputError: the tar is not the one that was planned.
        """
        folder, members = Folder(self.location), self._taken(unit)
        where, most = folder.path(unit.path), most_bytes(max_bytes)
        problems: list[Problem | None] = [
            too_large(member.size, most) if member.size > most else None for member in members
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
        index = {name: label for label, name in enumerate(self.classes)}
        found = [index.get(_class_name(member, self.layout), NO_LABEL) for member in members]
        return np.array(found, dtype=np.int64)

    def _taken(self, unit: Unit) -> list[Member]:
        """The unit's members in the tar that it was planned on."""
        index = self._index(unit.path)
        if index.fingerprint != unit.fingerprint:
            self._held.pop(unit.path, None)
            refuse_replaced(Folder(self.location), unit)
            index = self._index(unit.path)
        return [index.images[row] for row in unit.rows()]

    def _index(self, name: str) -> TarIndex:
        """Of one tar, kept: an actor's units follow one another."""
        if name not in self._held:
            self._held.clear()
            self._held[name] = index_tar(Folder(self.location), name)
        return self._held[name]


def open_tar(path: str) -> TarSource:
    """Tars at a path: one file, a `*` pattern, or a folder.

    Raises:
        InputError: none found, compressed, without images or classes, or one that `index_tar`
            refuses.
    """
    refuse_compressed(path)
    folder, files = find_files(path, ".tar")
    if not files:
        raise InputError(f"no .tar files at {path} (looked in {folder})")
    held = {name: index_tar(folder, name) for name in files}
    others = [f"{name}/{other}" for name, index in held.items() for other in index.others]
    say_left_out(folder, "other members", others)
    layout, classes = _classes(held, path)
    return TarSource(
        location=folder.location, files=tuple(files), classes=classes, layout=layout, _held=held
    )


def refuse_compressed(path: str) -> None:
    """Raise `InputError` for a path that ends as compressed tars do."""
    if path.lower().endswith(COMPRESSED):
        raise InputError(
            f"{path} is compressed, and so cannot be read at random; decompress it to .tar first "
            "(images are compressed already)"
        )


def _classes(held: dict[str, TarIndex], path: str) -> tuple[str, tuple[str, ...]]:
    """Layout and class names of tars that must agree in their layout."""
    images = [member for index in held.values() for member in index.images]
    if not images:
        expected = ", ".join(ENDINGS)
        raise InputError(f"no images in the tars at {path}: expected names ending in {expected}")
    keyed = {name for name, index in held.items() if any(m.class_text for m in index.images)}
    plain = {name for name, index in held.items() if index.images} - keyed
    if keyed and plain:
        raise InputError(
            f"{path}: {min(keyed)} has .cls members and {min(plain)} has none; give tars of "
            "different layouts their own entries"
        )
    texts = {member.class_text for member in images if member.class_text}
    if keyed and all(NUMBER.fullmatch(text) for text in texts):
        layout, names = "numbers", numbered_classes(max(map(int, texts)), path)
    else:
        layout = "names" if keyed else "folders"
        found = {_class_name(member, layout) for member in images} - {""}
        names = checked_classes(sorted(found), path)
    if not names:
        raise InputError(
            f"no classes in the tars at {path}: expected CLASS/NAME{ENDINGS[0]}, or "
            f"KEY{ENDINGS[0]} and KEY.cls with a number or a name"
        )
    return layout, names


def _class_name(member: Member, layout: str) -> str:
    """The member's class by name; empty where there is none."""
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
