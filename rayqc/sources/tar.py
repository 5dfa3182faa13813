"""Uncompressed tars of images: class folders in a tar, or WebDataset's `KEY.png` and `KEY.cls`."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.schema import NO_LABEL, candidate_table
from rayqc.sources.base import ANY, SourceAsked, SourceKind
from rayqc.sources.classes import checked_classes, numbered_classes
from rayqc.sources.columns import image_array
from rayqc.sources.cut import cut
from rayqc.sources.listing import ENDINGS, is_hidden
from rayqc.sources.places import find_files, is_one_file, is_pattern, say_left_out, say_once
from rayqc.sources.problems import Problem, most_bytes, too_large, with_problems
from rayqc.sources.reading import open_file, read_at, refuse_replaced
from rayqc.sources.splits import (
    NO_SPLITS,
    ClassFolders,
    class_folders,
    files_of_split,
    split_of_path,
    take_split,
    warn_of_wrapper,
)
from rayqc.sources.tar_index import (
    USUAL,
    Member,
    TarColumns,
    TarIndex,
    ending_of,
    index_tar,
    key_of,
)
from rayqc.storage import Folder
from rayqc.units import Unit

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
FOLDERS, NUMBERS, NAMES = "folders", "numbers", "names"
"""What gives the class of an image in a tar."""
REPACK = "make the tar from within that folder: tar -C FOLDER -cf NAME.tar ."
MASKS = frozenset(("mask", "masks", "seg", "segmentation", "matte", "trimap", "alpha", "depth"))
"""Words for images that say something of another image."""
NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, kw_only=True)
class TarSource:
    """Tars below one folder."""

    location: str
    files: tuple[str, ...]
    classes: tuple[str, ...]
    layout: str
    """What gives the class: `folders`, or labels' members that hold `numbers` or `names`."""
    folders: ClassFolders = NO_SPLITS
    """Of the layout `folders`."""
    columns: TarColumns = USUAL
    """Which members hold images and labels."""
    _indexes: dict[str, TarIndex] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        state = (self.location, self.files, self.classes, self.layout, self.folders, self.columns)
        return _rebuild, state

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
            label_by_name.get(_class_name(member, self.layout, self.folders), NO_LABEL)
            for member in members
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
            index = index_tar(Folder(self.location), name, self.columns)
            self._indexes[name] = _of_split(index, self.folders)
        return self._indexes[name]


def open_tar(path: str, asked: SourceAsked = ANY) -> TarSource:
    """Tars at a path: one file, a `*` pattern, or a folder.

    Splits are told by the tars' names, or else by first folders within them.

    Raises:
        InputError: no tars at the path, tars that are compressed or have no images or no classes,
            samples of several images, or one that `index_tar` refuses; or there is no such split.
    """
    refuse_compressed(path)
    folder, files = find_files(path, ".tar")
    if not files:
        raise InputError(f"no .tar files at {path} (looked in {folder})")
    told = any(map(split_of_path, files))
    if told and (asked.split_is_set or not (is_pattern(path) or is_one_file(path, ".tar"))):
        files = files_of_split(folder, files, asked)
    columns = TarColumns(
        images=tuple((asked.image_column or "").split(";")) if asked.image_column else (),
        label=asked.label_column,
    )
    indexes = {name: index_tar(folder, name, columns) for name in files}
    other_names = [f"{name}/{member}" for name, index in indexes.items() for member in index.others]
    say_left_out(folder, "other members", other_names)
    layout = _layout(indexes, path, columns)
    within = replace(asked, split_is_set=asked.split_is_set and not told)
    names = [member.name for index in indexes.values() for member in index.images]
    if layout == FOLDERS:
        folders = class_folders(names, within, path)
        indexes = {name: _of_split(index, folders) for name, index in indexes.items()}
    else:
        folders = NO_SPLITS
        take_split([None], within, path)
    classes = _classes(indexes, layout, folders, path)
    return TarSource(
        location=folder.location,
        files=tuple(files),
        classes=classes,
        layout=layout,
        folders=folders,
        columns=columns,
        _indexes=indexes,
    )


def refuse_compressed(path: str) -> None:
    """Raise `InputError` for a path that ends as compressed tars do."""
    if path.lower().endswith(COMPRESSED):
        raise InputError(
            f"{path} is compressed, and so cannot be read at random; decompress it to .tar first "
            "(images are compressed already)"
        )


