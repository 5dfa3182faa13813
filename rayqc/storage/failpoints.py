"""Places where a process can be told to die, so that tests see what a crash leaves behind.

`RAYQC_FAILPOINT="kill before write commits/* 2"` kills this process (SIGKILL) before it writes, for
the second time, a name that the pattern fits; `raise` raises `Reached` instead of dying. Verbs are
those of `storage.Folder`: write, create, delete. Not set, nothing happens.
"""

from __future__ import annotations

import fnmatch
import os
import signal

VARIABLE = "RAYQC_FAILPOINT"

_times: dict[str, int] = {}


class Reached(BaseException):
    """The failpoint was reached; no handler of errors may take this for one."""


def reach(moment: str, verb: str, name: str) -> None:
    """Die here if the environment says so.

    Args:
        moment: before or after.
        verb: what is done.
        name: the file.

    Raises:
        ValueError: the variable does not read as above.
    """
    asked = os.environ.get(VARIABLE)
    if not asked:
        return
    words = asked.split()
    if len(words) != 5 or words[0] not in ("kill", "raise") or not words[4].isdecimal():
        raise ValueError(
            f"{VARIABLE} is {asked!r}; expected `kill|raise before|after VERB PATTERN TIMES`"
        )
    action, when, what, pattern, times = words
    if (when, what) != (moment, verb) or not fnmatch.fnmatch(name, pattern):
        return
    _times[asked] = _times.get(asked, 0) + 1
    if _times[asked] != int(times):
        return
    if action == "raise":
        del _times[asked]
        raise Reached(f"{moment} {verb} {name}")
    os.kill(os.getpid(), signal.SIGKILL)
