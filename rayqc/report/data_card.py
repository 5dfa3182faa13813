"""The data card `README.md`: what the accepted images are, for people and for the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from rayqc.ledger.manifest import Totals
from rayqc.ledger.plan import LEDGER
from rayqc.printable import percentage, printable
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.report.base import JudgedPool, Output
from rayqc.storage import read_json
from rayqc.verdicts import INSIDE, VERDICTS
from rayqc.version import __version__

NAME = "README.md"
PATTERN = "accepted/*.parquet"
"""Where the card says that the shards are, from its own folder."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
"""The Hub's words for numbers of images; the last is `BEYOND`."""
BEYOND = "n>1M"
MOST_CLASSES = 100


def header(accepted: int, pattern: str = PATTERN) -> str:
    """The Hub's YAML header of so many images."""
    size = next((name for most, name in SIZES if accepted < most), BEYOND)
    fields = {
        "license": "unknown",
        "task_categories": ["image-classification"],
        "size_categories": [size],
        "tags": ["synthetic", "rayqc"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": pattern}]}
        ],
    }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False)}---\n"


def data_card(pool: JudgedPool) -> str:
    """Markdown with a YAML header."""
    work = read_json(pool.folder, LEDGER)
    totals, acceptance = pool.totals, pool.acceptance
    accepted = totals.outcomes.get("accepted", 0)
    shown = list(acceptance["by_class"].items())[:MOST_CLASSES]
    rows = [
        f"| {_cell(name)} | {row['judged']:,} | {row['accepted']:,} | {row['share']:.1%} |"
        for name, row in shown
    ]
    if len(acceptance["by_class"]) > MOST_CLASSES:
        rows.append(f"| ... of {len(acceptance['by_class'])} classes | | | |")
    copies = acceptance["near_copy_share"]
    lines = [
        header(accepted),
        f"# {accepted:,} accepted images of {len(pool.classes)} classes",
        "",
        "Synthetic images that were judged, one by one, by what a few real images of each class "
        f"look like (rayqc {__version__}). `license` above is "
        "to be filled in: it is that of the generator's output, not of this program.",
        "",
        "## Source",
        "",
        *[
            f"* {_cell(name)}: {row['judged']:,} images judged, {row['accepted']:,} accepted"
            for name, row in acceptance["by_entry"].items()
        ],
        "",
        "Column `source` says of each image which file or generator it is of.",
        "",
        "## Filter",
        "",
        f"* Asked for: {percentage(pool.coverage)} of fresh real images are to be accepted.",
        *([f"* Promise: {pool.promise}"] if pool.promise else []),
        f"* Read {totals.read:,} images: {_counts(totals)}.",
        f"* Near copies of a reference among the accepted: {copies:.1%}.",
        *[
            f"* {_reason_line(reason, count)}"
            for reason, count in sorted(totals.reasons.items())
            if reason != INSIDE
        ],
        "",
        "| class | judged | accepted | share |",
        "|---|---|---|---|",
        *rows,
        "",
        "## How it was made",
        "",
        *[
            f"* `{name}`: `{work[name]}`"
            for name in ("encoder_digest", "regions_digest")
            if name in work
        ],
        f"* Statistic: {_statistic(work)}.",
        "",
        "Columns: `image`, `label`, and what was found of each image; `score` is at most 1.",
        "",
    ]
    return "\n".join(lines)


def _counts(totals: Totals) -> str:
    return ", ".join(f"{totals.outcomes.get(name, 0):,} {name}" for name in VERDICTS)


def _statistic(work: Mapping[str, Any]) -> str:
    """What images were judged by: one statistic, or one of each pool entry."""
    choice = StatisticChoice(**work.get("statistics", {}))
    if choice.common:
        return f"`{choice.common}`"
    named = choice.by_entry.items()
    return ", ".join(f"`{statistic}` of {_cell(name)}" for name, statistic in named)


def _reason_line(reason: str, count: int) -> str:
    return f"{count:,} `{reason}`"


def _cell(text: str) -> str:
    """A name from a pool as plain text in Markdown."""
    quoted = printable(text).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()#+!|~" else letter for letter in quoted)


OUTPUT = Output(make=lambda pool: data_card(pool).encode(), beside_shards=True)
