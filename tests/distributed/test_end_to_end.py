"""The whole way on a real local Ray: what comes out, again and again the same."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import torch

import rayqc
from rayqc import units as planning
from rayqc.config import Data
from rayqc.errors import ConflictError, InputError
from rayqc.images.decode import Limits
from rayqc.ledger.commit import load_commits
from rayqc.ledger.plan import start_or_resume
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.schema import candidate_schema, verdict_schema
from rayqc.sources import open_source
from rayqc.storage import Folder, read_table
from rayqc.work.filter_unit import FilterSpec, FilterWorker
from rayqc.work.match_classes import PoolSource
from tests.conftest import TINY, tiny

COUNT = 10 * 5 * 6


def rows(folder, kind):
    found = sorted((folder / kind).glob("*.parquet"))
    return [row for path in found for row in pq.ParquetFile(path).read().to_pylist()]


def accepted_ids(folder):
    return {row["id"] for row in rows(folder, "accepted")}


def copy_run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "run")


def pool_file(path, images, labels, names):
    table = pa.table(
        {
            "image": [{"bytes": one, "path": None} for one in images],
            "label": pa.array(labels, pa.int64()),
        }
    )
    schema = candidate_schema(names)
    metadata = {b"huggingface": schema.metadata[b"huggingface"]}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def test_the_ledger_balances(tiny_run):
    result = json.loads((tiny_run / "result.json").read_text())
    totals = result["ledger"]
    assert totals["read"] == COUNT == sum(totals["outcomes"].values())
    assert 0 < totals["outcomes"]["accepted"] < COUNT
    filtered = tiny_run / "filtered"
    plan = pq.ParquetFile(filtered / "_plan").read()
    commits = [json.loads(path.read_text()) for path in (filtered / "commits").iterdir()]
    assert len(commits) == plan.num_rows == totals["units"]
    assert sum(commit["read"] for commit in commits) == COUNT
    assert (filtered / "_SUCCESS").exists()
    every = rows(filtered, "accepted") + rows(filtered, "rejected")
    assert len({row["id"] for row in every}) == len(every) == COUNT
    assert {row["id"] for row in rows(filtered, "scores")} == {row["id"] for row in every}


def test_shards_open_with_plain_pyarrow_and_hold_the_pools_bytes(tiny_run):
    pool = {row["id"]: row for row in rows(tiny_run, "pool")}
    assert len(pool) == COUNT
    kept = rows(tiny_run / "filtered", "accepted")
    result = json.loads((tiny_run / "result.json").read_text())
    boundary = result["regions"]["thresholds"]["joint"]
    for row in kept:
        assert row["image"]["bytes"] == pool[row["id"]]["image"]["bytes"]
        assert row["parent"] == pool[row["id"]]["parent"]
        assert row["label"] == pool[row["id"]]["label"]
        assert row["verdict"] == "accepted" and row["score"] <= 1
        both = row["label_evidence"] + row["quality_evidence"]
        assert row["score"] == pytest.approx(both / boundary, rel=1e-3, abs=1e-5)
        assert 0 < row["p_value"] <= 1
        assert row["distance"] > 0 and row["radius"] > 0
    assert all(row["score"] > 1 for row in rows(tiny_run / "filtered", "rejected"))
    path = next((tiny_run / "filtered" / "accepted").glob("*.parquet"))
    schema = pq.ParquetFile(path).schema_arrow
    assert schema == verdict_schema(tuple("0123456789"))
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}


def test_results_have_every_arm_and_difference(tiny_run):
    result = json.loads((tiny_run / "result.json").read_text())
    assert set(result["classify"]["arms"]) == {"real", "all", "random", "accepted", "rejected"}
    arms = result["classify"]["arms"]
    accepted = result["ledger"]["outcomes"]["accepted"]
    assert arms["real"]["added"] == 0
    assert arms["random"]["added"] == arms["accepted"]["added"] == accepted
    assert arms["all"]["added"] == COUNT == accepted + arms["rejected"]["added"]
    assert {"accepted - random", "accepted - all"} <= set(result["table3"]["differences"])
    assert result["regions"]["measured"]["images"] == 100
    assert result["encoder"]["reconstruction_held_out"] > 0
    assert result["encoder"]["held_out_images"] == 5
    references = pq.ParquetFile(tiny_run / "references.parquet").read()
    assert references.num_rows == 50
    model = json.loads((tiny_run / "model" / "model.json").read_text())
    steps = [record["step"] for record in model["record"]["history"]]
    assert steps == [10, 20, 30, 40]


def test_no_pickles_in_a_run(tiny_run):
    endings = {path.suffix for path in tiny_run.rglob("*") if path.is_file()}
    assert endings <= {"", ".json", ".yaml", ".parquet", ".safetensors", ".png", ".md", ".html"}


def test_a_second_call_does_nothing_anew_and_says_so(tiny_run, caplog):
    before = {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")}
    with caplog.at_level(logging.INFO):
        rayqc.run(rayqc.make_config(TINY), str(tiny_run))
    for stage in ("train", "fit", "generate", "filter", "classify"):
        assert f"{stage}: done before, nothing to do" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")} == before


def test_nothing_waits_for_a_notice_of_this_machine_s_end(tiny_run):
    """Ray writes at the top of each process's log which actor it is."""
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    told = "".join(path.read_text(errors="replace") for path in logs.glob("worker-*.err"))
    assert ":actor_name:TrainController" in told
    assert ":actor_name:PreemptionWatcher" not in told


