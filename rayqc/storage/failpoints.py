"""Places where a process can be told to die, so that tests see what a crash leaves behind.

`RAYQC_FAILPOINT="kill before write commits/* 2"` kills this process (SIGKILL) before it writes, for
the second time, a name that the pattern fits; `raise` raises `Reached` instead of dying. Verbs are
those of `storage.Folder`: write, create, delete. Without the variable nothing happens.
"""

from __future__ import annotations

import fnmatch
import os
import signal

VARIABLE = "RAYQC_FAILPOINT"

_times: dict[str, int] = {}


class Reached(BaseException):
    """The failpoint was reached; a BaseException, so that no handler of errors catches it."""


def reach(moment: str, verb: str, name: str) -> None:
    """Die here if the environment says so.

    Args:
        moment: before or after.
        verb: what is done to the file.
        name: name of the file.

    Raises:
        ValueError: the variable does not have the form in the module's docstring.
    """
    setting = os.environ.get(VARIABLE)
    if not setting:
        return
    words = setting.split()
    if len(words) != 5 or words[0] not in ("kill", "raise") or not words[4].isdecimal():
        raise ValueError(
            f"{VARIABLE} is {setting!r}; expected `kill|raise before|after VERB PATTERN TIMES`"
        )
    action, set_moment, set_verb, pattern, times = words
    if (set_moment, set_verb) != (moment, verb) or not fnmatch.fnmatch(name, pattern):
        return
    _times[setting] = _times.get(setting, 0) + 1
    if _times[setting] != int(times):
        return
    if action == "raise":
        del _times[setting]
        raise Reached(f"{moment} {verb} {name}")
    os.kill(os.getpid(), signal.SIGKILL)
