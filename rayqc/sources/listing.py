"""The files below a folder, on disks that may hold links, loops, pipes and odd names."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rayqc.errors import InputError, StorageError
from rayqc.storage import Folder

ENDINGS = (
    ".png",
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
)

HIDDEN = frozenset(
    {
        "__macosx",  # zips made on macOS
        "lost+found",  # Linux
        "$recycle.bin",  # Windows
        "system volume information",
        "thumbs.db",
        "desktop.ini",
        "@eadir",  # Synology
        "#recycle",
        "#snapshot",
        "@recycle",  # QNAP
        "@recently-snapshot",
        ".@__thumb",
    }
)
"""Names, in small letters, that systems give to files and folders of their own. Names that begin
with a dot are hidden, too: `.ipynb_checkpoints`, `.DS_Store`, `._1.jpg`."""

OF_ONE_FILE = frozenset(
    {
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
    }
)
"""System errors that concern one file, not the disk or the network."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Files below a folder."""

    files: dict[str, str]
    """Fingerprints by name, sorted by name; a fingerprint starts with the size in bytes. A hidden
    folder is not entered: it is listed under its name with a slash at the end."""
    folders: tuple[str, ...] = ()
    """The first two levels of folders that were entered, sorted; none on an object store, which
    knows no empty ones."""
    loops: tuple[str, ...] = ()
    """Links to folders that were not followed, sorted."""


def list_files(folder: Folder, deepest: int | None = None) -> Listing:
    """All files below a folder; none where the folder does not exist.

    On a local disk links are followed, except links to a folder above them and links to a folder
    that another link led to already. An entry that is no readable file (a dangling link, a pipe,
    a device) is listed with size 0, and its reader reports the reason.

    Args:
        deepest: most folders between this one and a file; None for any number. An object store
            lists all files whatever this says.

    Raises:
        InputError: a folder below this one may not be listed.
        StorageError: the disk or the object store failed.
    """
    if not folder.is_local:
        files = folder.listing()
        above = (name.split("/")[:-1] for name in files if not is_hidden(name))
        folders = {"/".join(path[:depth]) for path in above for depth in (1, 2)[: len(path)]}
        return Listing(files=files, folders=tuple(sorted(folders)))
    try:
        return _walk(folder.location, deepest)
    except PermissionError as error:
        raise InputError(
            f"cannot list {error.filename}: {error.strerror}; images below it would be lost, so "
            "make it readable or move it away"
        ) from error
    except OSError as error:
        raise StorageError(f"cannot list {error.filename}: {error.strerror}") from error


def is_hidden(name: str) -> bool:
    """Whether the file or a folder above it has a name that systems give to files of their own."""
    return any(
        component.startswith(".") or component.lower() in HIDDEN for component in name.split("/")
    )


def is_image(name: str) -> bool:
    """Whether the name has an image's ending and is not hidden."""
    return name.lower().endswith(ENDINGS) and not is_hidden(name)


def class_of(name: str) -> str:
    """The first folder of a name; empty where there is none."""
    first, slash, _ = name.partition("/")
    return first if slash else ""


def size_of(fingerprint: str) -> int:
    """Size in bytes of the file that a fingerprint describes."""
    return int(fingerprint.partition(" ")[0])


def fingerprint_of(folder: Folder, name: str) -> str:
    """Fingerprint of one file, as `list_files` gives it.

    Raises:
        InputError: it is missing.
        StorageError: the disk or the object store failed.
    """
    try:
        if not folder.is_local:
            return folder.fingerprint(name)
        return _fingerprint(Path(folder.path(name)).stat())
    except FileNotFoundError as error:
        raise InputError(f"{folder.path(name)} is missing") from error
    except OSError as error:
        raise StorageError(f"cannot look for {folder.path(name)}: {error.strerror}") from error


def refuse_undecodable(folder: Folder, names: Iterable[str]) -> None:
    """Refuse names that are not UTF-8, since names become ids.

    Raises:
        InputError: names are not UTF-8; the message counts them and shows the first.
    """
    odd = [name for name in names if not is_text(folder.path(name))]
    if odd:
        raise InputError(
            f"{folder}: found {len(odd):,} file names that are not UTF-8, {os.fsencode(odd[0])!r} "
            "first; rename them"
        )


def is_text(name: str) -> bool:
    """Whether the name can be written as UTF-8; false where it stands for other bytes."""
    return name.isascii() or name == name.encode(errors="replace").decode()


def _walk(root: str, deepest: int | None) -> Listing:
    fingerprints: dict[str, str] = {}
    folders: list[str] = []
    loops: list[str] = []
    followed: set[tuple[int, int]] = set()
    if not _is_folder(root):
        return Listing(files={})
    pending: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", (_identity(Path(root).stat()),))]
    while pending:
        prefix, ancestors = pending.pop()
        with os.scandir(f"{root}/{prefix}") as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            name = prefix + entry.name
            status = _stat_or_reason(entry)
            if isinstance(status, str):
                fingerprints[name] = f"0 bytes, {status}"
            elif not stat.S_ISDIR(status.st_mode):
                fingerprints[name] = _fingerprint(status)
            elif is_hidden(entry.name):
                fingerprints[f"{name}/"] = "0 bytes"
            elif deepest is None or name.count("/") < deepest:
                identity = _identity(status)
                if entry.is_symlink():
                    if identity in followed or identity in ancestors:
                        loops.append(name)
                        continue
                    # Followed once only: links that fan out would double the work at every level.
                    followed.add(identity)
                if name.count("/") < 2:
                    folders.append(name)
                pending.append((f"{name}/", (*ancestors, identity)))
    return Listing(
        files=dict(sorted(fingerprints.items())),
        folders=tuple(sorted(folders)),
        loops=tuple(sorted(loops)),
    )


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def _stat_or_reason(entry: os.DirEntry[str]) -> os.stat_result | str:
    """Status of a directory entry, or the system's reason where the entry has none."""
    try:
        return entry.stat()
    except OSError as error:
        if error.errno in OF_ONE_FILE:
            return str(error.strerror)
        raise


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _fingerprint(status: os.stat_result) -> str:
    """As obstore forms it for a local file, so that work planned with either can go on."""
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    changed = max(status.st_mtime_ns // 1000, 0)
    return f'{size} bytes, "{status.st_ino:x}-{changed:x}-{size:x}"'
