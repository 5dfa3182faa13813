"""Code that a run folder names and its user must name too."""

from __future__ import annotations

from rayqc.errors import UntrustedCodeError

UNNAMED = "not named by the user"


def named_code(code: str | None) -> str:
    """The code, where the user has named it.

    Raises:
        UntrustedCodeError: it stands in the run folder only.
    """
    if code is None:
        raise UntrustedCodeError("a generator's code was not named; give it with --trust")
    return code
