"""Read one file of a folder, whatever it is, without waiting for a pipe or reading too much."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

from rayqc.errors import InputError, StorageError
from rayqc.sources.listing import OF_ONE_FILE, fingerprint_of
from rayqc.sources.problems import Problem, most_bytes, too_large
from rayqc.storage import Folder
from rayqc.units import Unit

KINDS = {
    stat.S_IFIFO: "pipe (FIFO)",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


class _SpecialFileError(OSError):
    """The name belongs to something other than a regular file."""


def read_file(folder: Folder, name: str, max_bytes: int | None = None) -> bytes | Problem:
    """All bytes of a file, or its problem; a file of more than `max_bytes` bytes is not read.

    Raises:
        StorageError: the disk or the object store failed, or the folder itself is gone.
    """
    limit = most_bytes(max_bytes)
    try:
        if folder.is_local:
            return _read_local(folder.path(name), limit)
        if max_bytes is not None:
            size = folder.size(name)
            if size > limit:
                return too_large(size, limit)
        return folder.read(name)
    except FileNotFoundError:
        if folder.is_local and _is_gone_or_empty(folder.location):
            raise StorageError(
                f"{folder} is gone or empty, as when a disk is no longer mounted; expected {name}"
            ) from None
        return "unreadable", os.strerror(errno.ENOENT)
    except OSError as error:
        if error.errno in OF_ONE_FILE:
            return "unreadable", str(error.strerror)
        if isinstance(error, _SpecialFileError):
            return "unreadable", str(error)
        raise StorageError(f"cannot read {folder.path(name)}: {error.strerror}") from error


def read_whole(folder: Folder, name: str) -> bytes:
    """All bytes of a file that must be there.

    Raises:
        InputError: the file cannot be read.
    """
    content = read_file(folder, name)
    if isinstance(content, bytes):
        return content
    raise InputError(f"cannot read {folder.path(name)}: {content[1]}")


def open_file(folder: Folder, name: str) -> Any:
    """A seekable reader of a file; see `Folder.open`.

    Raises:
        InputError: the file is missing, or is no regular file (reading a pipe might never end).
    """
    path = folder.path(name)
    try:
        if folder.is_local:
            _refuse_special(Path(path).stat().st_mode)
        return folder.open(name)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing") from error
    except _SpecialFileError as error:
        raise InputError(f"cannot read {path}: {error}") from error


def read_at(file: Any, offset: int, size: int, where: str) -> bytes:
    """Up to `size` bytes of an open file from `offset` on.

    Raises:
        StorageError: the disk or the object store failed; `where` names the file.
    """
    try:
        file.seek(offset)
        return bytes(file.read(size))
    except OSError as error:
        raise StorageError(f"cannot read {where}: {error}") from error


def refuse_replaced(folder: Folder, unit: Unit) -> None:
    """Refuse a unit whose file was replaced after planning; to be called after the unit was read.

    Raises:
        InputError: the file is not the one that the unit was planned on.
    """
    fingerprint = fingerprint_of(folder, unit.path)
    if fingerprint != unit.fingerprint:
        raise InputError(
            f"{folder.path(unit.path)} was replaced after the work was planned: found "
            f"{fingerprint}, expected {unit.fingerprint}; put the old file back, or start anew"
        )


def _read_local(path: str, limit: int) -> bytes | Problem:
    # Checked before opening, since opening a device may act on it; and opened without blocking,
    # in case a pipe has replaced the file since.
    _refuse_special(Path(path).stat().st_mode)
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        _refuse_special(status.st_mode)
        if status.st_size > limit:
            return too_large(status.st_size, limit)
        return file.read(status.st_size)


def _refuse_special(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise _SpecialFileError(f"is a {KINDS.get(stat.S_IFMT(mode), 'thing of no known kind')}")


def _is_gone_or_empty(location: str) -> bool:
    try:
        with os.scandir(location) as entries:
            return next(entries, None) is None
    except OSError:
        return True