@pytest.mark.parametrize(("actors", "unit_rows"), [(1, 300), (2, 41)])
def test_the_same_ids_for_any_actors_and_units(tiny_run, tmp_path, actors, unit_rows):
    """The run's own settings are 1 actor and 70 rows."""
    run = copy_run(tiny_run, tmp_path)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("unit_rows: 70", f"unit_rows: {unit_rows}"))
    rayqc.filter_pool(str(run), str(run / "pool"), str(tmp_path / "out"), actors=actors)
    assert accepted_ids(tmp_path / "out") == accepted_ids(tiny_run / "filtered")
    plan = pq.ParquetFile(tmp_path / "out" / "_plan").read()
    assert plan.num_rows == -(-COUNT // unit_rows)


def test_the_same_verdicts_for_any_number_of_threads(tiny_run, tmp_path):
    source = open_source(Data(path=str(tiny_run / "pool")))
    units = planning.number(source.units(COUNT), None)
    found = []
    kept = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        out = Folder(str(tmp_path / f"out-{threads}"))
        start_or_resume(out, {}, units)
        worker = FilterWorker(
            FilterSpec(
                out=out,
                model=Folder(str(tiny_run / "model")),
                trusted=None,
                regions=Folder(str(tiny_run / "regions")),
                run=Folder(str(tiny_run)),
                sources=(PoolSource(source=source, prefix="", to_class=tuple(range(10))),),
                limits=Limits(),
                micro_batch=32,
                keep=("accepted", "rejected", "error"),
                statistics=StatisticChoice(),
            )
        )
        for index, unit in enumerate(units):
            worker(index, unit, {})
        (record,) = load_commits(out)
        (scores,) = (part.path for part in record.parts if part.kind == "scores")
        found.append(read_table(out, scores, ["id", "verdict", "reason", "nearest_class"]))
    torch.set_num_threads(kept)
    assert found[0] == found[1]
    assert set(found[0]["verdict"].to_pylist()) == {"accepted", "rejected"}


def test_the_pool_is_the_same_for_any_units(tiny_run, tmp_path):
    run = copy_run(tiny_run, tmp_path)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("unit_rows: 70", "unit_rows: 300"))
    rayqc.generate(str(run), redo=True)
    assert rows(run, "pool") == rows(tiny_run, "pool")


def test_an_interrupted_filter_does_only_what_is_left(tiny_run, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    run, pool, out = str(tiny_run), str(tiny_run / "pool"), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("rayqc.distributed.filter.compact", stop)
        with pytest.raises(KeyboardInterrupt):
            rayqc.filter_pool(run, pool, str(out))
    assert not (out / "manifest.json").exists()
    commits = sorted((out / "commits").iterdir())
    for path in commits[1:3]:  # their parts lie there, uncommitted, as after a crash
        path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in commits if path.exists()}
    rayqc.filter_pool(run, pool, str(out))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for kind in ("accepted", "rejected"):
        found = rows(out, kind)
        assert found == sorted(found, key=lambda row: row["id"])
        assert {(r["id"], r["image"]["bytes"]) for r in found} == {
            (r["id"], r["image"]["bytes"]) for r in rows(tiny_run / "filtered", kind)
        }
    assert not list(out.rglob("unit-*.parquet"))


