"""Text from strangers' files, made fit to be looked at."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    r"""The text with what does not print written as escapes: `\x1b`, `\n`, `\u202e`.

    A file's or class's name may hold terminal commands, line breaks that make a log line of their
    own, and marks that turn the reading order round.

    Args:
        keep: characters that stay as they are.
    """
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode()
        for one in text.encode(errors="backslashreplace").decode()
    )
