"""Text from files that others made, made safe to print."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    r"""The text with escapes, such as `\x1b`, for all characters that do not print.

    The name of a file or class may hold terminal commands, line breaks that would start a log line,
    and marks that reverse the reading order.

    Args:
        keep: characters that stay as they are.
    """
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode()
        for character in text.encode(errors="backslashreplace").decode()
    )
