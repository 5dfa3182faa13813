"""How `rayqc check` is shown."""

from __future__ import annotations

from collections.abc import Mapping

from rayqc.shown.base import Shown, Table
from rayqc.tool_results import CheckedSection, CheckResult, Duplicates

MOST_NAMED = 10
"""Names shown of the images that fail for one reason."""
MOST_CLASSES = 20
MOST_KINDS = 3
"""Sizes and modes shown of a section."""


def checked(result: CheckResult, folder: str) -> Shown:
    """What the images are, which of them do not decode and why, and which are there twice."""
    bad: list[str] = []
    for reason, count in result["reasons"].items():
        named = result["examples"][reason][:MOST_NAMED]
        bad += [f"{count:,} {reason}; such as {named[0]}", *(f"    {name}" for name in named[1:])]
    return [
        _class_table(result["sections"]),
        *(line for name, facts in result["sections"].items() for line in _look_lines(name, facts)),
        f"{result['decoded']:,} of {result['images']:,} images decoded",
        *bad,
        *_duplicate_lines(result["duplicates"]),
        f"{result['images_a_second']:,.0f} images a second, "
        f"peak memory {result['peak_memory_mb']:,.0f} MB",
    ]


def _class_table(sections: Mapping[str, CheckedSection]) -> Table:
    """Images of each class, by section."""
    names = sorted({name for facts in sections.values() for name in facts["classes"]})
    rows = [
        (
            name or "(none)",
            *(f"{facts['classes'].get(name, 0):,}" for facts in sections.values()),
        )
        for name in names[:MOST_CLASSES]
    ]
    if len(names) > MOST_CLASSES:
        rest = [
            sum(facts["classes"].get(name, 0) for name in names[MOST_CLASSES:])
            for facts in sections.values()
        ]
        rows.append((f"{len(names) - MOST_CLASSES} more", *(f"{count:,}" for count in rest)))
    return Table(columns=("class", *sections), rows=rows, title="images by class")


def _look_lines(name: str, facts: CheckedSection) -> list[str]:
    """Sizes, modes and ranges of a section's images."""
    if not facts["decoded"]:
        return []
    ranges = [f"{kind} {low:g} to {high:g}" for kind, (low, high) in facts["ranges"].items()]
    return [
        f"{name}: {_most(facts['sizes'], 'sizes')}; {_most(facts['modes'], 'modes')}"
        + "".join(f"; {text}" for text in ranges)
    ]


def _most(counts: Mapping[str, int], what: str) -> str:
    """The most frequent ones with their counts, and the number of the others."""
    shown = [f"{name} ({count:,})" for name, count in list(counts.items())[:MOST_KINDS]]
    rest = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more {what}" if rest else "")


def _duplicate_lines(duplicates: Duplicates) -> list[str]:
    """How many images are there twice, within a section and across."""
    if not duplicates["images"]:
        return ["no image is there twice"]
    across = [f", {count:,} across {pair}" for pair, count in duplicates["across"].items()]
    other = duplicates["of_other_classes"]
    return [
        f"{duplicates['images']:,} images have the bytes of one before{''.join(across)}"
        + (f", {other:,} of them under another class" if other else "")
        + f"; such as {duplicates['examples'][0]}"
    ]
