"""What was accepted, why the rest was not, and how that changes with the coverage asked for.

Reads the stored scores one shard at a time.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.ledger.manifest import load_files
from rayqc.printable import printable
from rayqc.regions import Regions
from rayqc.regions.base import Stored
from rayqc.regions.statistics import Statistics
from rayqc.storage import Folder, read_table

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99)
LEAST_SHARE = 0.2
"""A class of which less is accepted is warned of."""
COLUMNS = ["id", "label", "verdict", "reason", "near_copy", "distance", "p_value"]
COLUMNS += ["nearest_reference"]
EVIDENCE = ["label_evidence", "quality_evidence"]


def stored_scores(table: pa.Table, statistics: Statistics) -> Stored:
    """A table of scores, errors left out, as regions take it."""

    def floats(name: str) -> np.ndarray:
        return np.asarray(table[name].fill_null(np.nan), dtype=np.float32)

    return Stored(
        label_N=np.asarray(table["label"], dtype=np.int64),
        statistic_N=statistics.of(table["id"].to_pylist()),
        distance_N=floats("distance"),
        label_evidence_N=floats("label_evidence"),
        quality_evidence_N=floats("quality_evidence"),
        p_value_N=floats("p_value"),
    )


def acceptance_facts(
    filtered: Folder, regions: Regions, statistics: Statistics, references: int
) -> dict[str, Any]:
    """Of each class: judged, accepted, near copies among them, reasons of the others, and the
    share accepted at each of `COVERAGES`. Of each pool entry: judged, accepted, near copies, and
    the share of the references that are an accepted image's nearest.

    Args:
        references: how many there are.
    """
    entries = {name: _Entry() for name in statistics.by_entry}
    count = len(regions.classes)
    judged_K, accepted_K, copies_K = (np.zeros(count, np.int64) for _ in range(3))
    curve_CK = np.zeros((len(COVERAGES), count), np.int64)
    reasons: list[dict[str, int]] = [{} for _ in range(count)]
    for part in load_files(filtered)["scores"]:
        table = read_table(filtered, part.path, columns=COLUMNS + EVIDENCE)
        table = table.filter(pc.not_equal(table["verdict"], "error"))
        label_N = np.asarray(table["label"], dtype=np.int64)
        accepted_N = np.asarray(pc.equal(table["verdict"], "accepted"))
        copy_N = np.asarray(table["near_copy"].fill_null(False))
        judged_K += np.bincount(label_N, minlength=count)
        accepted_K += np.bincount(label_N[accepted_N], minlength=count)
        copies_K += np.bincount(label_N[accepted_N & copy_N], minlength=count)
        turned_away = table.filter(pa.array(~accepted_N)).group_by(["label", "reason"])
        for row in turned_away.aggregate([([], "count_all")]).to_pylist():
            held = reasons[row["label"]]
            held[row["reason"]] = held.get(row["reason"], 0) + row["count_all"]
        for name, entry in entries.items():
            entry.add(table.filter(pc.starts_with(table["id"], f"{name}/")))
        stored = stored_scores(table, statistics)
        for place, coverage in enumerate(COVERAGES):
            inside_N = regions.rejudge(stored, coverage).score_N <= 1
            curve_CK[place] += np.bincount(label_N[inside_N], minlength=count)
    by_class = {
        name: {
            "judged": int(judged_K[k]),
            "accepted": int(accepted_K[k]),
            "share": float(accepted_K[k] / judged_K[k]),
            "near_copies": int(copies_K[k]),
            "turned_away": dict(sorted(reasons[k].items())),
            "curve": [float(value) for value in curve_CK[:, k] / judged_K[k]],
        }
        for k, name in enumerate(regions.classes)
        if judged_K[k]
    }
    total = max(int(judged_K.sum()), 1)
    return {
        "coverages": list(COVERAGES),
        "curve": [float(value) for value in curve_CK.sum(1) / total],
        "near_copies": int(copies_K.sum()),
        "near_copy_share": float(copies_K.sum() / max(int(accepted_K.sum()), 1)),
        "by_class": by_class,
        "by_entry": {name: entry.facts(references) for name, entry in entries.items()},
    }


class _Entry:
    """What is counted of a pool entry, table by table."""

    def __init__(self) -> None:
        self.judged = self.accepted = self.copies = 0
        self.met: set[str] = set()

    def add(self, table: pa.Table) -> None:
        """Rows of the entry."""
        inside = table.filter(pc.equal(table["verdict"], "accepted"))
        self.judged += table.num_rows
        self.accepted += inside.num_rows
        self.copies += pc.sum(inside["near_copy"]).as_py() or 0
        self.met.update(inside["nearest_reference"].unique().drop_null().to_pylist())

    def facts(self, references: int) -> dict[str, Any]:
        return {
            "judged": self.judged,
            "accepted": self.accepted,
            "share": self.accepted / self.judged if self.judged else None,
            "near_copies": self.copies,
            "references_met": len(self.met) / references,
        }


def starved(facts: dict[str, Any]) -> list[str]:
    """A line for each class of which less than a fifth is accepted, with what turned it away."""
    lines = []
    for name, row in facts["by_class"].items():
        if row["share"] < LEAST_SHARE:
            reasons = row["turned_away"]
            most = max(reasons, key=reasons.__getitem__) if reasons else "nothing"
            lines.append(
                f"class {name}: {row['share']:.0%} of {row['judged']:,} accepted; "
                f"{most} decided {reasons.get(most, 0):,} of them. If these images are good, judge "
                "them by another statistic (pool entry's `statistic`, or `rayqc refilter "
                "--statistic`) or ask for more coverage"
            )
    return lines


def acceptance_picture(facts: dict[str, Any], coverage: float) -> bytes:
    """PNG bytes: share accepted against coverage, of all and of each class."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow, and only pictures need it)

    figure = Figure(figsize=(5.6, 4.0), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    x = [100 * value for value in facts["coverages"]]
    names = sorted(facts["by_class"], key=lambda name: facts["by_class"][name]["share"])
    for name in names:
        y = [100 * value for value in facts["by_class"][name]["curve"]]
        ends = name in (names[0], names[-1])
        axes.plot(x, y, color="#b0b0b8", linewidth=1.6 if ends else 0.8)
    for name in {names[0], names[-1]} if names else ():
        last = 100 * facts["by_class"][name]["curve"][-1]
        text, place = f" {printable(name)}", (x[-1], last)
        axes.annotate(text, place, fontsize=8, color="#60606a", va="center", parse_math=False)
    axes.plot(x, [100 * v for v in facts["curve"]], color="#22774f", linewidth=2.4, label="all")
    axes.plot(x, x, color="#c43e34", linewidth=1, linestyle=":", label="fresh real images")
    axes.axvline(100 * coverage, color="#303038", linewidth=0.8)
    axes.set_xlabel("coverage asked for, % of fresh real images")
    axes.set_ylabel("accepted, % of the pool")
    axes.set_ylim(0, 102)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box is shown in its place
        figure.savefig(sink, format="png")
    return sink.getvalue()