def test_mistakes_are_refused(tiny_run, tmp_path):
    run, pool, out = str(tiny_run), str(tiny_run / "pool"), str(tmp_path / "out")
    with pytest.raises(InputError, match="no images at"):
        rayqc.filter_pool(run, str(tmp_path / "nowhere"), out)
    for place in (run, pool, f"{run}/below"):
        with pytest.raises(ConflictError, match="give it a folder of its own"):
            rayqc.filter_pool(run, pool, place, redo=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConflictError, match=r"holds files that are not .* such as thesis\.tex"):
        rayqc.filter_pool(run, pool, str(tmp_path / "mine"), redo=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()
    with pytest.raises(InputError, match="is no run"):
        rayqc.filter_pool(str(tmp_path), pool, out)
    pool_file(tmp_path / "p.parquet", [b"x"], [0], ("cat",))
    with pytest.raises(InputError, match="shares no class .* it has cat, they have 0, 1"):
        rayqc.filter_pool(run, str(tmp_path / "p.parquet"), out)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_plan").write_bytes(b"left by a start that was cut off")
    rayqc.filter_pool(run, pool, out, limit=30)
    with pytest.raises(ConflictError, match=r"settings.limit: 30 -> 31.*--redo"):
        rayqc.filter_pool(run, pool, out, limit=31)
    assert rayqc.filter_pool(run, pool, out, limit=31, redo=True)["read"] == 31
    with pytest.raises(ConflictError, match=r"regions.coverage: 0.95 -> 0.5\); this affects fit"):
        rayqc.run(rayqc.make_config(tiny(regions={"coverage": 0.5, "measure_images": 100})), run)


def test_changed_settings_redo_their_stages_only(tiny_run, tmp_path):
    run = copy_run(tiny_run, tmp_path)
    trained = (run / "model" / "model.json").stat().st_mtime_ns
    changed = tiny(
        regions={"kind": "sphere", "coverage": 1.0, "measure_images": 0},
        filter={"max_accepted_per_class": 2, "shard_mb": 0.02},
        classify={"arms": []},
    )
    result = rayqc.run(rayqc.make_config(changed), str(run), redo=True)
    assert (run / "model" / "model.json").stat().st_mtime_ns == trained
    assert result["classify"] == {} and result["table3"]["before"] is None
    assert result["regions"]["measured"] is None
    counts = np.bincount([row["label"] for row in rows(run / "filtered", "accepted")])
    assert counts.max() == 2
    assert len(list((run / "filtered" / "accepted").glob("*.parquet"))) > 1
    assert result["ledger"]["reasons"]["over_cap"] > 0
    assert sum(result["ledger"]["outcomes"].values()) == COUNT


def test_a_limit_is_an_even_sample_over_all_entries(tiny_run, tmp_path):
    pool = rows(tiny_run, "pool")
    pool_file(
        tmp_path / "more.parquet",
        [row["image"]["bytes"] for row in pool[:100]],
        [row["label"] for row in pool[:100]],
        tuple("0123456789"),
    )
    run = copy_run(tiny_run, tmp_path)
    changed = tiny(
        pool=[*TINY["pool"], {"path": str(tmp_path / "more.parquet")}],
        filter={"limit": 40, "unit_rows": 70, "micro_batch": 32},
        classify={"arms": []},
    )
    with pytest.raises(ConflictError, match="filter.limit: null -> 40"):
        rayqc.run(rayqc.make_config(changed), str(run))
    assert rayqc.run(rayqc.make_config(changed), str(run), redo=True)["ledger"]["read"] == 40
    found = [row["id"].partition("/")[0] for row in rows(run / "filtered", "scores")]
    assert (found.count("augment"), found.count("files")) == (30, 10)
    # The run's limit was for its own pool.
    assert (
        rayqc.filter_pool(str(run), str(tiny_run / "pool"), str(tmp_path / "out"))["read"] == COUNT
    )


def test_redo_takes_up_a_stage_that_had_only_begun(tiny_run, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    run = copy_run(tiny_run, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("rayqc.distributed.filter.compact", stop)
        with pytest.raises(KeyboardInterrupt):
            rayqc.filter(str(run), redo=True)
    (path,) = (run / "pool").glob("*.parquet")
    before, table = path.read_bytes(), pq.read_table(path)
    labels = np.asarray(table["label"]).copy()
    labels[0] = 9 - labels[0]
    place = table.schema.get_field_index("label")
    pq.write_table(table.set_column(place, table.schema.field("label"), pa.array(labels)), path)
    with pytest.raises(
        ConflictError, match=r"inputs: .*--redo \(redo=True in Python\) to do it anew"
    ):
        rayqc.filter(str(run))  # one label is another
    path.write_bytes(before)  # the same bytes, another modification time
    assert rayqc.filter(str(run))["read"] == COUNT
    assert rayqc.filter(str(run), redo=True)["read"] == COUNT
