"""What a Ray that starts on this machine must know of it: CPUs and folders that it may use."""

from __future__ import annotations

import atexit
import logging
import os
import pwd
import secrets
import shutil
import tempfile
from pathlib import Path

from ray._common.utils import get_default_system_temp_dir
from ray._private.utils import get_num_cpus

logger = logging.getLogger(__name__)

MOST_SOCKET_BYTES = 107
"""Longest path of a Unix socket."""
BELOW_FOLDER = len("/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store.1")
"""Length of what Ray puts behind its folder in a socket's path."""
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
HOME_TOKEN = ".ray/auth_token"
NAMES_OF_USER = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where Python looks for the user's name before it asks the system."""


def cpus_allowed() -> int:
    """CPUs that this process may use: by its affinity and by its cgroup, as batch systems set."""
    return max(1, min(len(os.sched_getaffinity(0)), int(get_num_cpus())))


def ray_folder() -> str | None:
    """A folder for Ray's files with a path short enough for sockets; None where Ray's own is."""
    own = f"{get_default_system_temp_dir()}/ray"
    if len(os.fsencode(own)) + BELOW_FOLDER <= MOST_SOCKET_BYTES:
        return None
    for folder in SHORT_FOLDERS:
        if os.access(folder, os.W_OK | os.X_OK):
            logger.info("%s is too long for Ray's sockets: Ray's files are in %s/ray", own, folder)
            return f"{folder}/ray"
    return None


def say_if_shared_memory_is_small(object_store_bytes: float) -> None:
    """Say where Ray keeps its objects on disk, since /dev/shm is too small, as in containers."""
    if not Path("/dev/shm").is_dir():
        return
    size = shutil.disk_usage("/dev/shm").total
    if size < object_store_bytes:
        logger.info(
            "/dev/shm has %.0f MB: Ray's objects are in %s, which is slower (docker: --shm-size)",
            size / 1e6,
            get_default_system_temp_dir(),
        )


def make_do_without_home() -> None:
    """Name what Ray and other packages look for in a home or in the list of users.

    Containers run as a number without a name, with a home that cannot be written to. Ray's token
    and matplotlib's cache then lie in a folder of this process, which goes when it ends.
    """
    if not any(name in os.environ for name in NAMES_OF_USER):
        try:
            pwd.getpwuid(os.getuid())
        except KeyError:
            os.environ["USER"] = f"uid{os.getuid()}"
    try:
        home = Path.home()
        if (home / HOME_TOKEN).exists() or _can_make(home / HOME_TOKEN):
            return
        reason = f"{home} cannot be written to"
    except RuntimeError:
        reason = "this user has no home"
    folder = Path(tempfile.mkdtemp(prefix="rayqc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ.setdefault("MPLCONFIGDIR", str(folder))
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        token = folder / "auth_token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32), encoding="ascii")
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
        logger.info("%s: Ray's token is in %s", reason, token)


def _can_make(file: Path) -> bool:
    """Whether a file can be made there, folders included."""
    existing = next(parent for parent in file.parents if parent.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
