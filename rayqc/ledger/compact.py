"""Merge parts into shards of a chosen size, in the plan's order, and apply the cap per class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.ledger.commit import Part, read_part, write_part
from rayqc.ledger.manifest import Totals
from rayqc.ledger.parts import Parts, groups, parts_of, parts_of_kinds
from rayqc.schema import cast_to
from rayqc.seeds import chance_of
from rayqc.storage import Folder
from rayqc.verdicts import INSIDE, OVER_CAP, REJECTED

Cut = dict[int, tuple[int, str]]
"""Label to (chance, id) of the last candidate within the cap; see `seeds.chance_of`."""


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """One shard to write, from whole parts."""

    kind: str
    number: int
    of: int
    parts: pa.Table
    """As in `parts.Parts`."""

    def alone(self) -> ShardPlan:
        """Without the memory that its parts share with all others; to be sent."""
        return replace(
            self, parts=self.parts.take(pa.array(range(self.parts.num_rows), pa.int64()))
        )

    @property
    def name(self) -> str:
        """File name, as Hugging Face names the files of a split."""
        return f"train-{self.number:05d}-of-{self.of:05d}.parquet"


def plan_shards(
    parts: Parts, kinds: tuple[str, ...], shard_bytes: float, cut: Cut
) -> list[ShardPlan]:
    """Consecutive units' parts, grouped up to the size; at least one shard a kind, errors apart.

    With a cut, the rejected shards read the accepted parts too: what is over the cap moves there.
    """
    plans = []
    for kind in kinds:
        wanted = [kind, "accepted"] if kind == "rejected" and cut else [kind]
        mine = parts_of_kinds(parts, wanted)
        if kind == "error" and not mine.num_rows:
            continue
        found = groups(mine, shard_bytes)
        plans += [
            ShardPlan(kind=kind, number=number, of=len(found), parts=group)
            for number, group in enumerate(found)
        ]
    return plans


def write_shard(folder: Folder, plan: ShardPlan, schema: pa.Schema, cut: Cut) -> Part:
    """Read a shard's parts, move what is over the cap, and write the rows that belong here."""
    tables = [schema.empty_table()]
    for part in parts_of(plan.parts):
        table = read_part(folder, part)
        if cut and part.kind in ("accepted", "scores"):
            table = apply_cut(table, cut)
        if plan.kind in ("accepted", "rejected"):
            table = table.filter(pc.equal(table["verdict"], plan.kind))
        tables.append(cast_to(table, schema))
    return write_part(folder, plan.kind, plan.name, pa.concat_tables(tables))


def smallest(table: pa.Table, most: int) -> pa.Table:
    """The `most` accepted rows of each label that come first by (chance, id): a random draw.

    Args:
        table: columns label, id, verdict, and chance if it was added before.
    """
    table = table.filter(pc.equal(table["verdict"], "accepted"))
    if "chance" not in table.column_names:
        table = table.append_column("chance", pa.array(chance_of(table["id"].to_pylist())))
    order = pc.sort_indices(
        table, sort_keys=[("label", "ascending"), ("chance", "ascending"), ("id", "ascending")]
    )
    table = table.take(order)
    label_N = np.asarray(table["label"])
    _, first_K = np.unique(label_N, return_index=True)
    rank_N = np.arange(label_N.size) - first_K[np.searchsorted(label_N[first_K], label_N)]
    return table.filter(pa.array(rank_N < most))


def cut_of(table: pa.Table, most: int) -> Cut:
    """The cut that keeps `most` of each label; labels with no more than that have none."""
    kept = smallest(table, most)
    cut: Cut = {}
    count: dict[int, int] = {}
    for row in kept.to_pylist():  # sorted, so the last one of a label stands
        count[row["label"]] = count.get(row["label"], 0) + 1
        cut[row["label"]] = (row["chance"], row["id"])
    return {label: last for label, last in cut.items() if count[label] == most}


def apply_cut(table: pa.Table, cut: Cut) -> pa.Table:
    """Reject accepted rows that come after the cut."""
    rows = table.select(["label", "id", "verdict"]).to_pylist()
    chance_N = chance_of(row["id"] for row in rows).tolist()
    over = [
        row["verdict"] == "accepted"
        and row["label"] in cut
        and (chance, row["id"]) > cut[row["label"]]
        for row, chance in zip(rows, chance_N, strict=True)
    ]
    return reject(table, pa.array(over, pa.bool_()), OVER_CAP)


def reject(table: pa.Table, mask: pa.Array | pa.ChunkedArray, reason: str) -> pa.Table:
    """The table with the rows of a mask rejected for a reason."""
    for name, value in (("verdict", REJECTED), ("reason", reason)):
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        table = table.set_column(place, field, pc.if_else(mask, value, table[name]))
    return table


def totals_after_cut(totals: Totals, kept: dict[str, int]) -> Totals:
    """Totals with the surplus of each class counted as rejected.

    Args:
        kept: accepted rows of each class name after the cut.
    """
    by_class = {name: dict(counts) for name, counts in totals.by_class.items()}
    moved = 0
    for name, counts in by_class.items():
        over = counts.get("accepted", 0) - kept.get(name, counts.get("accepted", 0))
        if over:
            counts["accepted"] -= over
            counts["rejected"] = counts.get("rejected", 0) + over
            moved += over
    if not moved:
        return totals
    outcomes = dict(totals.outcomes)
    outcomes["accepted"] -= moved
    outcomes["rejected"] = outcomes.get("rejected", 0) + moved
    reasons = {**totals.reasons, OVER_CAP: moved}
    if INSIDE in reasons:
        reasons[INSIDE] -= moved
    return replace(totals, outcomes=outcomes, reasons=reasons, by_class=by_class)
