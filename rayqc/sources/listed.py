"""Images that a file lists with their labels: CSV, JSON lines, metadata.csv, dataset.json."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.schema import NO_LABEL, candidate_table
from rayqc.sources.base import ANY, SourceAsked, SourceKind
from rayqc.sources.classes import checked_classes
from rayqc.sources.columns import image_array
from rayqc.sources.cut import cut
from rayqc.sources.listing import fingerprint_of, list_files, size_of
from rayqc.sources.listing_file import LIST_ENDINGS, Listed, read_listing
from rayqc.sources.places import find_files, is_one_file, is_pattern, say_left_out
from rayqc.sources.problems import with_problems
from rayqc.sources.reading import read_file, read_whole
from rayqc.sources.splits import (
    SPLIT_OF_WORD,
    files_of_split,
    split_of_path,
    split_of_word,
    take_split,
)
from rayqc.storage import Folder, canonical_json, digest, is_url
from rayqc.units import Unit

METADATA = ("metadata.csv", "metadata.jsonl")
"""Names that Hugging Face's ImageFolder gives to listings."""
MISSING = "0 bytes, missing"
URLS = ("http://", "https://")


@dataclass(frozen=True, kw_only=True)
class _Images:
    """What one listing takes part in: the rows of the split that is asked for."""

    digest: str
    """Of the file's bytes."""
    names: tuple[str, ...]
    """As listed, without `./`: below the file's own folder, or absolute."""
    class_texts: tuple[str | None, ...]


@dataclass(frozen=True, kw_only=True)
class ListedSource:
    """Images that files below one folder list."""

    location: str
    files: tuple[str, ...]
    classes: tuple[str, ...]
    asked: SourceAsked
    split: str | None = None
    """The split whose rows are taken, where the files have a column `split`."""
    _read: dict[str, _Images] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        state = (self.location, self.files, self.classes, self.asked, self.split)
        return _rebuild, state

    def units(self, most_rows: int) -> list[Unit]:
        """Ranges of each file's rows; see `Source`."""
        units = []
        for file in self.files:
            images = self._images_of(file)
            fingerprints = _fingerprints(_folder_of(self.location, file), images.names)
            whole = f"{images.digest} {digest(canonical_json(fingerprints))}"
            for start, stop in cut([size_of(value) for value in fingerprints], most_rows):
                units.append(
                    Unit(
                        entry=0,
                        path=file,
                        start=start,
                        stop=stop,
                        fingerprint=whole,
                        names=images.names[start:stop],
                    )
                )
        return units

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        images = self._images_of(unit.path)
        if not unit.fingerprint.startswith(images.digest):
            self._read.clear()
            raise InputError(
                f"{Folder(self.location).path(unit.path)} was changed after the work was planned; "
                "put the old file back, or start anew"
            )
        label_by_class = {name: label for label, name in enumerate(self.classes)}
        texts = (images.class_texts[row] for row in unit.rows())
        labels = [NO_LABEL if text is None else label_by_class[text] for text in texts]
        return np.array(labels, dtype=np.int64)

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """See `Source`; a file that is missing or cannot be read gives its row a problem."""
        folder = _folder_of(self.location, unit.path)
        names = [unit.names[row - unit.start] for row in unit.rows()]
        contents = [read_file(*_place(folder, name), max_bytes) for name in names]
        data = [content if isinstance(content, bytes) else None for content in contents]
        table = candidate_table(
            self.classes,
            ids=[str(PurePosixPath(unit.path).parent / name) for name in names],
            images=image_array(data, names),
            labels=self.labels(unit),
            sources=[folder.path(unit.path)] * len(names),
        )
        problems = [None if isinstance(content, bytes) else content for content in contents]
        return with_problems(table, problems)

    def _images_of(self, file: str) -> _Images:
        """The rows of one file. The last ones are cached, since units follow one another."""
        if file not in self._read:
            self._read.clear()
            folder = Folder(self.location)
            listing = _listing(folder, file, self.asked)
            self._read[file] = _images(folder, file, *listing, self.split)
        return self._read[file]


def open_listed(path: str, asked: SourceAsked = ANY) -> ListedSource:
    """The images of a listing, of a pattern of listings, or of a folder's metadata files.

    Raises:
        InputError: no listing at the path, or one that cannot be read; no listed file exists, one
            is listed with two classes, or is a URL; or there is no such split.
    """
    named = is_pattern(path) or is_one_file(path, (*LIST_ENDINGS, ".parquet"))
    folder, files = find_files(path, "") if named else (Folder(path), [])
    if not named:
        files = metadata_files(list_files(folder).files)
    if not files:
        raise InputError(
            f"no listing at {path}: expected a file ending in {', '.join(LIST_ENDINGS)}, or a "
            f"folder with {' or '.join(METADATA)}"
        )
    if named and not asked.split_is_set:
        return _of_files(folder, files, asked)
    return open_listings(folder, files, asked)


def open_listings(folder: Folder, files: list[str], asked: SourceAsked) -> ListedSource:
    """The images of the listings of a split, which their names tell; raises as `open_listed`."""
    told = any(map(split_of_path, files))
    if told:
        files = files_of_split(folder, files, asked)
    return _of_files(folder, files, replace(asked, split_is_set=asked.split_is_set and not told))


def gives_classes(folder: Folder, file: str, asked: SourceAsked) -> bool:
    """Whether a file is a listing that gives images classes; one that cannot be read does not."""
    try:
        listed = read_listing(read_whole(folder, file), folder.path(file), asked)
    except InputError:
        return False
    return any(listed.class_texts)


