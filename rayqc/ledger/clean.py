"""What dead attempts left in a folder: parts that no record names, and half-written files."""

from __future__ import annotations

import re
from pathlib import Path

from rayqc.ledger.commit import iter_commits
from rayqc.ledger.manifest import load_files
from rayqc.ledger.plan import LEDGER, MANIFEST, PLAN, ROUND, is_ours
from rayqc.storage import Folder

STAGED = re.compile(r"#\d+$")
"""End of a local file's name while the storage layer has not written all of it."""

MARKER = ".shared-"
"""Begins the name of a file by which nodes see, while units are done, that a folder is the same."""


def orphans(folder: Folder) -> list[str]:
    """Files of a ledger's work that no record names, sorted; none in a folder without a ledger.

    The caller must own the folder, since parts of a running command are not named yet.
    """
    if not folder.exists(LEDGER):
        return []
    names = folder.names()
    # Each round of a drawing is a work of its own, whose records name its parts.
    rounds = sorted({found.group() for name in names if (found := ROUND.match(name))})
    unnamed = _unnamed(folder, [name for name in names if not ROUND.match(name)])
    for prefix in rounds:
        below = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        unnamed += [prefix + name for name in _unnamed(folder.sub(prefix.rstrip("/")), below)]
    return unnamed + _staged(folder)


def _unnamed(folder: Folder, names: list[str]) -> list[str]:
    """Of a work's files, the parts that no record of it names, and markers."""
    if folder.exists(MANIFEST):
        named_paths = {part.path for parts in load_files(folder).values() for part in parts}
    else:
        named_paths = {part.path for commit in iter_commits(folder) for part in commit.parts}
    markers = [name for name in names if name.startswith(MARKER)]
    part_paths = (name for name in names if name.endswith(".parquet") and is_ours(name))
    return sorted({*part_paths} - named_paths - {PLAN}) + markers


def _staged(folder: Folder) -> list[str]:
    """Files that a writer on a local disk began and did not finish."""
    if not folder.is_local:
        return []  # an object store has no half-written objects
    root = Path(folder.location)
    staged_paths = (
        path for path in root.rglob("*#*") if STAGED.search(path.name) and path.is_file()
    )
    names = (path.relative_to(root).as_posix() for path in staged_paths)
    return sorted(name for name in names if is_ours(STAGED.sub("", name)))


def remove(folder: Folder, names: list[str]) -> None:
    """Delete files that `orphans` listed."""
    folder.delete(name for name in names if not STAGED.search(name))
    for name in names:
        if STAGED.search(name):
            Path(folder.path(name)).unlink(missing_ok=True)
