"""Text that people read: durations, shares, and names from others, made safe to print."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds in words, such as `35 s`, `12 min` or `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def counted(number: int, noun: str) -> str:
    """A number and its noun, such as `1 unit` or `2,000 units`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percentage(value: float) -> str:
    """A share in percent with the decimals that it has, two at most, such as `95%` or `97.5%`."""
    return f"{100 * value:.2f}".rstrip("0").rstrip(".") + "%"


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
