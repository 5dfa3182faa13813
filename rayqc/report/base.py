"""What is written for people at the end of a filter: pictures and pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rayqc.images.decode import Limits
from rayqc.ledger.manifest import Totals
from rayqc.results import Acceptance
from rayqc.storage import Folder


@dataclass(frozen=True, kw_only=True)
class JudgedPool:
    """A finished filter's or refilter's output, as those who show it meet it."""

    folder: Folder
    totals: Totals
    classes: tuple[str, ...]
    acceptance: Acceptance
    coverage: float
    """That it was judged at."""
    limits: Limits
    """What an image may weigh before it is decoded."""
    has_images: bool


@dataclass(frozen=True, kw_only=True)
class Output:
    """A file that is made of a judged pool; the register names the file."""

    make: Callable[[JudgedPool], bytes]
    of_runs_only: bool = False
    """Is it made of a run's own pool only?"""
    needs_images: bool = False

    def suits(self, own: bool, has_images: bool) -> bool:
        """Is it made of this pool?"""
        return (own or not self.of_runs_only) and (has_images or not self.needs_images)
