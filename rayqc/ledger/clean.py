"""What dead attempts left in a folder: parts that no record names, and half-staged files."""

from __future__ import annotations

import re
from pathlib import Path

from rayqc.ledger.commit import iter_commits
from rayqc.ledger.manifest import load_files
from rayqc.ledger.plan import LEDGER, MANIFEST, PLAN, is_ours
from rayqc.storage import Folder

STAGED = re.compile(r"#\d+$")
"""How the storage layer names a file on a local disk until it is whole."""


def orphans(folder: Folder) -> list[str]:
    """Files of a ledger's work that nothing names, sorted. A folder without a ledger has none.

    The folder must be owned: a living command's parts are not named yet.
    """
    if not folder.exists(LEDGER):
        return []
    if folder.exists(MANIFEST):
        named = {part.path for parts in load_files(folder).values() for part in parts}
    else:
        named = {part.path for commit in iter_commits(folder) for part in commit.parts}
    parts = (name for name in folder.names() if name.endswith(".parquet") and is_ours(name))
    return sorted({*parts} - named - {PLAN}) + _staged(folder)


def _staged(folder: Folder) -> list[str]:
    """Files that a writer on a local disk began and did not finish."""
    if not folder.is_local:
        return []  # a store has no half-written objects
    root = Path(folder.location)
    found = (path for path in root.rglob("*#*") if STAGED.search(path.name) and path.is_file())
    names = (path.relative_to(root).as_posix() for path in found)
    return sorted(name for name in names if is_ours(STAGED.sub("", name)))


def remove(folder: Folder, names: list[str]) -> None:
    """Delete what `orphans` found."""
    folder.delete(name for name in names if not STAGED.search(name))
    for name in names:
        if STAGED.search(name):
            Path(folder.path(name)).unlink(missing_ok=True)
