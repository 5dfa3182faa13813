"""The index of a tar: names, offsets and sizes of its images. Nothing is extracted.

tarfile trusts what a header says. Here every member is checked, and a tar is refused as a whole
if it was made to write outside its folder, to hang or to exhaust memory (CVE-2024-6232,
CVE-2025-8194), or if it was cut off or joined to another tar.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rayqc.errors import InputError, StorageError
from rayqc.sources.listing import fingerprint_of, is_hidden, is_image, is_text
from rayqc.sources.reading import open_file, read_at
from rayqc.storage import Folder

MOST_HEADER = 16_384
"""Most bytes of a member's header; a path takes at most 4,096, and nothing else in it is needed."""
MOST_CLASS = 1_000
"""Most bytes of a .cls member."""
MOST_JSON = 1_000_000
"""Most bytes of a .json member that is read for a label."""
LABEL, JSON = ".cls", ".json"
CHUNK = 1 << 20

COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
"""First bytes of gzip, bzip2, xz and zstd files."""

ANEW = "make the tar anew"
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)
KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a pipe (FIFO)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One image in a tar."""

    name: str
    offset: int
    size: int
    class_text: str | None
    """Text of the label's member of the same key; None where there is none."""
    label_name: str | None = None
    """Name of that member."""


@dataclass(frozen=True, kw_only=True)
class TarColumns:
    """Which members hold images and labels, where the settings say so."""

    images: tuple[str, ...] = ()
    """Endings after a key's dot, such as `input.png`; empty takes the usual endings of images."""
    label: str | None = None
    """An ending after a key's dot, such as `target`, or a key of `.json` members, such as
    `meta.label`; None takes `.cls` members."""

    def is_image(self, name: str) -> bool:
        """Is the member an image?"""
        if not self.images:
            return is_image(name)
        return not is_hidden(name) and ending_of(name) in self.images

    def is_label(self, name: str) -> bool:
        """May the member hold a label?"""
        if is_hidden(name):
            return False
        if self.label is None:
            return name.endswith(LABEL)
        return ending_of(name) == self.label or name.endswith(JSON)


USUAL = TarColumns()


@dataclass(frozen=True, kw_only=True)
class TarIndex:
    """The images of one tar, in the tar's order."""

    fingerprint: str
    images: tuple[Member, ...]
    others: tuple[str, ...]
    """Names of files that are neither images nor labels."""


def index_tar(folder: Folder, name: str, columns: TarColumns = USUAL) -> TarIndex:
    """Read all headers of a tar and the members that hold labels.

    Raises:
        InputError: the file is no tar, is damaged or cut off, or has a member that is refused; the
            message names the member.
        StorageError: the disk or the object store failed.
    """
    where = folder.path(name)
    fingerprint = fingerprint_of(folder, name)
    extents: dict[str, tuple[int, int]] = {}
    class_texts: dict[str, str] = {}
    with contextlib.closing(open_file(folder, name)) as file:
        for info in _members(file, where):
            member = _checked_name(info, where)
            if info.isdir():
                continue
            _refuse_special(info, where)
            if member in extents:
                raise _member_error(where, info.name, "is there twice", f"{ANEW} with one of them")
            extents[member] = (info.offset_data, info.size)
            if columns.is_label(member):
                class_text = _read_class_text(file, info, where, columns.label)
                if class_text is not None:
                    class_texts[member] = class_text
    if columns.label is not None and any(not label.endswith(JSON) for label in class_texts):
        class_texts = {m: text for m, text in class_texts.items() if not m.endswith(JSON)}
    label_by_key = _labels_by_key(class_texts)
    images = []
    for member, (offset, size) in extents.items():
        if not columns.is_image(member):
            continue
        label_name = _label_of(member, class_texts, label_by_key)
        images.append(
            Member(
                name=member,
                offset=offset,
                size=size,
                class_text=class_texts[label_name] if label_name else None,
                label_name=label_name,
            )
        )
    other_names = [
        member for member in extents if not columns.is_image(member) and member not in class_texts
    ]
    return TarIndex(fingerprint=fingerprint, images=tuple(images), others=tuple(other_names))


class _Headers:
    """An open tar as tarfile sees it: reads are limited in size and stay within the file."""

    def __init__(self, file: Any, size: int, where: str) -> None:
        self._file, self._size, self._where = file, size, where
        self._offset = 0

    def tell(self) -> int:
        return self._offset

    def seek(self, offset: int) -> None:
        self._offset = offset

    def read(self, count: int) -> bytes:
        if not 0 <= count <= MOST_HEADER:
            raise tarfile.ReadError(f"a header of {count:,} bytes, limit {MOST_HEADER:,}")
        if not 0 <= self._offset < self._size:
            return b""
        data = read_at(self._file, self._offset, count, self._where)
        self._offset += len(data)
        return data


class _Member(tarfile.TarInfo):
    """A member whose extended header is at fault is an error, and not the end of the tar.

    tarfile ends silently there, with its offset behind the member: `_check_end` cannot see it.
    """

    @classmethod
    def fromtarfile(cls, tar: Any) -> Any:
        begun = tar.offset
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if tar.offset != begun:
                raise tarfile.ReadError(str(error)) from None
            raise