def _layout(indexes: dict[str, TarIndex], path: str, columns: TarColumns) -> str:
    """What gives the class in tars, which must all have one layout.

    Raises:
        InputError: no images, tars of different layouts, or samples of several images.
    """
    images = [member for index in indexes.values() for member in index.images]
    if not images:
        expected = ", ".join(columns.images or ENDINGS)
        others = [name for index in indexes.values() for name in index.others]
        shards = [name for name in others if name.endswith((".tar", ".parquet"))]
        advice = f"; it holds {shards[0]} and the like: unpack the outer tar" if shards else ""
        raise InputError(
            f"no images in the tars at {path}: expected names ending in {expected}{advice}"
        )
    labelled_tars = {
        name for name, index in indexes.items() if any(member.class_text for member in index.images)
    }
    unlabelled_tars = {name for name, index in indexes.items() if index.images} - labelled_tars
    if labelled_tars and unlabelled_tars:
        raise InputError(
            f"{path}: {min(labelled_tars)} has members with labels and {min(unlabelled_tars)} has "
            "none; give tars of different layouts their own entries"
        )
    for name, index in indexes.items():
        _refuse_several_images(index, f"{path}: {name}")
    texts = {member.class_text for member in images if member.class_text}
    if not labelled_tars and columns.label is not None:
        raise InputError(
            f"{path}: no member ends in .{columns.label}, and no .json member has a key "
            f"{columns.label} (`label_column` in the settings)"
        )
    if not labelled_tars:
        return FOLDERS
    return NUMBERS if all(NUMBER.fullmatch(text) for text in texts) else NAMES


def _refuse_several_images(index: TarIndex, where: str) -> None:
    """Refuse samples of an image and what may be its mask; other views are taken, with a line.

    A mask is what is called so, or lies beside an image `KEY.jpg` under the same key.
    """
    by_label: dict[str, list[Member]] = {}
    for member in index.images:
        if member.label_name is not None:
            by_label.setdefault(member.label_name, []).append(member)
    several = {name: members for name, members in by_label.items() if len(members) > 1}
    for name, members in several.items():
        in_order = sorted(members, key=lambda member: (_is_mask(member), not _is_whole(member)))
        image, second = in_order[0], in_order[-1]
        if _is_whole(image) or _is_mask(second):
            raise InputError(
                f"{where}: {image.name} and {second.name} share the label {name}, as an image and "
                "its mask do, and nothing says which is the image; say so in the settings, such as "
                f"`image_column: {ending_of(image.name)}`, or make the tar anew with one image a "
                "sample"
            )
    if several:
        names = [member.name for member in next(iter(several.values()))]
        say_once(
            f"{where}: {len(several)} labels are of several images each, such as "
            f"{' and '.join(names[:2])}; all of them are taken"
        )


def _is_mask(member: Member) -> bool:
    """Is a word behind the image's key one for masks?"""
    return not MASKS.isdisjoint(re.split(r"[._-]", ending_of(member.name).lower()))


def _is_whole(member: Member) -> bool:
    """Has the image's name nothing between key and ending?"""
    return member.name.rpartition(".")[0] == key_of(member.name)


def _classes(
    indexes: dict[str, TarIndex], layout: str, folders: ClassFolders, path: str
) -> tuple[str, ...]:
    """Class names of tars."""
    images = [member for index in indexes.values() for member in index.images]
    if layout == NUMBERS:
        texts = [member.class_text for member in images if member.class_text]
        names = numbered_classes(max(map(int, texts)), path)
    else:
        class_names = {_class_name(member, layout, folders) for member in images} - {""}
        names = checked_classes(sorted(class_names), path)
    expected = (
        f"expected CLASS/NAME{ENDINGS[0]}, or KEY{ENDINGS[0]} and KEY.cls with a number or a name"
    )
    others = {member for index in indexes.values() for member in index.others}
    if len(names) < 2 and any(f"{key_of(member.name)}.json" in others for member in images):
        raise InputError(
            f"{path}: found .json members beside the images; where they hold the labels, name "
            f"their key as `label_column`. Otherwise {expected}"
        )
    if not names:
        raise InputError(f"no classes in the tars at {path}: {expected}")
    if layout == FOLDERS:
        warn_of_wrapper([member.name for member in images], names, folders, path, REPACK)
    return names


def _of_split(index: TarIndex, folders: ClassFolders) -> TarIndex:
    """The index of the images of a split only."""
    images = tuple(member for member in index.images if folders.takes(member.name))
    return replace(index, images=images)


def _class_name(member: Member, layout: str, folders: ClassFolders) -> str:
    """Name of the member's class; empty where it has none."""
    if layout == FOLDERS:
        return folders.class_of(member.name)
    text = member.class_text or ""
    return str(int(text)) if layout == NUMBERS and text else text


def _rebuild(
    location: str,
    files: tuple[str, ...],
    classes: tuple[str, ...],
    layout: str,
    folders: ClassFolders,
    columns: TarColumns,
) -> TarSource:
    return TarSource(
        location=location,
        files=files,
        classes=classes,
        layout=layout,
        folders=folders,
        columns=columns,
    )


KIND = SourceKind(
    open=open_tar,
    endings=(".tar",),
    tells_splits=True,
    has_columns=True,
    shows=lambda name: name.lower().endswith(".tar") and not is_hidden(name),
)
