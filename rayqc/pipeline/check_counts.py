"""What images are, counted: classes, sizes, modes, ranges, duplicates, what does not decode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rayqc.images.decode import Wrong
from rayqc.images.facts import ImageFacts
from rayqc.storage import digest
from rayqc.tool_results import CheckCountsResult, CheckedSection, Duplicates

EXAMPLES = 100
"""Names kept of each reason, and of duplicates."""
MOST_COMPARED = 2_000_000
"""Images whose digests are kept, to find those of the same bytes."""


class CheckCounts:
    """Counts of several sections, image by image."""

    def __init__(self, sections: Iterable[str]) -> None:
        self._tallies = {name: _Tally() for name in sections}
        self._same = _Same()
        self._reasons: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(
        self,
        section: str,
        name: str,
        class_name: str,
        data: bytes | None,
        found: ImageFacts | Wrong,
    ) -> None:
        """Count an image.

        Args:
            class_name: empty where it has none.
            data: encoded; None where it could not be read.
            found: what it is, or reason and message.
        """
        self._tallies[section].add(class_name, found if isinstance(found, ImageFacts) else None)
        if data:
            self._same.add(data, section, name, class_name)
        if isinstance(found, tuple):
            reason, message = found
            self._reasons[reason] += 1
            named = self._examples.setdefault(reason, [])
            if len(named) < EXAMPLES:
                named.append(f"{section}/{name}: {message}")

    def facts(self) -> CheckCountsResult:
        """All counts."""
        images = sum(tally.images for tally in self._tallies.values())
        return {
            "images": images,
            "decoded": images - self._reasons.total(),
            "reasons": dict(self._reasons.most_common()),
            "examples": self._examples,
            "sections": {name: tally.facts() for name, tally in self._tallies.items()},
            "duplicates": self._same.facts(),
        }


@dataclass
class _Tally:
    """Counts of one section."""

    images: int = 0
    decoded: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    ranges: dict[str, list[float]] = field(default_factory=dict)

    def add(self, class_name: str, facts: ImageFacts | None) -> None:
        self.images += 1
        self.classes[class_name] += 1
        if facts is None:
            return
        self.decoded += 1
        self.sizes[f"{facts.width} x {facts.height}"] += 1
        self.modes[f"{facts.format} {facts.mode}"] += 1
        if facts.values is not None:
            low, high, is_float = facts.values
            spread = self.ranges.setdefault("floats" if is_float else "whole numbers", [low, high])
            spread[:] = [min(spread[0], low), max(spread[1], high)]

    def facts(self) -> CheckedSection:
        return {
            "images": self.images,
            "decoded": self.decoded,
            "classes": dict(sorted(self.classes.items())),
            "sizes": dict(self.sizes.most_common()),
            "modes": dict(self.modes.most_common()),
            "ranges": self.ranges,
        }


class _Same:
    """Finds images that have the bytes of one before, by SHA-256."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, str, str]] = {}
        self._across: Counter[str] = Counter()
        self._images = self._of_other_classes = 0
        self._examples: list[str] = []

    def add(self, data: bytes, section: str, name: str, class_name: str) -> None:
        key = digest(data)[:32]
        if len(self._first) >= MOST_COMPARED and key not in self._first:
            return
        first_section, first_name, first_class = self._first.setdefault(
            key, (section, name, class_name)
        )
        if (first_section, first_name) == (section, name):
            return
        self._images += 1
        self._of_other_classes += first_class != class_name
        if first_section != section:
            self._across[f"{first_section} and {section}"] += 1
        if len(self._examples) < EXAMPLES:
            self._examples.append(f"{section}/{name} is {first_section}/{first_name}")

    def facts(self) -> Duplicates:
        return {
            "images": self._images,
            "across": dict(self._across),
            "of_other_classes": self._of_other_classes,
            "examples": self._examples,
        }
