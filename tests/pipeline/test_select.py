"""`rayqc select`: a chosen set with a ledger of its own, from a judged pool."""

import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.cli.main import main
from rayqc.errors import ConfigError, ConflictError, InputError
from rayqc.seeds import chance_of


def rows_of(folder, kind):
    shards = sorted((folder / kind).glob("*.parquet"))
    return pa.concat_tables(pq.read_table(path) for path in shards).to_pylist()


@pytest.fixture(scope="module")
def judged(tiny_run, tmp_path_factory):
    """The tiny run's pool judged anew so that most of it is accepted."""
    out = tmp_path_factory.mktemp("judged") / "most"
    found = rayqc.refilter(str(tiny_run), str(out), coverage=1.0, statistic="label")
    assert found["outcomes"]["accepted"] > 100
    return out


@pytest.mark.parametrize("by", ["coverage", "random"])
def test_a_set_has_its_share_of_each_class_and_nothing_is_lost(by, tiny_run, judged, tmp_path):
    before = rows_of(judged, "accepted")
    choice = {"per_class": 5, "by": by, "run": str(tiny_run)}
    found = rayqc.select(str(judged), str(tmp_path / "set"), **choice)
    accepted, rejected = (rows_of(tmp_path / "set", kind) for kind in ("accepted", "rejected"))
    assert found["read"] == 300 == len(accepted) + len(rejected)
    was_accepted = {row["id"] for row in before}
    assert {row["id"] for row in accepted} <= was_accepted
    left_out = {row["id"] for row in rejected if row["reason"] == "not_selected"}
    assert left_out == was_accepted - {row["id"] for row in accepted}
    for name, row in found["sets"].items():
        of_class = [one for one in accepted if str(one["label"]) == name]
        assert len(of_class) == row["selected"] == min(5, row["accepted"])
    assert json.loads((tmp_path / "set" / "select.json").read_text()) == found
    assert (tmp_path / "set" / "_SUCCESS").exists()
    again = rayqc.select(str(judged), str(tmp_path / "again"), **choice)
    assert again["sets"] == found["sets"]
    assert [row["id"] for row in rows_of(tmp_path / "again", "accepted")] == [
        row["id"] for row in accepted
    ]


def test_of_a_large_class_it_chooses_from_a_draw_and_counts_all(
    tiny_run, judged, tmp_path, monkeypatch
):
    monkeypatch.setattr("rayqc.pipeline.select.MOST_OF_A_CLASS", 8)
    found = rayqc.select(str(judged), str(tmp_path / "set"), per_class=5, run=str(tiny_run))
    by_class: dict[str, list[str]] = {}
    for row in rows_of(judged, "accepted"):
        by_class.setdefault(str(row["label"]), []).append(row["id"])
    assert max(len(ids) for ids in by_class.values()) > 8
    for name, ids in by_class.items():
        drawn = np.array(ids)[np.argsort(chance_of(ids))][:8]
        of_class = {
            row["id"] for row in rows_of(tmp_path / "set", "accepted") if str(row["label"]) == name
        }
        assert of_class <= set(drawn) and len(of_class) == min(5, len(ids))
        assert found["sets"][name]["accepted"] == len(ids)


def test_other_work_in_the_folder_is_refused_and_words_say_why(tiny_run, judged, tmp_path):
    again, out = str(judged), str(tmp_path / "set")
    rayqc.select(again, out, per_class=1, by="coverage", run=str(tiny_run))
    with pytest.raises(ConflictError, match="per_class"):
        rayqc.select(again, out, per_class=2, by="coverage", run=str(tiny_run))
    rayqc.select(again, out, per_class=1, by="random", run=str(tiny_run), redo=True)
    page = (tmp_path / "set" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<h1>\d+ of \d+ accepted images were chosen.</h1>", page)
    assert 'id="threshold"' not in page
    (listed, *_) = rayqc.list_images(out, reasons=["not_selected"])["rows"]
    assert listed["why"] == "belongs to its class, and was not chosen for the set"


def test_it_is_measured_beside_as_many_of_the_same_images(tiny_run, judged, tmp_path, capsys):
    out = tmp_path / "set"
    words = ["select", str(judged), "--per-class", "4", "--by", "covariance", "--measure"]
    assert main([*words, "--judged-by", str(tiny_run), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "selected - random:" in said
    arms = json.loads((out / "select.json").read_text())["classify"]["arms"]
    accepted = len(rows_of(judged, "accepted"))
    chosen = len(rows_of(out, "accepted"))
    assert arms["all"]["added"] == accepted
    assert arms["random"]["added"] == arms["accepted"]["added"] == chosen < accepted
    assert len(list((out / "classify").glob("*.json"))) == 8
    again = [*words, "--judged-by", str(tiny_run), "--out", str(out)]
    dates = {path: path.stat().st_mtime_ns for path in (out / "classify").glob("*.json")}
    assert main(again) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "classify").glob("*.json")} == dates
    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    text = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(re.sub(r"steps: 10\b", "steps: 11", text))
    rayqc.select(str(judged), str(out), per_class=4, by="covariance", measure=True, run=str(other))
    now = {path: path.stat().st_mtime_ns for path in (out / "classify").glob("*.json")}
    assert len(now) == 8 and all(now[path] > dates[path] for path in now)
    rayqc.select(str(judged), str(out), per_class=2, run=str(tiny_run), redo=True)
    assert not list((out / "classify").glob("*.json"))


def test_what_cannot_be_chosen_is_said(tiny_run, tmp_path):
    out = str(tmp_path / "set")
    with pytest.raises(ConfigError, match="expected one of herding, coverage, covariance, central"):
        rayqc.select(str(tiny_run), out, per_class=5, by="best")
    with pytest.raises(ConfigError, match="per_class is 0"):
        rayqc.select(str(tiny_run), out, per_class=0, by="random")
    with pytest.raises(InputError, match="is no run"):
        rayqc.select(str(tmp_path), out, per_class=5, by="random")


def test_without_latents_only_chance_can_choose(tiny_run, tmp_path, monkeypatch):
    import rayqc.pipeline.judging as module

    monkeypatch.setattr(module, "keeps_latents", lambda settings, images: False)
    judged, out = str(tmp_path / "judged"), str(tmp_path / "set")
    rayqc.filter_pool(str(tiny_run), str(tiny_run / "pool"), judged, limit=60)
    assert "latent" not in pq.read_schema(next((tmp_path / "judged/scores").iterdir())).names
    with pytest.raises(InputError, match="kept no latents.*keep_latents=true --redo.*choose by"):
        rayqc.select(judged, out, per_class=5, by="covariance", run=str(tiny_run))
    found = rayqc.select(judged, out, per_class=5, by="random", run=str(tiny_run))
    assert all(row["set"] is None for row in found["sets"].values())