def _of_files(folder: Folder, files: list[str], asked: SourceAsked) -> ListedSource:
    """The images of all these listings."""
    where = folder.path(files[0])
    listings = {file: _listing(folder, file, asked) for file in files}
    split = _split_of_rows([listed for _, listed in listings.values()], asked, where)
    images = {file: _images(folder, file, *listings[file], split) for file in files}
    texts = {text for each in images.values() for text in each.class_texts if text is not None}
    if not texts:
        raise InputError(f"{where} gives no image a class")
    _refuse_twice_listed(folder, images)
    for file, each in images.items():
        _refuse_if_none_is_there(_folder_of(folder.location, file), each.names, folder.path(file))
    names = sorted(texts)
    if all(name.isdecimal() for name in names):
        names.sort(key=int)
    return ListedSource(
        location=folder.location,
        files=tuple(files),
        classes=checked_classes(names, where),
        asked=asked,
        split=split,
        _read=images if len(images) == 1 else {},
    )


def _refuse_twice_listed(folder: Folder, images: dict[str, _Images]) -> None:
    """Refuse an image that two listings name."""
    if len(images) == 1:
        return
    listed: dict[str, tuple[str, str | None]] = {}
    for file, each in images.items():
        own_folder = _folder_of(folder.location, file)
        for name, class_text in zip(each.names, each.class_texts, strict=True):
            above, below = _place(own_folder, name)
            place = above.path(below)
            first, first_class = listed.setdefault(place, (file, class_text))
            if first != file:
                raise InputError(
                    f"{place} is listed as {first_class} in {first} and as {class_text} in {file}; "
                    f"expected each image in one listing below {folder}: name one of them, or make "
                    "one of all"
                )


def metadata_files(names: Iterable[str]) -> list[str]:
    """The names of Hugging Face's metadata files among names of files."""
    return [name for name in names if name.rpartition("/")[2] in METADATA]


def _listing(folder: Folder, file: str, asked: SourceAsked) -> tuple[str, Listed]:
    """Digest and rows of a listing."""
    data = read_whole(folder, file)
    return digest(data), read_listing(data, folder.path(file), asked)


def _split_of_rows(listings: list[Listed], asked: SourceAsked, where: str) -> str | None:
    """The split whose rows are taken; None where no column tells each row's split."""
    splits = {
        split_of_word(str(value).strip()) for listed in listings for value in listed.splits or ()
    } - {None}
    if splits and any(listed.splits is None for listed in listings):
        raise InputError(
            f"{where} and others: some have a column `split` and some have none; give each its own "
            "entry, or all of them the column"
        )
    return take_split(splits or [None], asked, where)


def _images(folder: Folder, file: str, identity: str, listed: Listed, split: str | None) -> _Images:
    """The images of a listing's rows of a split, each once."""
    class_by_name: dict[str, str | None] = {}
    repeated: list[str] = []
    of_no_split: list[str] = []
    own_folder = _folder_of(folder.location, file)
    for row, (path, class_text) in enumerate(zip(listed.paths, listed.class_texts, strict=True)):
        if (
            split is not None
            and (own := split_of_word(str((listed.splits or ())[row]).strip())) != split
        ):
            of_no_split += [] if own else [path]
            continue
        name = _name(path, own_folder)
        if name not in class_by_name:
            class_by_name[name] = class_text
        elif class_by_name[name] == class_text:
            repeated.append(name)
        else:
            raise InputError(
                f"{folder.path(file)}: {path} is listed as {class_by_name[name]} and as "
                f"{class_text}; expected one class an image"
            )
    say_left_out(folder, f"rows of {file} that list an image again", repeated)
    what = f"rows of {file} whose split is none of {', '.join(sorted({*SPLIT_OF_WORD.values()}))}"
    say_left_out(folder, what, of_no_split)
    return _Images(
        digest=identity, names=tuple(class_by_name), class_texts=tuple(class_by_name.values())
    )


def _name(path: str, folder: Folder) -> str:
    """The path as a name below the listing's folder, or absolute."""
    if path.startswith(URLS):
        raise InputError(f"{folder}: a listing names {path}; download the images first")
    name = path.removeprefix(f"{folder.location}/")
    if "\\" in name:  # written on Windows
        name = name.replace("\\", "/")
    return name if is_url(name) else str(PurePosixPath(name))


def _folder_of(location: str, file: str) -> Folder:
    """The folder that a listing's paths start at: its own."""
    above = file.rpartition("/")[0]
    return Folder(location).sub(above) if above else Folder(location)


def _place(folder: Folder, name: str) -> tuple[Folder, str]:
    """The folder and the name in it of a listed image; an absolute path lies anywhere."""
    return (Folder("/"), name[1:]) if name.startswith("/") else (folder, name)


def _fingerprints(folder: Folder, names: tuple[str, ...]) -> list[str]:
    fingerprints = list_files(folder).files
    return [fingerprints.get(name) or _elsewhere(*_place(folder, name)) for name in names]


def _elsewhere(folder: Folder, name: str) -> str:
    """Fingerprint of a file that no listing of the folder has: outside it, linked or missing."""
    try:
        return fingerprint_of(folder, name)
    except InputError:
        return MISSING


def _refuse_if_none_is_there(folder: Folder, names: tuple[str, ...], where: str) -> None:
    if all(value == MISSING for value in _fingerprints(folder, names)):
        raise InputError(
            f"{where}: none of the {len(names):,} files that it lists is there, "
            f"{_place(folder, names[0])[0].path(names[0])} first; paths start at the listing's own "
            "folder, and end as the files do"
        )


def _rebuild(
    location: str,
    files: tuple[str, ...],
    classes: tuple[str, ...],
    asked: SourceAsked,
    split: str | None,
) -> ListedSource:
    return ListedSource(location=location, files=files, classes=classes, asked=asked, split=split)


KIND = SourceKind(open=open_listed, endings=LIST_ENDINGS, tells_splits=True, has_columns=True)
