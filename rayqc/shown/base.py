"""How a result is shown, as lines and tables; the terminal's part is in `cli.console`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rayqc.printable import counted, percentage
from rayqc.verdicts import VERDICTS

if TYPE_CHECKING:
    from rayqc.results import (
        Acceptance,
        ClassifyResult,
        FilterResult,
        FitResult,
        Interval,
        LedgerResult,
        MeasuredCoverage,
    )
    from rayqc.set_results import DuplicateFacts, KeptSetFacts


@dataclass(frozen=True, kw_only=True)
class Table:
    """A small table; its cells are aligned to the right."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    title: str | None = None


Shown = list[str | Table]

LEAST_TOLD = 0.01
"""What few test images leave open is told from here on, as a share of the answers."""


def plain_lines(result: Mapping[str, Any], folder: str) -> Shown:
    """A line for each plain value of a result; nested values are in the result's file only.

    Args:
        folder: where the result's files are; not shown.
    """
    return [
        f"{name}: {plain(value)}"
        for name, value in result.items()
        if not isinstance(value, dict | list)
    ]


def plain(value: object) -> str:
    """A value as short text; floats have 4 significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def percent(value: Interval | None) -> str:
    """A mean and its interval in percent; a dash where there is none."""
    if value is None or value["mean"] is None:
        return "-"
    half = "" if value["half_width"] is None else f" ± {100 * value['half_width']:.1f}"
    return f"{100 * value['mean']:.1f}{half}"


def points(value: Interval) -> str:
    """A difference and its interval in percentage points; a dash where there is none."""
    mean, half = value["mean"], value["half_width"]
    if mean is None:
        return "-"
    spread = "" if half is None else f" ± {100 * half:.1f}"
    return f"{100 * mean:+.1f}{spread} points"


def counts_table(totals: LedgerResult) -> Table:
    """Images read, and how many of each verdict."""
    counts = tuple(f"{totals['outcomes'].get(name, 0):,}" for name in VERDICTS)
    return Table(columns=("read", *VERDICTS), rows=[(f"{totals['read']:,}", *counts)])


def acceptance_table(acceptance: Acceptance) -> Table:
    """How many images of each class were accepted."""
    rows = [
        (name, f"{row['judged']:,}", f"{row['accepted']:,}", f"{row['share']:.1%}")
        for name, row in acceptance["by_class"].items()
    ]
    columns = ("class", "judged", "accepted", "share")
    return Table(columns=columns, rows=rows, title="accepted by class")


def filter_lines(result: FilterResult, folder: str) -> Shown:
    """The counts of a filter or refilter."""
    return [counts_table(result), acceptance_table(result["acceptance"]), f"in {folder}"]


def coverage_lines(fitted: FitResult) -> list[str]:
    """What the regions promise of fresh real images, and what was measured."""
    asked = f"coverage asked for: {percentage(fitted['coverage'])} of fresh real images"
    if "guarantee" in fitted:
        promised = fitted["guarantee"]
        asked += f"; {promised['promise']} on {promised['scores']:,} scores: {promised['says']}"
    else:
        asked += f"; {fitted['expected_coverage']:.1%} to be expected at most"
    return [asked, *measured_lines(fitted["measured"])]


def few_tests_lines(classified: ClassifyResult) -> list[str]:
    """By how much accuracies of all such images may differ; none where that is below a point.

    Of the first arm, normal, with two successes and two failures added (Agresti & Coull 1998).
    """
    arms, images = classified.get("arms"), classified.get("test_images")
    accuracy = next(iter(arms.values()))["accuracy"]["mean"] if arms else None
    if accuracy is None or not images:
        return []
    share = (images * accuracy + 2) / (images + 4)
    half_width = 1.96 * math.sqrt(share * (1 - share) / (images + 4))
    if half_width < LEAST_TOLD:
        return []
    return [
        f"{images:,} test images: of all images like them an accuracy may differ by "
        f"{100 * half_width:.1f} points (95%), which intervals over seeds do not hold"
    ]


def measured_lines(measured: MeasuredCoverage | None) -> list[str]:
    """Coverage as measured on test images: of what decides, and of its parts alone."""
    if not measured:
        return []
    shares = {name: part for name, part in measured.items() if isinstance(part, dict)}
    decisive = "joint" if "joint" in shares else next(iter(shares))
    part = shares.pop(decisive)
    lines = [
        f"measured coverage: {part['pooled']:.1%} of {measured['images']:,} test images by "
        f"{decisive}; the lowest class is {part['lowest_class']}, {part['lowest']:.1%}"
    ]
    if shares:
        others = ", ".join(f"{name} {part['pooled']:.1%}" for name, part in shares.items())
        lines.append(f"by its parts alone: {others}")
    return lines


def duplicate_words(found: DuplicateFacts) -> list[str]:
    """How many of the accepted images are duplicates, and what lies under several classes."""
    lines = []
    near, exact = found["accepted_near"], found["accepted_exact"]
    if near:
        lines.append(
            f"of the accepted, {counted(near, 'image')} like another one of the class, {exact:,} "
            "pixel by pixel; rayqc select --drop-duplicates near leaves them out"
        )
    under = found["under_several_classes"]
    if under:
        lines.append(f"of the pool, {counted(under, 'image')} under several classes")
    return lines


def cue_lines(facts: KeptSetFacts) -> list[str]:
    """A line for each statistic that tells the accepted classes apart and not the references'."""
    return [
        f"{name} alone tells the classes apart in the accepted images "
        f"({cue['accepted']:.0%} of its spread is between classes) more than in the references "
        f"({cue['references']:.0%}, at most {cue['upper']:.0%}): a classifier may learn it instead "
        "of what the images show"
        for name, cue in facts["cues"].items()
        if cue["spurious"]
    ]


def harm_words(differences: Mapping[str, Interval]) -> str:
    """That the accepted images did harm, in words; empty where that was not shown."""
    gain = differences.get("accepted - real")
    if gain is None or gain["mean"] is None or gain["half_width"] is None:
        return ""
    if gain["mean"] + gain["half_width"] >= 0:
        return ""
    return (
        "with the accepted images the classifier is worse than with the references alone "
        f"({points(gain)}): train without this pool"
    )


def control_words(differences: Mapping[str, Interval]) -> str:
    """What the control `random` shows, in words; empty where there was none."""
    gain = differences.get("accepted - random")
    if gain is None or gain["mean"] is None or gain["half_width"] is None:
        return ""
    if gain["mean"] - gain["half_width"] > 0:
        verdict = "the filter beat a random subset of the same size"
    elif gain["mean"] + gain["half_width"] < 0:
        verdict = "the filter did worse than a random subset of the same size"
    else:
        verdict = "no difference from a random subset of the same size was shown"
    return f"{verdict} ({points(gain)})"
