"""What was accepted, why the rest was not, and how that changes with the coverage asked for.

Reads the stored scores one shard at a time.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.kinds import SCORES
from rayqc.ledger.manifest import load_files
from rayqc.regions import Regions
from rayqc.regions.base import Stored
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.results import Acceptance, ClassAcceptance, EntryAcceptance
from rayqc.schema import evidence_column
from rayqc.storage import Folder, read_table
from rayqc.verdicts import ACCEPTED, ERROR

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99)
LEAST_SHARE = 0.2
"""A class of which less is accepted is warned of."""
COLUMNS = ["id", "label", "verdict", "reason", "near_copy", "distance", "p_value"]
COLUMNS += ["nearest_reference"]
COLUMNS += [evidence_column(name) for name in SCORES.names]


def stored_scores(table: pa.Table, statistics: StatisticChoice) -> Stored:
    """A table of scores, errors left out, as regions take it."""

    def floats(name: str) -> np.ndarray:
        return np.asarray(table[name].fill_null(np.nan), dtype=np.float32)

    return Stored(
        label_N=np.asarray(table["label"], dtype=np.int64),
        statistic_N=statistics.of(table["id"].to_pylist()),
        distance_N=floats("distance"),
        evidence={name: floats(evidence_column(name)) for name in SCORES.names},
        p_value_N=floats("p_value"),
    )


def acceptance_facts(
    filtered: Folder, regions: Regions, statistics: StatisticChoice, references: int
) -> Acceptance:
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
        table = read_table(filtered, part.path, columns=COLUMNS)
        table = table.filter(pc.not_equal(table["verdict"], ERROR))
        label_N = np.asarray(table["label"], dtype=np.int64)
        accepted_N = np.asarray(pc.equal(table["verdict"], ACCEPTED))
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
    by_class: dict[str, ClassAcceptance] = {
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
        inside = table.filter(pc.equal(table["verdict"], ACCEPTED))
        self.judged += table.num_rows
        self.accepted += inside.num_rows
        self.copies += pc.sum(inside["near_copy"]).as_py() or 0
        self.met.update(inside["nearest_reference"].unique().drop_null().to_pylist())

    def facts(self, references: int) -> EntryAcceptance:
        """What was counted; `references`: how many there are."""
        return {
            "judged": self.judged,
            "accepted": self.accepted,
            "share": self.accepted / self.judged if self.judged else None,
            "near_copies": self.copies,
            "references_met": len(self.met) / references,
        }


def starved(facts: Acceptance) -> list[str]:
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
