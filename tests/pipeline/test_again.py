"""Deciding again and looking closer: refilter and inspect on a finished run."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import rayqc
import rayqc.pipeline.run
from rayqc.errors import ConflictError, InputError
from rayqc.ledger.manifest import load_files
from rayqc.storage import Folder, read_json


def rows(folder: Path, kind: str) -> pa.Table:
    parts = load_files(Folder(str(folder))).get(kind, [])
    return pa.concat_tables([pq.read_table(folder / part.path) for part in parts])


def test_a_run_whose_training_did_not_end_has_nothing_to_decide_again(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("references: {kind: bundled}")
    with pytest.raises(InputError, match="has no encoder yet; run `rayqc train`"):
        rayqc.refilter(str(run), str(tmp_path / "out"))


def test_the_encoder_is_read_once_a_command(tiny_run, tmp_path, monkeypatch):
    """Its digest is taken over all its weights each time."""
    read = []
    load = rayqc.pipeline.run.load_encoder

    def counted(*arguments):
        read.append(arguments)
        return load(*arguments)

    monkeypatch.setattr("rayqc.pipeline.run.load_encoder", counted)
    rayqc.filter_pool(str(tiny_run), str(tiny_run / "pool"), str(tmp_path / "out"), limit=20)
    assert len(read) == 1
    rayqc.refilter(str(tiny_run), str(tmp_path / "again"))
    assert len(read) == 2


def test_the_same_coverage_gives_the_same_verdicts(tiny_run, tmp_path):
    found = rayqc.refilter(str(tiny_run), str(tmp_path / "again"))
    before, after = tiny_run / "filtered", tmp_path / "again"
    for kind in ("accepted", "rejected", "scores"):
        first, second = rows(before, kind), rows(after, kind)
        assert first.drop_columns(["score", "p_value"]).equals(
            second.drop_columns(["score", "p_value"])
        )
        np.testing.assert_allclose(first["score"], second["score"], rtol=1e-4)
        np.testing.assert_allclose(first["p_value"], second["p_value"], atol=1e-6)
    assert (
        found["outcomes"] == read_json(Folder(str(before)), "manifest.json")["totals"]["outcomes"]
    )
    assert (after / "_SUCCESS").exists()


def test_another_coverage_moves_images_and_loses_none(tiny_run, tmp_path):
    found = rayqc.refilter(str(tiny_run), str(tmp_path / "narrow"), coverage=0.7)
    before, after = tiny_run / "filtered", tmp_path / "narrow"
    assert found["outcomes"]["accepted"] < rows(before, "accepted").num_rows
    kept, turned = rows(after, "accepted"), rows(after, "rejected")
    held = {row["id"]: row["image"]["bytes"] for row in (*kept.to_pylist(), *turned.to_pylist())}
    whole = [*rows(before, "accepted").to_pylist(), *rows(before, "rejected").to_pylist()]
    assert held == {row["id"]: row["image"]["bytes"] for row in whole}
    assert len(held) == kept.num_rows + turned.num_rows == found["read"]
    assert set(kept["verdict"].to_pylist()) == {"accepted"}
    assert np.asarray(kept["score"]).max() <= 1 < np.asarray(turned["score"]).min()
    again = rayqc.refilter(str(tiny_run), str(after), coverage=0.7)
    assert again["outcomes"] == found["outcomes"]
    with pytest.raises(ConflictError, match=r"coverage: 0.7 -> 0.8"):
        rayqc.refilter(str(tiny_run), str(after), coverage=0.8)


def test_another_statistic_and_scores_only(tiny_run, tmp_path):
    out = tmp_path / "label"
    found = rayqc.refilter(str(tiny_run), str(out), statistic="label", scores_only=True)
    assert not (out / "accepted").exists()
    scores = rows(out, "scores")
    assert set(scores["decided_by"].to_pylist()) == {"label"}
    before = rows(tiny_run / "filtered", "scores")
    assert set(before["decided_by"].to_pylist()) == {"label", "quality"}
    assert found["outcomes"]["rejected"] > 0
    reasons = set(found["reasons"]) - {"inside_region"}
    assert reasons == {"label_outside_region"}
    # What was written can be decided again, by the run that judged it.
    third = rayqc.refilter(
        str(out), str(tmp_path / "third"), scores_only=True, run=str(tiny_run), coverage=0.95
    )
    assert third["outcomes"] == found["outcomes"]
    with pytest.raises(InputError, match="is no run .* --judged-by"):
        rayqc.refilter(str(out), str(tmp_path / "fourth"))


def test_acceptance_is_told_by_class_and_coverage(tiny_run):
    found = read_json(Folder(str(tiny_run)), "result.json")["acceptance"]
    scores = rows(tiny_run / "filtered", "scores")
    accepted = [row for row in scores.to_pylist() if row["verdict"] == "accepted"]
    assert found["near_copies"] == sum(row["near_copy"] for row in accepted)
    assert sum(row["accepted"] for row in found["by_class"].values()) == len(accepted)
    for row in found["by_class"].values():
        assert row["curve"] == sorted(row["curve"])
        assert row["curve"][found["coverages"].index(0.95)] == pytest.approx(row["share"])
        assert sum(row["turned_away"].values()) == row["judged"] - row["accepted"]
    with Image.open(tiny_run / "acceptance.png") as picture:
        assert picture.format == "PNG"


def test_an_image_is_explained_beside_its_references(tiny_run, tmp_path):
    some = rows(tiny_run / "filtered", "rejected").to_pylist()[0]
    place = tmp_path / "why.png"
    found = rayqc.inspect(str(tiny_run), some["id"], picture=str(place))
    for name in ("score", "distance", "radius", "p_value", "decided_by", "nearest_class"):
        assert found[name] is not None
        assert found[name] == some[name]
    references = pq.read_table(tiny_run / "references.parquet")["id"].to_pylist()
    assert found["nearest_reference"] in references
    with Image.open(place) as image:
        assert image.width > 5 * image.height / 2
        assert len(np.unique(np.asarray(image))) > 20
    with pytest.raises(InputError, match="judged no image of id or path 'nobody'"):
        rayqc.inspect(str(tiny_run), "nobody", picture=str(place))
