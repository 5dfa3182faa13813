"""What was accepted, why the rest was not, and how that changes with the coverage asked for.

Reads the stored scores one shard at a time.

Shape suffixes: N images, K classes, C coverages.
"""

from __future__ import annotations

from collections import Counter

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
from rayqc.verdicts import ACCEPTED, ERROR, LEFT_OUT
from rayqc.work.known_images import REFERENCE, SAME, TEST

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99)
LEAST_SHARE = 0.2
"""Share accepted of a class, below which a warning names the class."""
COLUMNS = ["id", "label", "verdict", "reason", "near_copy", "distance", "p_value"]
COLUMNS += ["nearest_reference", "message"]
COLUMNS += [evidence_column(name) for name in SCORES.names]
MOST_NAMED = 10
"""Classes that a warning names."""


def stored_scores(table: pa.Table, statistics: StatisticChoice) -> Stored:
    """Stored scores of a table's rows, as regions take them; the table must hold no errors.

    Evidence by a score that an earlier version did not have is NaN, as of one that was not fitted.
    """

    def floats(name: str) -> np.ndarray:
        if name not in table.column_names:
            return np.full(len(table), np.nan, np.float32)
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
    """Counts of each class and each pool entry, from a finished filter's scores.

    Of a class: judged, accepted, near copies among the accepted, rejected by reason, and the share
    accepted at each of `COVERAGES`. Of a pool entry: judged, accepted, near copies, and the share
    of the references that are the nearest of an accepted image.

    Args:
        references: number of reference images.
    """
    entries = {name: _Entry() for name in statistics.by_entry}
    class_count = len(regions.classes)
    judged_K, accepted_K, copies_K = (np.zeros(class_count, np.int64) for _ in range(3))
    curve_CK = np.zeros((len(COVERAGES), class_count), np.int64)
    same_counts = dict.fromkeys((REFERENCE, TEST), 0)
    reasons_by_class: list[dict[str, int]] = [{} for _ in range(class_count)]
    for shard in load_files(filtered)["scores"]:
        table = read_table(filtered, shard.path, columns=COLUMNS)
        table = table.filter(pc.not_equal(table["verdict"], ERROR))
        for kind in same_counts:
            is_same = pc.starts_with(table["message"], SAME + kind)
            same_counts[kind] += pc.sum(is_same).as_py() or 0
        label_N = np.asarray(table["label"], dtype=np.int64)
        accepted_N = np.asarray(pc.equal(table["verdict"], ACCEPTED))
        copy_N = np.asarray(table["near_copy"].fill_null(False))
        judged_K += np.bincount(label_N, minlength=class_count)
        accepted_K += np.bincount(label_N[accepted_N], minlength=class_count)
        copies_K += np.bincount(label_N[accepted_N & copy_N], minlength=class_count)
        rejected = table.filter(pa.array(~accepted_N)).group_by(["label", "reason"])
        for row in rejected.aggregate([([], "count_all")]).to_pylist():
            reason_counts = reasons_by_class[row["label"]]
            reason_counts[row["reason"]] = reason_counts.get(row["reason"], 0) + row["count_all"]
        for name, entry in entries.items():
            entry.add(table.filter(pc.starts_with(table["id"], f"{name}/")))
        stored = stored_scores(table, statistics)
        for c, coverage in enumerate(COVERAGES):
            inside_N = regions.rejudge(stored, coverage).score_N <= 1
            curve_CK[c] += np.bincount(label_N[inside_N], minlength=class_count)
    by_class: dict[str, ClassAcceptance] = {
        name: {
            "judged": int(judged_K[k]),
            "accepted": int(accepted_K[k]),
            "share": float(accepted_K[k] / judged_K[k]),
            "near_copies": int(copies_K[k]),
            "turned_away": dict(sorted(reasons_by_class[k].items())),
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
        "same_as_reference": same_counts[REFERENCE],
        "same_as_test": same_counts[TEST],
        "by_class": by_class,
        "by_entry": {name: entry.facts(references) for name, entry in entries.items()},
    }


class _Entry:
    """Counts of one pool entry, added up table by table."""

    def __init__(self) -> None:
        self.judged = self.accepted = self.copies = 0
        self.nearest_ids: set[str] = set()

    def add(self, table: pa.Table) -> None:
        """Count a table of the entry's rows."""
        accepted = table.filter(pc.equal(table["verdict"], ACCEPTED))
        self.judged += table.num_rows
        self.accepted += accepted.num_rows
        self.copies += pc.sum(accepted["near_copy"]).as_py() or 0
        self.nearest_ids.update(accepted["nearest_reference"].unique().drop_null().to_pylist())

    def facts(self, references: int) -> EntryAcceptance:
        """The counts; `references`: number of reference images."""
        return {
            "judged": self.judged,
            "accepted": self.accepted,
            "share": self.accepted / self.judged if self.judged else None,
            "near_copies": self.copies,
            "references_met": len(self.nearest_ids) / references,
        }


def starved(facts: Acceptance) -> list[str]:
    """Lines that name the classes whose accepted share is below `LEAST_SHARE`, and why."""
    classes = []
    reasons: Counter[str] = Counter()
    for name, row in facts["by_class"].items():
        reason_counts = row["turned_away"]
        left_out = sum(reason_counts.get(reason, 0) for reason in LEFT_OUT)
        if (row["accepted"] + left_out) / row["judged"] < LEAST_SHARE:
            classes.append(f"{name} ({row['accepted']:,} of {row['judged']:,})")
            reasons.update(reason_counts)
    if not classes:
        return []
    shown = ", ".join(classes[:MOST_NAMED])
    more = f" and {len(classes) - MOST_NAMED} more" if len(classes) > MOST_NAMED else ""
    main_reason, count = reasons.most_common(1)[0] if reasons else ("nothing", 0)
    return [
        f"few images are accepted of class {shown}{more}; {main_reason} decided {count:,} of "
        f"{reasons.total():,} there. If these images are good, judge them by another statistic "
        "(pool entry's `statistic`, or `rayqc refilter --statistic`) or ask for more coverage"
    ]
