"""A run folder's generator code runs only if the user of the run names it as well."""

from __future__ import annotations

from rayqc.errors import UntrustedCodeError

UNNAMED = "not named by the user"
"""Identity of code that the user has not named."""


def named_code(code: str | None) -> str:
    """The target or path of the code that the user has named.

    Raises:
        UntrustedCodeError: only the run folder names the code.
    """
    if code is None:
        raise UntrustedCodeError("a generator's code was not named; give it with --trust")
    return code