def _members(file: Any, where: str) -> Iterator[tarfile.TarInfo]:
    """All members; each lies within the file and behind the member before it."""
    size = file.seek(0, 2)
    if read_at(file, 0, 6, where).startswith(COMPRESSED):
        raise InputError(f"{where} is compressed; decompress it to a plain .tar first")
    headers: Any = _Headers(file, size, where)
    try:
        tar: Any = tarfile.TarFile(fileobj=headers, encoding="utf-8", tarinfo=_Member)
        while (info := tar.next()) is not None:
            tar.members = []  # tarfile's own list would fill the memory
            _check_extent(info, tar.offset, size)
            yield info
    except (InputError, StorageError):
        raise
    except Exception as error:  # tarfile raises whatever the bytes lead it to
        raise InputError(f"{where} is not a readable tar: {error}; {ANEW}") from error
    _check_end(file, tar.offset, size, where)


def _check_extent(info: tarfile.TarInfo, following: int, size: int) -> None:
    if info.size < 0 or following <= info.offset:
        raise tarfile.ReadError(f"member {info.name!r} leads back")
    data_end = info.offset_data + info.size if info.isfile() and not info.issparse() else 0
    if max(following, data_end) > size:
        raise tarfile.ReadError(f"it is cut off in member {info.name!r}")
    if data_end > following:
        raise tarfile.ReadError(f"member {info.name!r} reaches into the next one")


def _check_end(file: Any, end: int, size: int, where: str) -> None:
    """Refuse a tar whose end is not empty, since tarfile stops silently at a damaged header."""
    block = read_at(file, end, tarfile.BLOCKSIZE, where)
    if len(block) < tarfile.BLOCKSIZE:
        raise InputError(f"{where} is cut off: found no empty block at its end; {ANEW}")
    if any(block):
        raise InputError(f"{where} is damaged: found no header at byte {end:,}; {ANEW}")
    for offset in range(end, size, CHUNK):
        if any(read_at(file, offset, CHUNK, where)):
            raise InputError(
                f"{where} goes on behind its end at byte {end:,}, as where tars were joined by "
                "cat; give each as a file of its own"
            )


def _checked_name(info: tarfile.TarInfo, where: str) -> str:
    """The member's name without `.` components and doubled slashes."""
    components = [component for component in info.name.split("/") if component not in ("", ".")]
    if info.name.startswith("/"):
        raise _member_error(where, info.name, "has an absolute path", f"{ANEW} with relative names")
    if ".." in components:
        raise _member_error(where, info.name, "leads out by '..'", f"{ANEW} without")
    if not is_text(info.name):
        raise _member_error(where, info.name, "has a name that is not UTF-8", f"{ANEW} in UTF-8")
    return "/".join(components)


def _refuse_special(info: tarfile.TarInfo, where: str) -> None:
    plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
    if plain and not info.issparse():
        return
    file_type = (
        "a sparse file" if info.issparse() else KINDS.get(info.type, f"of type {info.type!r}")
    )
    advice = "tar --dereference --hard-dereference" if info.type in LINKS else "plain files only"
    raise _member_error(where, info.name, f"is {file_type}", f"{ANEW} with {advice}")


def _member_error(where: str, member: str, fault: str, hint: str) -> InputError:
    return InputError(f"{where}: member {member!r} {fault}; {hint}")


def _read_class_text(file: Any, info: tarfile.TarInfo, where: str, label: str | None) -> str | None:
    """Text of a label's member without white space around it, or of a .json member's key.

    None where a .json member has no such key.
    """
    if label is not None and info.name.endswith(JSON) and ending_of(info.name) != label:
        return _label_in_json(file, info, where, label)
    if info.size > MOST_CLASS:
        raise _member_error(
            where, info.name, f"has {info.size:,} bytes", "expected a number or a name"
        )
    data = read_at(file, info.offset_data, info.size, where)
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise _member_error(where, info.name, f"holds {data[:20]!r}", "expected a number or a name")
    return text


def _label_in_json(file: Any, info: tarfile.TarInfo, where: str, label: str) -> str | None:
    if info.size > MOST_JSON:
        raise _member_error(where, info.name, f"has {info.size:,} bytes", "which is no label")
    try:
        value = json.loads(read_at(file, info.offset_data, info.size, where))
    except (ValueError, RecursionError) as error:
        raise _member_error(where, info.name, f"is not JSON ({error})", ANEW) from error
    for key in label.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise _member_error(
            where, info.name, f"has {value!r} as {label}", "expected a number or a name"
        )
    return str(value).strip()


def key_of(member: str) -> str:
    """WebDataset's key of a member: its name up to the first dot of the file's name."""
    folder_name, slash, file_name = member.rpartition("/")
    return f"{folder_name}{slash}{file_name.partition('.')[0]}"


def ending_of(member: str) -> str:
    """What stands behind the first dot of the file's name, by which WebDataset names columns."""
    return member.rpartition("/")[2].partition(".")[2]


def _labels_by_key(class_texts: dict[str, str]) -> dict[str, str]:
    """WebDataset's key to the label's member that alone has it, as `KEY.target.cls` may."""
    label_by_key: dict[str, str] = {}
    shared_keys = set()
    for label_name in class_texts:
        key = key_of(label_name)
        if label_by_key.setdefault(key, label_name) != label_name:
            shared_keys.add(key)
    return {key: name for key, name in label_by_key.items() if key not in shared_keys}


def _label_of(member: str, class_texts: dict[str, str], label_by_key: dict[str, str]) -> str | None:
    """Name of the label's member of an image's key; None where there is none.

    The key is the member's name up to its last dot or, as in WebDataset, up to its first.
    """
    for key in (member.rpartition(".")[0], key_of(member)):
        for ending in (LABEL, JSON):
            if f"{key}{ending}" in class_texts:
                return f"{key}{ending}"
    return label_by_key.get(key_of(member))
