"""Tables in Markdown."""

from __future__ import annotations


def row(cells: list[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A whole table; its first column holds names."""
    return "\n".join([row(header), row(["---"] * len(header)), *(row(cells) for cells in rows)])
