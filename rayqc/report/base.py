"""Pictures and pages that a filter writes for people when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rayqc.images.decode import Limits
from rayqc.ledger.manifest import Totals
from rayqc.regions import FittedRegions
from rayqc.results import Acceptance
from rayqc.storage import Folder
from rayqc.tool_results import StageState


@dataclass(frozen=True, kw_only=True)
class JudgedPool:
    """A finished filter's or refilter's output, with all that pictures and pages show of it."""

    folder: Folder
    totals: Totals
    classes: tuple[str, ...]
    acceptance: Acceptance
    coverage: float
    """Coverage that the pool was judged at."""
    promise: str
    """What the regions promise of fresh real images, in words; empty where they say nothing."""
    limits: Limits
    """Limits of the images that are decoded."""
    has_images: bool
    fitted: FittedRegions
    references: pa.Table
    """Columns id, image, label."""
    named: str
    """The pool as commands take it: the run, or its folder and the run that judged it."""
    stages: Sequence[StageState] = ()
    """Of the run, where the pool is the run's own."""
    settings: str = ""
    """Of the run, as YAML."""
    result: Mapping[str, Any] | None = None
    """The content of `result.json`, once it is written; of the run's own pool."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """A file that is made from a judged pool; the register names the file."""

    make: Callable[[JudgedPool], bytes]
    of_runs_only: bool = False
    """Is the file made for a run's own pool only?"""
    needs_images: bool = False
    remade_at_end: bool = False
    """Is it made once more when the run ends, with the accuracies that were measured?"""
    beside_shards: bool = False
    """Does it lie with the filter's output, of a run as well, and not in the run folder?"""

    def suits(self, own: bool, has_images: bool) -> bool:
        """Is the file made for a pool? `own`: the pool is the run's own."""
        return (own or not self.of_runs_only) and (has_images or not self.needs_images)
