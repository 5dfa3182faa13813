"""Judged images as a list, with reasons in words; and found by the path of a file."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import rayqc
from rayqc.errors import ConflictError, ErrorBudgetExceeded, InputError
from rayqc.ledger.judged import LISTED, why
from rayqc.ledger.manifest import load_files
from rayqc.storage import Folder


def judged(folder: Path, kind: str = "scores") -> list[dict]:
    files = load_files(Folder(str(folder)))
    return [row for part in files[kind] for row in pq.read_table(folder / part.path).to_pylist()]


@pytest.fixture(scope="module")
def folder_pool(tiny_run, tmp_path_factory):
    """A pool in class folders, judged by the tiny run: some of its own images, and a broken one."""
    root = tmp_path_factory.mktemp("pool")
    for row in judged(tiny_run / "filtered", "accepted")[:12]:
        place = root / "images" / str(row["label"]) / f"{row['id'].partition('/')[2]}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(row["image"]["bytes"])
    (root / "images" / "3").mkdir(exist_ok=True)
    (root / "images" / "3" / "broken.png").write_bytes(b"no image")
    for label in ("3", "4"):
        sink = io.BytesIO()
        noise = np.random.default_rng(int(label)).integers(0, 256, (28, 28), dtype=np.uint8)
        Image.fromarray(noise).save(sink, "PNG")
        (root / "images" / label).mkdir(exist_ok=True)
        (root / "images" / label / "same.png").write_bytes(sink.getvalue())
    with pytest.raises(ErrorBudgetExceeded):  # the broken one; all is written
        rayqc.filter_pool(str(tiny_run), str(root / "images"), str(root / "kept"))
    return root


def test_every_image_of_a_verdict_is_listed_with_its_class_and_why(tiny_run, tmp_path):
    rows = judged(tiny_run / "filtered")
    expected = [row["id"] for row in rows if row["verdict"] == "rejected"]
    found = rayqc.list_images(str(tiny_run), verdicts=["rejected"], csv=str(tmp_path / "r.csv"))
    assert [row["id"] for row in found["rows"]] == expected
    assert found["count"] == len(expected)
    by_id = {row["id"]: row for row in rows}
    for row in found["rows"]:
        judged_as = by_id[row["id"]]
        assert row["class"] == str(judged_as["label"])
        if row["reason"] == "label_outside_region":
            nearest = judged_as["nearest_class"]
            assert row["why"] == f"looks like {nearest} rather than {row['class']}"
            assert row["looks_like"] == nearest != row["class"]
        else:
            assert row["why"].startswith("is not made like images of")
            assert row["looks_like"] == row["class"]
    assert {row["reason"] for row in found["rows"]} == {
        "label_outside_region",
        "quality_outside_region",
    }
    with open(tmp_path / "r.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == expected
    assert list(lines[0]) == LISTED.names
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]
    (tmp_path / "config.yaml").write_text("mine")
    with pytest.raises(ConflictError, match="exists and is no CSV by its name"):
        rayqc.list_images(str(tiny_run), csv=str(tmp_path / "config.yaml"))
    assert (tmp_path / "config.yaml").read_text() == "mine"


def test_a_list_is_picked_by_class_and_reason(tiny_run):
    rows = judged(tiny_run / "filtered")
    found = rayqc.list_images(
        str(tiny_run / "filtered"), classes=["3", "5"], reasons=["label_outside_region"]
    )
    expected = [
        row["id"]
        for row in rows
        if row["label"] in (3, 5) and row["reason"] == "label_outside_region"
    ]
    assert [row["id"] for row in found["rows"]] == expected != []
    few = rayqc.list_images(str(tiny_run), first=2)
    assert len(few["rows"]) == 2
    assert few["count"] == len(rows)
    with pytest.raises(InputError, match="no reason 'label_outside'; did you mean 'label_outside_"):
        rayqc.list_images(str(tiny_run), reasons=["label_outside"])
    with pytest.raises(InputError, match="has no class 'three'"):
        rayqc.list_images(str(tiny_run), classes=["three"])
    with pytest.raises(InputError, match="holds no finished filter"):
        rayqc.list_images(str(tiny_run / "pool"))


def test_what_could_not_be_read_is_listed_in_the_decoders_words(folder_pool):
    found = rayqc.list_images(str(folder_pool / "kept"), verdicts=["error"])
    (row,) = found["rows"]
    assert row["id"].endswith("3/broken.png")
    assert row["source"] == str(folder_pool / "images" / "3" / "broken.png")
    assert row["class"] == "3"
    assert row["score"] is None
    assert row["why"].startswith("unsupported format: ")


def test_an_image_is_found_by_the_path_of_its_file(folder_pool, tiny_run, tmp_path, monkeypatch):
    kept, picture = str(folder_pool / "kept"), str(tmp_path / "why.png")
    path = folder_pool / "images" / "4" / "same.png"
    found = rayqc.inspect(kept, str(path), run=str(tiny_run), picture=picture)
    assert found["source"] == str(path)
    assert found["class"] == "4"
    monkeypatch.chdir(folder_pool)
    again = rayqc.inspect(kept, "images/4/same.png", run=str(tiny_run), picture=picture)
    assert again["id"] == found["id"]
    with pytest.raises(InputError, match=r"judged several images 'same.png': .*; give one's id"):
        rayqc.inspect(kept, "same.png", run=str(tiny_run), picture=picture)
    with pytest.raises(InputError, match="judged no image of id or path '/nowhere/else.png'"):
        rayqc.inspect(kept, "/nowhere/else.png", run=str(tiny_run), picture=picture)


def test_reasons_have_words_for_every_verdict():
    row = {"verdict": "rejected", "nearest_class": "dog", "message": None}
    assert why({**row, "reason": "label_outside_region"}, "cat") == "looks like dog rather than cat"
    assert why({**row, "reason": "distance_outside_region"}, "cat") == "lies too far from cat"
    assert "enough" in why({**row, "reason": "over_cap"}, "cat")
    assert why({"verdict": "accepted", "reason": "inside_region"}, "cat") == "belongs to its class"
    bad = {"verdict": "error", "reason": "too_large", "message": "9 bytes, limit 4"}
    assert why(bad, None) == "too large: 9 bytes, limit 4"
