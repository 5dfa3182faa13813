"""Create a file once and whole on file systems without hard links.

exFAT, FAT, Google Drive in Colab, blobfuse, s3fs and Android have none. There a new file is renamed
into place where the system can refuse to replace (`renameat2`), and else under a lock file.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import logging
import os
import re
import secrets
import time
from pathlib import Path

logger = logging.getLogger(__name__)

NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL})
"""What `link` says on such file systems."""
OS_ERROR = re.compile(r"\(os error (\d+)\)")

AT_FDCWD, RENAME_NOREPLACE = -100, 1
CANNOT_RENAME_ONCE = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})
SECONDS_OF_A_DEAD_LOCK = 10.0
"""A lock is held for one rename; what stands unchanged for so long was left by a dead writer."""
PAUSE = 0.01


def lacks_links(error: Exception) -> bool:
    """Whether a failed creation says that the file system has no hard links."""
    number = OS_ERROR.search(str(error))
    return number is not None and int(number[1]) in NO_LINKS


def create_without_links(root: str, name: str, data: bytes) -> bool:
    """Write a file of a folder unless it exists; False where it does. Readers see no part of it.

    Of several writers one wins, on every file system whose `renameat2` can refuse to replace, or
    whose exclusive creation holds for all writers; unless a writer stands still for longer than
    `SECONDS_OF_A_DEAD_LOCK` within one rename.

    Raises:
        OSError: the file cannot be written.
    """
    _say(root)
    path = f"{root}/{name}"
    staged = f"{path}#{secrets.randbits(62) + 1}"  # hidden by the storage layer until it is whole
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(staged, "xb") as file:
            file.write(data)
        return _publish(staged, path)
    finally:
        Path(staged).unlink(missing_ok=True)


def _publish(staged: str, path: str) -> bool:
    number = rename_once(staged, path)
    if number == errno.EEXIST:
        return False
    if number in CANNOT_RENAME_ONCE:
        return _rename_under_lock(staged, path)
    if number:
        raise OSError(number, os.strerror(number), path)
    return True


def rename_once(old: str, new: str) -> int:
    """Rename unless the new name exists; returns the system's error number, 0 if it worked."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:  # not Linux
        return errno.ENOSYS
    paths = os.fsencode(old), os.fsencode(new)
    failed = rename(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_NOREPLACE)
    return ctypes.get_errno() if failed else 0


def _rename_under_lock(staged: str, path: str) -> bool:
    lock = f"{path}#0"
    _take(lock)
    try:
        if Path(path).exists():
            return False
        Path(staged).rename(path)
    finally:
        Path(lock).unlink(missing_ok=True)
    return True


def _take(lock: str) -> None:
    """Create the lock file; one that a dead writer left is replaced."""
    token = secrets.token_bytes(8)
    seen, since = b"", time.monotonic()
    while True:
        try:
            with open(lock, "xb") as file:
                file.write(token)
        except FileExistsError:
            holder = b""
            with contextlib.suppress(OSError):
                holder = Path(lock).read_bytes()
            if holder != seen:
                seen, since = holder, time.monotonic()
            elif time.monotonic() - since > SECONDS_OF_A_DEAD_LOCK:
                Path(lock).unlink(missing_ok=True)
            time.sleep(PAUSE)
        else:
            return


@functools.cache
def _say(folder: str) -> None:
    logger.warning(
        "%s is on a file system without hard links: files are written whole there, too, but where "
        "it cannot refuse to replace a file on renaming either, two commands that start at once "
        "are told apart by lock files only",
        folder,
    )
