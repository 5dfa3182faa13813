"""The files that a path means: one, those of a pattern, or all of a folder that end alike."""

from __future__ import annotations

import fnmatch
import functools
import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from rayqc.sources.listing import is_hidden, list_files, refuse_undecodable
from rayqc.storage import Folder, is_url

logger = logging.getLogger(__name__)


def is_pattern(path: str) -> bool:
    """Does a path stand for many? Not so if something goes by that very name."""
    return any(sign in path for sign in "*?[") and (is_url(path) or not _facts(path))


def is_one_file(path: str, ending: str | tuple[str, ...]) -> bool:
    """Does a path name a file with the ending, or one of them, rather than a folder?"""
    return path.endswith(ending) and (is_url(path) or not _is_folder(path))


def find_files(path: str, ending: str) -> tuple[Folder, list[str]]:
    """A folder and the names of the files meant below it, sorted; hidden ones are left out.

    Args:
        path: a file, a pattern (`*` stays within its folder unless it has `**`), or a folder.
        ending: of the files that are meant in a folder.

    Raises:
        InputError: a folder may not be listed, or a name is not UTF-8.
    """
    if is_pattern(path):
        plain = path[: min(path.find(sign) for sign in "*?[" if sign in path)]
        folder = _above(plain)
        pattern = path[len(plain.rpartition("/")[0]) :].lstrip("/")
        listing = list_files(folder, None if "**" in pattern else pattern.count("/"))
        names = [name for name in listing.files if _matches(name, pattern)]
    elif is_one_file(path, ending):
        folder, name = _above(path), path.rpartition("/")[2]
        return folder, [name] if _is_there(folder, name) else []
    else:
        folder = Folder(path)
        listing = list_files(folder)
        names = [name for name in listing.files if name.endswith(ending)]
    hidden = [name for name in names if is_hidden(name)]
    say_left_out(folder, "hidden files", hidden)
    say_left_out(folder, "linked folders (loops, or there already)", listing.loops)
    refuse_undecodable(folder, names)
    return folder, [name for name in names if not is_hidden(name)]


def say_left_out(folder: Folder, what: str, names: Iterable[str]) -> None:
    """One warning line with their number and the first; none where there are none.

    A line is said once by a process, since every stage lists its sources anew.
    """
    left_out = list(names)
    if left_out:
        _say_once(f"{folder}: left out {len(left_out)} {what}, {left_out[0]} first")


@functools.cache
def _say_once(line: str) -> None:
    logger.warning("%s", line)


def _above(path: str) -> Folder:
    return Folder(path.rpartition("/")[0] or ("/" if path.startswith("/") else "."))


def _is_there(folder: Folder, name: str) -> bool:
    return _facts(folder.path(name)) is not None if folder.is_local else folder.exists(name)


def _is_folder(path: str) -> bool:
    facts = _facts(path)
    return facts is not None and stat.S_ISDIR(facts.st_mode)


def _facts(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (OSError, ValueError):  # not there; not to be looked at; no path at all
        return None


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    if "**" in pattern:
        return fnmatch.fnmatchcase(name, pattern)
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
