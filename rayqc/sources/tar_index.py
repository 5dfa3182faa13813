"""What a tar holds: names, places and sizes of its images. Nothing is extracted.

tarfile believes what a header says. Here every member is checked: a tar that was made to escape,
to hang or to exhaust memory (CVE-2024-6232, CVE-2025-8194), and one that was cut off or joined
to another, is refused as a whole.
"""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rayqc.errors import InputError, StorageError
from rayqc.sources.listing import fingerprint_of, is_hidden, is_image, is_text
from rayqc.sources.reading import open_file, read_at
from rayqc.storage import Folder

MOST_HEADER = 16_384
"""Bytes of a member's header: paths take 4,096 at most, and the rest of it is not wanted."""
MOST_CLASS = 1_000
"""Bytes of a class's name."""
LABEL = ".cls"
CHUNK = 1 << 20

COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
"""What gzip, bzip2, xz and zstd files begin with."""

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
    """What the .cls member of the same key says."""


@dataclass(frozen=True, kw_only=True)
class TarIndex:
    """The images of one tar, in its order."""

    fingerprint: str
    images: tuple[Member, ...]
    others: tuple[str, ...]
    """Names of files that are neither images nor labels."""


def index_tar(folder: Folder, name: str) -> TarIndex:
    """Read all headers of a tar, and its .cls members.

    Raises:
        InputError: it is no tar, damaged, cut off, or holds what a pool of images does not; says
            which member.
        StorageError: the disk or the object store failed.
    """
    where = folder.path(name)
    fingerprint = fingerprint_of(folder, name)
    places: dict[str, tuple[int, int]] = {}
    labels: dict[str, str] = {}
    with contextlib.closing(open_file(folder, name)) as file:
        for info in _members(file, where):
            member = _checked_name(info, where)
            if info.isdir():
                continue
            _refuse_odd(info, where)
            if member in places:
                raise _refused(where, info.name, "is there twice", f"{ANEW} with one of them")
            places[member] = (info.offset_data, info.size)
            if member.endswith(LABEL) and not is_hidden(member):
                labels[member] = _class_text(file, info, where)
    images = [
        Member(name=member, offset=offset, size=size, class_text=_label_of(member, labels))
        for member, (offset, size) in places.items()
        if is_image(member)
    ]
    others = [member for member in places if not is_image(member) and member not in labels]
    return TarIndex(fingerprint=fingerprint, images=tuple(images), others=tuple(others))


class _Headers:
    """An open tar as tarfile gets to see it: sane reads, within the file."""

    def __init__(self, file: Any, size: int, where: str) -> None:
        self._file, self._size, self._where = file, size, where
        self._at = 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int) -> None:
        self._at = offset

    def read(self, count: int) -> bytes:
        if not 0 <= count <= MOST_HEADER:
            raise tarfile.ReadError(f"a header of {count:,} bytes, limit {MOST_HEADER:,}")
        if not 0 <= self._at < self._size:
            return b""
        data = read_at(self._file, self._at, count, self._where)
        self._at += len(data)
        return data


def _members(file: Any, where: str) -> Iterator[tarfile.TarInfo]:
    """All members, each within the file and behind the one before."""
    size = file.seek(0, 2)
    if read_at(file, 0, 6, where).startswith(COMPRESSED):
        raise InputError(f"{where} is compressed; decompress it to a plain .tar first")
    headers: Any = _Headers(file, size, where)
    try:
        tar: Any = tarfile.TarFile(fileobj=headers, encoding="utf-8")
        while (info := tar.next()) is not None:
            tar.members = []  # they would fill the memory
            _check_extent(info, tar.offset, size)
            yield info
    except (InputError, StorageError):
        raise
    except Exception as error:  # tarfile raises whatever the bytes lead it to
        raise InputError(f"{where} is not a readable tar: {error}; {ANEW}") from error
    _refuse_more(file, tar.offset, size, where)


def _check_extent(info: tarfile.TarInfo, following: int, size: int) -> None:
    if info.size < 0 or following <= info.offset:
        raise tarfile.ReadError(f"member {info.name!r} leads back")
    data_end = info.offset_data + info.size if info.isfile() and not info.issparse() else 0
    if max(following, data_end) > size:
        raise tarfile.ReadError(f"it is cut off in member {info.name!r}")
    if data_end > following:
        raise tarfile.ReadError(f"member {info.name!r} reaches into the next one")


def _refuse_more(file: Any, end: int, size: int, where: str) -> None:
    """Refuse a tar whose end is not empty: tarfile stops at a damaged header as if all was well."""
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
    """The member's name without `.` and doubled slashes."""
    parts = [part for part in info.name.split("/") if part not in ("", ".")]
    if info.name.startswith("/"):
        raise _refused(where, info.name, "has an absolute path", f"{ANEW} with relative names")
    if ".." in parts:
        raise _refused(where, info.name, "leads out by '..'", f"{ANEW} without")
    if not is_text(info.name):
        raise _refused(where, info.name, "has a name that is not UTF-8", f"{ANEW} in UTF-8")
    return "/".join(parts)


def _refuse_odd(info: tarfile.TarInfo, where: str) -> None:
    plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
    if plain and not info.issparse():
        return
    kind = "a sparse file" if info.issparse() else KINDS.get(info.type, f"of type {info.type!r}")
    how = "tar --dereference --hard-dereference" if info.type in LINKS else "plain files only"
    raise _refused(where, info.name, f"is {kind}", f"{ANEW} with {how}")


def _refused(where: str, member: str, what: str, hint: str) -> InputError:
    return InputError(f"{where}: member {member!r} {what}; {hint}")


def _class_text(file: Any, info: tarfile.TarInfo, where: str) -> str:
    """What a .cls member says, without white space around it."""
    if info.size > MOST_CLASS:
        raise _refused(where, info.name, f"has {info.size:,} bytes", "expected a number or a name")
    data = read_at(file, info.offset_data, info.size, where)
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise _refused(where, info.name, f"holds {data[:20]!r}", "expected a number or a name")
    return text


def _label_of(member: str, labels: dict[str, str]) -> str | None:
    """The label of the same key, which ends at its last dot or, as WebDataset has it, its first."""
    inside, slash, last = member.rpartition("/")
    for key in (last.rpartition(".")[0], last.partition(".")[0]):
        found = labels.get(f"{inside}{slash}{key}{LABEL}")
        if found is not None:
            return found
    return None
