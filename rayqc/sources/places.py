"""The files that a path stands for: one file, a pattern's, or a folder's with one ending."""

from __future__ import annotations

import fnmatch
import functools
import logging
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from rayqc.sources.listing import is_hidden, list_files, refuse_undecodable
from rayqc.storage import Folder, is_url

logger = logging.getLogger(__name__)

ANY_FOLDERS = re.compile(r"(?<![^/])\*\*/")
"""In a pattern, what stands for any number of folders, and for none."""


def is_pattern(path: str) -> bool:
    """Whether a path stands for many files; false if a file or folder has exactly this name."""
    return any(wildcard in path for wildcard in "*?[") and (is_url(path) or not _status(path))


def is_one_file(path: str, ending: str | tuple[str, ...]) -> bool:
    """Whether a path names a file, not a folder, with the ending or one of them, in any letters."""
    return path.lower().endswith(ending) and (is_url(path) or not _is_folder(path))


def find_files(path: str, ending: str) -> tuple[Folder, list[str]]:
    """A folder and the sorted names of the files below it that a path stands for, none hidden.

    Args:
        path: a file, a pattern (`*` stays within its folder unless it has `**`), or a folder.
        ending: ending of the files to take where the path is a file or a folder.

    Raises:
        InputError: a folder may not be listed, or a name is not UTF-8.
    """
    if is_pattern(path):
        literal_prefix = path[: min(path.find(wildcard) for wildcard in "*?[" if wildcard in path)]
        folder = _parent_folder(literal_prefix)
        pattern = path[len(literal_prefix.rpartition("/")[0]) :].lstrip("/")
        listing = list_files(folder, None if "**" in pattern else pattern.count("/"))
        names = [name for name in listing.files if _matches(name, pattern)]
    elif is_one_file(path, ending):
        folder, name = _parent_folder(path), path.rpartition("/")[2]
        return folder, [name] if _exists(folder, name) else []
    else:
        folder = Folder(path)
        listing = list_files(folder)
        names = [name for name in listing.files if name.lower().endswith(ending)]
    hidden = [name for name in names if is_hidden(name)]
    say_left_out(folder, "hidden files", hidden)
    say_left_out(folder, "linked folders (loops, or there already)", listing.loops)
    refuse_undecodable(folder, names)
    return folder, [name for name in names if not is_hidden(name)]


def say_left_out(folder: Folder, what: str, names: Iterable[str]) -> None:
    """Log one warning with the number of names and the first; nothing where there are none.

    A process logs a line only once, since every stage lists its sources anew.
    """
    left_out = list(names)
    if left_out:
        say_once(f"{folder}: left out {len(left_out)} {what}, {left_out[0]} first")


@functools.cache
def say_once(line: str) -> None:
    """Log a warning, once in a process."""
    logger.warning("%s", line)


def _parent_folder(path: str) -> Folder:
    return Folder(path.rpartition("/")[0] or ("/" if path.startswith("/") else "."))


def _exists(folder: Folder, name: str) -> bool:
    return _status(folder.path(name)) is not None if folder.is_local else folder.exists(name)


def _is_folder(path: str) -> bool:
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _status(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (OSError, ValueError):  # missing, not readable, or not a possible path
        return None


def _matches(name: str, pattern: str) -> bool:
    components, patterns = name.split("/"), pattern.split("/")
    if "**" in pattern:
        found = ANY_FOLDERS.finditer(pattern)
        with_none = (pattern[: place.start()] + pattern[place.end() :] for place in found)
        return fnmatch.fnmatchcase(name, pattern) or any(_matches(name, one) for one in with_none)
    return len(components) == len(patterns) and all(map(fnmatch.fnmatchcase, components, patterns))
