"""Read one file of a folder, whatever it turns out to be: nothing here waits or reads too much."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

from rayqc.errors import InputError, StorageError
from rayqc.sources.listing import OF_ONE_FILE, fingerprint_of, size_of
from rayqc.sources.problems import Problem, most_bytes, too_large
from rayqc.storage import Folder
from rayqc.units import Unit

KINDS = {
    stat.S_IFIFO: "pipe (FIFO)",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


class _OddFileError(OSError):
    """What goes by the name is no file with bytes."""


def read_file(folder: Folder, name: str, max_bytes: int | None = None) -> bytes | Problem:
    """All bytes of a file, or why there are none; a file of more than `max_bytes` is not read.

    Raises:
        StorageError: the disk or the object store failed, or the folder itself is gone.
    """
    most = most_bytes(max_bytes)
    try:
        if folder.is_local:
            return _read_local(folder.path(name), most)
        if max_bytes is not None:
            size = size_of(folder.fingerprint(name))
            if size > most:
                return too_large(size, most)
        return folder.read(name)
    except FileNotFoundError:
        if folder.is_local and _is_bare(folder.location):
            raise StorageError(
                f"{folder} is gone or empty, as when a disk is no longer mounted; expected {name}"
            ) from None
        return "unreadable", os.strerror(errno.ENOENT)
    except OSError as error:
        if error.errno in OF_ONE_FILE:
            return "unreadable", str(error.strerror)
        if isinstance(error, _OddFileError):
            return "unreadable", str(error)
        raise StorageError(f"cannot read {folder.path(name)}: {error.strerror}") from error


def read_whole(folder: Folder, name: str) -> bytes:
    """All bytes of a file that must be there.

    Raises:
        InputError: it cannot be read.
    """
    found = read_file(folder, name)
    if isinstance(found, bytes):
        return found
    raise InputError(f"cannot read {folder.path(name)}: {found[1]}")


def open_file(folder: Folder, name: str) -> Any:
    """A seekable reader; see `Folder.open`.

    Raises:
        InputError: it is missing, or no file (a pipe would never answer).
    """
    path = folder.path(name)
    try:
        if folder.is_local:
            _refuse_odd(Path(path).stat().st_mode)
        return folder.open(name)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing") from error
    except _OddFileError as error:
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
    """Call it when a unit of one file was read: only what was planned counts.

    Raises:
        InputError: the file is not the one that the unit was planned on.
    """
    found = fingerprint_of(folder, unit.path)
    if found != unit.fingerprint:
        raise InputError(
            f"{folder.path(unit.path)} was replaced after the work was planned: found {found}, "
            f"expected {unit.fingerprint}; put the old file back, or start anew"
        )


def _read_local(path: str, most: int) -> bytes | Problem:
    _refuse_odd(Path(path).stat().st_mode)  # opening a device may do something
    # Not blocking, should a pipe have taken the file's place by now.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        facts = os.fstat(file.fileno())
        _refuse_odd(facts.st_mode)
        if facts.st_size > most:
            return too_large(facts.st_size, most)
        return file.read(facts.st_size)


def _refuse_odd(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise _OddFileError(f"is a {KINDS.get(stat.S_IFMT(mode), 'thing of no known kind')}")


def _is_bare(location: str) -> bool:
    try:
        with os.scandir(location) as entries:
            return next(entries, None) is None
    except OSError:
        return True
