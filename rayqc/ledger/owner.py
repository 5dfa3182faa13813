"""Who works in a folder: one command at a time; what a dead one left is taken over.

The ledger holds without this, since the first commit of a unit stands. It keeps two commands
from doing the same work twice and from undoing each other's stages.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rayqc.errors import ConflictError, RayqcError
from rayqc.ledger.plan import LEDGER, PLAN
from rayqc.storage import Folder, canonical_json, read_json

logger = logging.getLogger(__name__)

OWNER = "_owner.json"
BEAT_SECONDS = 15.0
DEAD_AFTER_SECONDS = 90.0
"""An owner on another machine that has not been heard of for so long is taken for dead. Clocks
must agree to well within it."""
SECONDS_TO_LEAVE = 3.0
"""After an interruption. A name that could not be taken back in time is a dead owner's."""


@contextmanager
def own(folder: Folder) -> Iterator[None]:
    """Hold a folder while working in it.

    Raises:
        ConflictError: a living process holds it; says which.
    """
    mine = {**_process(), "token": uuid.uuid4().hex, "since": time.time()}
    _claim(folder, mine)
    over = threading.Event()
    holding = threading.Thread(target=_hold, args=(folder, mine, over), daemon=True)
    holding.start()
    patience = None
    try:
        yield
    except KeyboardInterrupt:
        patience = SECONDS_TO_LEAVE
        raise
    finally:
        over.set()
        holding.join(patience)


def is_owned(folder: Folder) -> bool:
    """Does a living process hold the folder?"""
    found = _read(folder)
    return found is not None and not _is_dead(found)


def owner_of(folder: Folder) -> str | None:
    """The command that is at work in a folder, or that died there, in words; None for none."""
    found = _read(folder)
    if found is None:
        return None
    if _is_dead(found):
        return f"process {found['pid']} on {found['host']}, which is gone: run again to go on"
    return (
        f"process {found['pid']} on {found['host']} is at work, last heard of "
        f"{time.time() - found['beat']:.0f} s ago"
    )


def refuse_mixing(run: Folder, pool: Folder, out: Folder) -> None:
    """Refuse an output folder that could mix with anything that lies there.

    Raises:
        ConflictError: `out` is or lies in the run or the pool, or holds other files.
    """
    refuse_inside(out, {"the run": run, "the pool": pool})
    # A plan alone, or an owner's mark, is what a start that was cut off leaves behind.
    left = (PLAN, OWNER)
    strange = [] if out.exists(LEDGER) else [name for name in out.names() if name not in left]
    if strange:
        raise ConflictError(
            f"--out {out} holds files that are not this command's, such as {strange[0]}; "
            "give it a folder of its own"
        )


def refuse_inside(out: Folder, places: Mapping[str, Folder]) -> None:
    """Refuse an output folder that is or lies in one of these places, which words name.

    Raises:
        ConflictError: it does.
    """
    for what, place in places.items():
        if f"{out}/".startswith(f"{place}/"):
            raise ConflictError(f"--out {out} lies in {what} {place}; give it a folder of its own")


def _claim(folder: Folder, mine: dict[str, Any]) -> None:
    if folder.create(OWNER, _record(mine)):
        return
    found = _read(folder)
    if found is not None and not _is_dead(found):
        since = time.strftime("%H:%M:%S", time.localtime(found["since"]))
        raise ConflictError(
            f"{folder} is in use by process {found['pid']} on {found['host']} (since {since}, last "
            f"heard of {time.time() - found['beat']:.0f} s ago); wait for it, or stop it and run "
            "again"
        )
    if found is not None:
        logger.info("taking over from process %s on %s, which is gone", found["pid"], found["host"])
    folder.delete([OWNER])
    if not folder.create(OWNER, _record(mine)):
        raise ConflictError(f"{folder} was taken by another command at this moment; run again")


def _hold(folder: Folder, mine: dict[str, Any], over: threading.Event) -> None:
    """Say again and again that the owner lives, and at the end that it has left."""
    while not over.wait(BEAT_SECONDS):
        try:
            found = _read(folder)
            if found is None or found["token"] != mine["token"]:
                logger.warning("%s was taken over by another command; commits stay safe", folder)
                return
            folder.write(OWNER, _record(mine))
        except RayqcError as error:
            logger.warning("%s", error)
    _release(folder, mine)


def _release(folder: Folder, mine: dict[str, Any]) -> None:
    try:
        found = _read(folder)
        if found is not None and found["token"] == mine["token"]:
            folder.delete([OWNER])
    except RayqcError as error:  # the work's own error, if any, says more
        logger.warning("%s", error)


def _read(folder: Folder) -> dict[str, Any] | None:
    try:
        return dict(read_json(folder, OWNER))
    except FileNotFoundError:
        return None


def _record(mine: dict[str, Any]) -> bytes:
    return canonical_json({**mine, "beat": time.time()})


def _is_dead(found: dict[str, Any]) -> bool:
    here = _process()
    if (found["host"], found["boot"]) == (here["host"], here["boot"]):
        return bool(_started(found["pid"]) != found["started"])
    return bool(time.time() - found["beat"] > DEAD_AFTER_SECONDS)


def _process() -> dict[str, Any]:
    pid = os.getpid()
    boot = Path("/proc/sys/kernel/random/boot_id")
    return {
        "pid": pid,
        "started": _started(pid),
        "host": socket.gethostname(),
        "boot": boot.read_text(encoding="ascii").strip() if boot.exists() else "",
    }


def _started(pid: int) -> str:
    """When a process started, in ticks since boot; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
