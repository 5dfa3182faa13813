"""What lies in a folder, on disks that may hold anything: links, loops, pipes, odd names."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rayqc.errors import InputError, StorageError
from rayqc.storage import Folder

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

HIDDEN = ("__MACOSX", "lost+found")

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
"""What the system says when the trouble is one file's own, not the disk's or the network's."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Files below a folder."""

    files: dict[str, str]
    """Names, sorted, and fingerprints, which start with the size. A hidden folder is not entered:
    it stands here by its name with a slash at its end."""
    loops: tuple[str, ...] = ()
    """Links to folders that were not followed, sorted."""


def list_files(folder: Folder, deepest: int | None = None) -> Listing:
    """All files below a folder; none where there is no folder.

    On a local disk, links are followed, but for those to a folder above them or to one that
    another link led to already. What is no readable file (a dangling link, a pipe, a device) is
    listed with size 0, for its reader to say so.

    Args:
        deepest: folders between this one and a file, at most; None for any number. An object
            store lists all.

    Raises:
        InputError: a folder below may not be listed.
        StorageError: the disk or the object store failed.
    """
    if not folder.is_local:
        return Listing(files=folder.listing())
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
    """Does a file or a folder above it go by a name that systems give to their own notes?"""
    return any(part.startswith(".") or part in HIDDEN for part in name.split("/"))


def is_image(name: str) -> bool:
    """Does the name end as images do, and is it not hidden?"""
    return name.lower().endswith(ENDINGS) and not is_hidden(name)


def class_of(name: str) -> str:
    """The first folder of a name; empty where there is none."""
    first, slash, _ = name.partition("/")
    return first if slash else ""


def size_of(fingerprint: str) -> int:
    """The bytes that a fingerprint speaks of."""
    return int(fingerprint.partition(" ")[0])


def fingerprint_of(folder: Folder, name: str) -> str:
    """Size and tag of one file, as in the listing.

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
    """Names become ids, and so must be text.

    Raises:
        InputError: names are not UTF-8; says how many and shows the first.
    """
    odd = [name for name in names if not is_text(folder.path(name))]
    if odd:
        raise InputError(
            f"{folder}: found {len(odd):,} file names that are not UTF-8, {os.fsencode(odd[0])!r} "
            "first; rename them"
        )


def is_text(name: str) -> bool:
    """Can the string be written as UTF-8? Not so where it stands for bytes of another encoding."""
    return name.isascii() or name == name.encode(errors="replace").decode()


def _walk(root: str, deepest: int | None) -> Listing:
    found: dict[str, str] = {}
    loops: list[str] = []
    followed: set[tuple[int, int]] = set()
    if not _is_folder(root):
        return Listing(files={})
    waiting: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", (_identity(Path(root).stat()),))]
    while waiting:
        inside, above = waiting.pop()
        with os.scandir(f"{root}/{inside}") as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            name = inside + entry.name
            facts = _facts(entry)
            if isinstance(facts, str):
                found[name] = f"0 bytes, {facts}"
            elif not stat.S_ISDIR(facts.st_mode):
                found[name] = _fingerprint(facts)
            elif is_hidden(entry.name):
                found[f"{name}/"] = "0 bytes"
            elif deepest is None or name.count("/") < deepest:
                here = _identity(facts)
                if entry.is_symlink():
                    if here in followed or here in above:
                        loops.append(name)
                        continue
                    # Once only: links that fan out would double the work at every step.
                    followed.add(here)
                waiting.append((f"{name}/", (*above, here)))
    return Listing(files=dict(sorted(found.items())), loops=tuple(sorted(loops)))


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def _facts(entry: os.DirEntry[str]) -> os.stat_result | str:
    """What the system knows of a file, or why it does not."""
    try:
        return entry.stat()
    except OSError as error:
        if error.errno in OF_ONE_FILE:
            return str(error.strerror)
        raise


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _fingerprint(facts: os.stat_result) -> str:
    """As obstore tells it of a local file, so that work planned through either goes on."""
    size = facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    changed = max(facts.st_mtime_ns // 1000, 0)
    return f'{size} bytes, "{facts.st_ino:x}-{changed:x}-{size:x}"'
