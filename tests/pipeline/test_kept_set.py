"""What the accepted images are as a set, by files that people have."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import rayqc
from rayqc.errors import ErrorBudgetExceeded
from rayqc.ledger.manifest import load_files
from rayqc.storage import Folder

LARGER = 3
"""The class whose images are larger than those of the others, and wide."""


def of_size(data, label):
    if label != LARGER:
        return data
    sink = io.BytesIO()
    Image.open(io.BytesIO(data)).resize((112, 56)).save(sink, "PNG")
    return sink.getvalue()


def test_a_class_of_another_size_is_a_cue(tiny_run, tmp_path):
    rows = pq.read_table(next((tiny_run / "pool").rglob("*.parquet"))).to_pylist()
    table = pa.table(
        {
            "id": [f"digit-{number}" for number in range(len(rows))],
            "image": [of_size(row["image"]["bytes"], row["label"]) for row in rows],
            "label": [row["label"] for row in rows],
        }
    )
    pq.write_table(table, tmp_path / "pool.parquet")
    out = tmp_path / "judged"
    rayqc.filter_pool(str(tiny_run), str(tmp_path / "pool.parquet"), str(out))
    all_accepted = tmp_path / "all"
    found = rayqc.refilter(
        str(out), str(all_accepted), coverage=1.0, statistic="label", run=str(tiny_run)
    )
    cues = found["acceptance"]["kept_set"]["cues"]
    assert {name for name, cue in cues.items() if cue["spurious"]} >= {"size", "proportions"}
    assert cues["size"]["accepted"] > 0.9
    assert cues["size"]["references"] == 0
    assert "size alone tells the classes apart" in (all_accepted / "report.html").read_text()
    sizes = {
        (row["width"], row["height"])
        for path in all_accepted.glob("scores/*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    assert sizes == {(28, 28), (112, 56)}


def test_scores_of_before_have_no_sizes_and_no_such_cue(tiny_run, tmp_path):
    old = tmp_path / "old"
    rayqc.refilter(str(tiny_run), str(old), coverage=1.0, statistic="label")
    for part in load_files(Folder(str(old)))["scores"]:
        table = pq.read_table(old / part.path).drop_columns(["width", "height"])
        pq.write_table(table, old / part.path)
    again = tmp_path / "again"
    found = rayqc.refilter(str(old), str(again), coverage=1.0, run=str(tiny_run))
    assert set(found["acceptance"]["kept_set"]["cues"]) == {"brightness"}
    (part, *_) = load_files(Folder(str(again)))["scores"]
    assert "width" not in pq.read_schema(again / part.path).names


def test_shards_of_before_a_score_was_there_are_judged_again(tiny_run, tmp_path):
    old = tmp_path / "old"
    rayqc.refilter(str(tiny_run), str(old), coverage=1.0)
    parts = [part for shards in load_files(Folder(str(old))).values() for part in shards]
    for part in parts:
        table = pq.read_table(old / part.path).drop_columns(["seams_evidence"])
        pq.write_table(table, old / part.path)

    def judged_again(source, name):
        out = tmp_path / name
        rayqc.refilter(str(source), str(out), coverage=0.8, run=str(tiny_run))
        return {
            kind: pa.concat_tables(pq.read_table(out / part.path) for part in shards).sort_by("id")
            for kind, shards in load_files(Folder(str(out))).items()
        }

    expected = judged_again(tiny_run / "filtered", "from_new")
    assert judged_again(old, "from_old") == expected
    assert expected["scores"]["seams_evidence"].null_count == len(expected["scores"])


def test_a_shard_of_errors_alone_is_no_fault(tiny_run, tmp_path):
    rows = pq.read_table(next((tiny_run / "pool").rglob("*.parquet"))).slice(0, 40).to_pylist()
    table = pa.table({"image": [b"no image"] * 40, "label": [row["label"] for row in rows]})
    pq.write_table(table, tmp_path / "pool.parquet")
    out = tmp_path / "judged"
    for _ in range(2):
        with pytest.raises(ErrorBudgetExceeded, match="40 of 40 images could not be judged"):
            rayqc.filter_pool(str(tiny_run), str(tmp_path / "pool.parquet"), str(out))
    assert (out / "_SUCCESS").exists()
    assert (out / "report.html").exists()
