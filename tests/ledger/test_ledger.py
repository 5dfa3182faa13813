"""The ledger without Ray: plan, commit, crash, resume, compact."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from rayqc.errors import ArtefactError, ConflictError, LedgerError
from rayqc.images.encode import encode_png
from rayqc.ledger.clean import MARKER, orphans, remove
from rayqc.ledger.commit import commit_unit, committed_units, is_committed, load_commits
from rayqc.ledger.compact import cut_of, plan_shards, totals_after_cut, write_shard
from rayqc.ledger.manifest import (
    balance,
    finish,
    is_finished,
    load_files,
    load_totals,
    publish,
    survey,
)
from rayqc.ledger.plan import clear, inputs_digest, load_plan, start_or_resume, work_digest
from rayqc.schema import score_schema, verdict_schema
from rayqc.seeds import chance_of
from rayqc.storage import Folder, read_table
from rayqc.units import Unit, number, slices

CLASSES = ("a", "b")
PNG = encode_png(np.zeros((4, 4, 1), np.uint8))


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path / "out"))


def units(total=20, most=6, tag="f", limit=None):
    found = [
        Unit(entry=0, path="x", start=a, stop=b, fingerprint=tag, names=("n",) * (b - a))
        for a, b in slices(total, most)
    ]
    return number(found, limit)


def judged(unit):
    """Rows of a unit: label by parity, score by row number, every fifth an error."""
    rows = []
    for row in unit.rows():
        verdict = "error" if row % 5 == 4 else "accepted" if row % 3 else "rejected"
        rows.append(
            {
                "id": f"{row:03d}",
                "image": {"bytes": PNG, "path": None},
                "label": int(row % 2),
                "score": float(100 - row) / 100,
                "verdict": verdict,
                "reason": "why",
            }
        )
    return pa.Table.from_pylist(rows, schema=verdict_schema(CLASSES))


def commit(folder, index, unit):
    table = judged(unit)
    verdict = np.array(table["verdict"].to_pylist())
    kinds = ("accepted", "rejected", "error")
    tables = {kind: table.filter(pa.array(verdict == kind)) for kind in kinds}
    tables["scores"] = table.drop_columns(["image"]).cast(score_schema(CLASSES))
    by_class = {}
    for label, kind in zip(table["label"].to_pylist(), verdict, strict=True):
        counts = by_class.setdefault(CLASSES[label], {})
        counts[str(kind)] = counts.get(str(kind), 0) + 1
    outcomes = {kind: int((verdict == kind).sum()) for kind in kinds}
    work = work_digest(folder)
    return commit_unit(folder, index, work, tables, outcomes, {"why": table.num_rows}, by_class)


SCHEMAS = {kind: verdict_schema(CLASSES) for kind in ("accepted", "rejected", "error")}
SCHEMAS["scores"] = score_schema(CLASSES)


def merge(folder, plan, shard_bytes=1e9, cap=None):
    totals, parts = survey(folder, plan, work_digest(folder))
    cut = {}
    if cap:
        paths = parts["scores"]["path"].to_pylist()
        cut = cut_of(pa.concat_tables([read_table(folder, path) for path in paths]), cap)
    plans = plan_shards(parts, tuple(SCHEMAS), shard_bytes, cut)
    shards = [write_shard(folder, one, SCHEMAS[one.kind], cut) for one in plans]
    publish(folder, totals_after_cut(totals, {CLASSES[k]: cap for k in cut}), shards)


def contents(folder, kind):
    parts = load_files(folder).get(kind, [])
    return [row for part in parts for row in read_table(folder, part.path).to_pylist()]


def test_a_plan_reads_back_and_resumes(folder):
    plan = units(limit=7)
    assert start_or_resume(folder, {"s": 1}, plan) == plan
    assert load_plan(folder) == plan
    assert start_or_resume(folder, {"s": 1}, plan) == plan


def test_another_unit_size_resumes_the_stored_plan(folder):
    plan = units(most=6)
    start_or_resume(folder, {"s": 1}, plan)
    assert start_or_resume(folder, {"s": 1}, units(most=3)) == plan
    assert inputs_digest(units(most=3)) == inputs_digest(units(most=6))


@pytest.mark.parametrize(
    ("work", "plan", "message"),
    [
        ({"s": 2}, units(), "s: 1 -> 2"),
        ({"s": 1}, units(tag="changed"), "inputs"),
        ({"s": 1}, units(total=21), "inputs"),
        ({"s": 1}, units(limit=5), "inputs"),
    ],
)
def test_other_work_is_refused_with_the_difference(folder, work, plan, message):
    start_or_resume(folder, {"s": 1}, units())
    with pytest.raises(ConflictError, match=message) as caught:
        start_or_resume(folder, work, plan)
    assert "--redo" in str(caught.value)
    clear(folder)
    assert folder.names() == []
    assert start_or_resume(folder, work, plan) == plan


def test_the_first_commit_stands_and_the_twin_leaves_nothing(folder):
    plan = start_or_resume(folder, {}, units())
    assert not is_committed(folder, 0)
    assert commit(folder, 0, plan[0])
    before = folder.names()
    assert not commit(folder, 0, plan[0])
    assert folder.names() == before
    assert is_committed(folder, 0) and committed_units(folder) == {0}
    assert len(load_commits(folder)) == 1


def test_the_marker_of_a_killed_command_is_cleaned(folder):
    plan = start_or_resume(folder, {}, units())
    commit(folder, 0, plan[0])
    assert orphans(folder) == []
    folder.write(f"{MARKER}0123abcd", b"")
    assert orphans(folder) == [f"{MARKER}0123abcd"]
    remove(folder, orphans(folder))
    assert orphans(folder) == []


def test_rounds_of_an_unfinished_drawing_keep_their_committed_parts(folder):
    start_or_resume(folder, {"stage": "until"}, [])
    whole, begun = folder.sub("rounds/0000"), folder.sub("rounds/0001")
    for round_folder in (whole, begun):
        plan = start_or_resume(round_folder, {}, units())
        for index, unit in enumerate(plan if round_folder is whole else plan[:1]):
            commit(round_folder, index, unit)
    commits = load_commits(whole)
    publish(
        whole, balance(plan, commits, work_digest(whole)), [p for c in commits for p in c.parts]
    )
    before = folder.names()
    assert orphans(folder) == []
    begun.write("scores/unit-0000001-0123abcd.parquet", b"dead")
    begun.write(f"{MARKER}0123abcd", b"")
    assert orphans(folder) == [
        "rounds/0001/scores/unit-0000001-0123abcd.parquet",
        f"rounds/0001/{MARKER}0123abcd",
    ]
    remove(folder, orphans(folder))
    assert folder.names() == before


def test_the_ledger_must_balance(folder):
    plan = start_or_resume(folder, {}, units())
    for index, unit in enumerate(plan[:-1]):
        commit(folder, index, unit)
    with pytest.raises(LedgerError, match=r"4 units planned, 3 committed; missing \[3\]"):
        balance(plan, load_commits(folder), work_digest(folder))
    commit(folder, 3, plan[3])
    assert balance(plan, load_commits(folder), work_digest(folder)).read == 20
    longer = [*plan[:-1], units(total=7, most=7)[0]]
    with pytest.raises(LedgerError, match="unit 3: 7 rows planned, 5 read, 5 counted"):
        balance(longer, load_commits(folder), work_digest(folder))


@pytest.mark.parametrize("shard_bytes", [1, 6000, 1e9])
def test_shards_hold_every_row_once_in_order(folder, shard_bytes):
    plan = start_or_resume(folder, {}, units())
    for index in (2, 0, 3, 1):  # as actors may finish
        commit(folder, index, plan[index])
    folder.write("accepted/unit-0000001-orphan.parquet", b"left by a crash")
    merge(folder, plan, shard_bytes)
    assert is_finished(folder)
    expected = [row for unit in plan for row in judged(unit).to_pylist()]
    for kind in ("accepted", "rejected", "error"):
        assert contents(folder, kind) == [row for row in expected if row["verdict"] == kind]
    assert [row["id"] for row in contents(folder, "scores")] == [row["id"] for row in expected]
    totals = load_totals(folder)
    assert totals.read == 20 == sum(totals.outcomes.values())
    named = {part.path for parts in load_files(folder).values() for part in parts}
    lying = {name for name in folder.names() if name.endswith(".parquet")} - {"_plan"}
    assert lying == named
    if shard_bytes == 1:
        assert len(load_files(folder)["accepted"]) == len(plan)


def test_a_stop_between_manifest_and_success_is_mended(folder):
    plan = start_or_resume(folder, {}, units())
    for index, unit in enumerate(plan):
        commit(folder, index, unit)
    merge(folder, plan)
    before = folder.names()
    folder.delete(["_SUCCESS"])
    folder.write("accepted/unit-0000001-orphan.parquet", b"not deleted in time")
    finish(folder)
    assert folder.names() == before


@pytest.mark.parametrize("cap", [1, 3, 100])
def test_the_cap_keeps_so_many_at_random(folder, cap):
    plan = start_or_resume(folder, {}, units())
    for index, unit in enumerate(plan):
        commit(folder, index, unit)
    expected = [row for unit in plan for row in judged(unit).to_pylist()]
    merge(folder, plan, 1, cap)
    accepted = contents(folder, "accepted")
    for label in (0, 1):
        could = [r for r in expected if r["verdict"] == "accepted" and r["label"] == label]
        chance = dict(zip([r["id"] for r in could], chance_of(r["id"] for r in could), strict=True))
        drawn = sorted(could, key=lambda r: chance[r["id"]])[:cap]
        found = [r for r in accepted if r["label"] == label]
        assert sorted(r["id"] for r in found) == sorted(r["id"] for r in drawn)
    over = [row for row in contents(folder, "rejected") if row["reason"] == "over_cap"]
    kept = {row["id"] for row in accepted}
    assert {row["id"] for row in over} == {
        row["id"] for row in expected if row["verdict"] == "accepted"
    } - kept
    totals = load_totals(folder)
    assert totals.outcomes["accepted"] == len(accepted)
    assert sum(totals.outcomes.values()) == totals.read == 20
    assert totals.reasons.get("over_cap", 0) == len(over)
    inside = replace(totals, reasons={"inside_region": 20}, by_class={"a": {"accepted": 20}})
    after = totals_after_cut(inside, {"a": 8})
    assert after.reasons == {"inside_region": 8, "over_cap": 12}
    scores = contents(folder, "scores")
    assert sum(row["verdict"] == "accepted" for row in scores) == len(accepted)
    assert len(scores) == 20


def test_a_part_that_another_took_the_place_of_is_refused(folder):
    plan = start_or_resume(folder, {}, units())
    for index, unit in enumerate(plan):
        commit(folder, index, unit)
    first, second = (
        next(part.path for part in record.parts if part.kind == "accepted")
        for record in load_commits(folder)[:2]
    )
    folder.write(first, folder.read(second))
    with pytest.raises(ArtefactError, match=rf"{first} is not the file that was committed"):
        merge(folder, plan)
    assert not is_finished(folder)


def test_a_damaged_commit_is_named(folder):
    folder.write("commits/0000003.json", b"{}")
    with pytest.raises(ArtefactError, match=r"0000003\.json is not a commit record"):
        load_commits(folder)


def test_a_commit_for_other_work_does_not_count(folder):
    plan = start_or_resume(folder, {"s": 1}, units(total=6))
    commit(folder, 0, plan[0])
    with pytest.raises(LedgerError, match="unit 0 was committed for other work"):
        balance(plan, load_commits(folder), "0" * 64)


def test_a_plan_without_a_claim_is_not_taken_over(folder):
    start_or_resume(folder, {}, units(total=20))
    folder.delete(["ledger.json"])
    plan = start_or_resume(folder, {}, units(total=50))
    assert sum(unit.rows().size for unit in plan) == 50


def test_a_plan_that_is_not_the_claims_is_refused(folder):
    start_or_resume(folder, {}, units(total=20))
    other = Folder(folder.path("other"))
    start_or_resume(other, {}, units(total=50))
    folder.write("_plan", other.read("_plan"))
    with pytest.raises(ConflictError, match="is not the plan of the work"):
        start_or_resume(folder, {}, units(total=20))


def test_other_peoples_files_are_never_deleted(folder):
    mine = ["notes.txt", "train.csv", "sub/train-1.parquet", "accepted/notes.txt"]
    for name in mine:
        folder.write(name, b"mine")
    plan = start_or_resume(folder, {}, units())
    for index, unit in enumerate(plan):
        commit(folder, index, unit)
    merge(folder, plan)
    assert set(mine) <= set(folder.names())
    clear(folder)
    assert folder.names() == sorted(mine)


def test_shards_must_hold_what_was_counted(folder):
    plan = start_or_resume(folder, {}, units())
    for index, unit in enumerate(plan):
        commit(folder, index, unit)
    totals, parts = survey(folder, plan, work_digest(folder))
    shards = [
        write_shard(folder, one, SCHEMAS[one.kind], {})
        for one in plan_shards(
            {kind: table.slice(1) for kind, table in parts.items()}, tuple(SCHEMAS), 1e9, {}
        )
    ]
    with pytest.raises(LedgerError, match="shards hold"):
        publish(folder, totals, shards)
    assert not is_finished(folder)


def test_parts_of_an_earlier_version_are_merged_with_those_of_this_one(folder):
    """A filter that was begun before `scores/` had another column goes on."""
    plan = start_or_resume(folder, {"s": 1}, units())
    for index, unit in enumerate(plan):
        commit(folder, index, unit)
    wider = score_schema(CLASSES, seen=["pixel_digest", "width", "height"])
    totals, parts = survey(folder, plan, work_digest(folder))
    (shard,) = plan_shards(parts, ("scores",), 1e9, {})
    part = write_shard(folder, shard, wider, {})
    table = read_table(folder, part.path)
    assert table.schema.names == wider.names
    assert table.num_rows == totals.read
    assert table["width"].null_count == table.num_rows
    assert table["score"].null_count == 0
