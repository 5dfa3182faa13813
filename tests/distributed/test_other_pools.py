"""Pools that a run did not make, judged by it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.config import Data
from rayqc.errors import ErrorBudgetExceeded
from rayqc.images.encode import encode_png
from rayqc.sources import open_source
from tests.distributed.test_end_to_end import pool_file, rows


@pytest.fixture
def odd_pool(tiny_run, tmp_path):
    """Good images under other label numbers, and one each of what can go wrong."""
    source = rows(tiny_run, "pool")
    nines = [row["image"]["bytes"] for row in source if row["label"] == 9][:6]
    small = encode_png(np.zeros((5, 9, 3), np.uint8))
    pool_file(
        tmp_path / "pool.parquet",
        [*nines, b"broken", None, small, nines[0], nines[0], nines[0]],
        [0] * 6 + [0, 0, 0, 1, None, -1],
        ("9", "weasel"),
    )
    return tmp_path / "pool.parquet"


def test_another_pool_is_matched_by_name_and_loses_nothing(tiny_run, odd_pool, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ErrorBudgetExceeded, match="5 of 12 images could not be judged"):
        rayqc.filter_pool(str(tiny_run), str(odd_pool), str(out))
    wrong = {row["id"]: row for row in rows(out, "errors")}
    reasons = {
        "pool.parquet#6": "unsupported_format",
        "pool.parquet#7": "empty",
        "pool.parquet#9": "unknown_class",
        "pool.parquet#10": "no_label",
        "pool.parquet#11": "no_label",
    }
    assert {name: row["reason"] for name, row in wrong.items()} == reasons
    assert all(row["message"] and row["score"] is None for row in wrong.values())
    assert wrong["pool.parquet#6"]["image"]["bytes"] == b"broken"
    judged = rows(out, "accepted") + rows(out, "rejected")
    assert {row["label"] for row in judged} == {9}
    mine = {row["id"]: row["score"] for row in rows(tiny_run / "filtered", "scores")}
    pool = [row for row in rows(tiny_run, "pool") if row["label"] == 9][:6]
    for number, row in enumerate(pool):
        found = next(one for one in judged if one["id"] == f"pool.parquet#{number}")
        assert found["score"] == pytest.approx(mine[row["id"]], rel=1e-3, abs=2e-5)
    # Written whole all the same, and a second call finds it so.
    assert (out / "_SUCCESS").exists()
    with pytest.raises(ErrorBudgetExceeded):
        rayqc.filter_pool(str(tiny_run), str(odd_pool), str(out))


def test_a_folder_of_class_folders_is_a_pool(tiny_run, tmp_path):
    pool = tmp_path / "pool"
    source = rows(tiny_run, "pool")
    for number, row in enumerate(source[::7]):
        place = pool / str(row["label"]) / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(row["image"]["bytes"])
    totals = rayqc.filter_pool(str(tiny_run), str(pool), str(tmp_path / "out"), limit=20)
    assert totals["read"] == 20
    found = rows(tmp_path / "out", "scores")
    mine = {row["id"]: row["verdict"] for row in rows(tiny_run / "filtered", "scores")}
    for row in found:
        number = int(row["id"].partition("/")[2].removesuffix(".png"))
        assert row["verdict"] == mine[source[::7][number]["id"]]


def test_what_rayqc_wrote_has_one_split(tiny_run):
    found = rayqc.check(str(tiny_run / "pool"))
    assert list(found["sections"]) == ["train"]
    assert (found["images"], found["duplicates"]["across"]) == (len(rows(tiny_run, "pool")), {})


def test_images_of_the_run_itself_in_a_pool_are_told(tiny_run, tmp_path, caplog):
    references = pq.read_table(tiny_run / "model" / "references.parquet").to_pylist()[:3]
    test_source = open_source(Data(kind="bundled"), split="test")
    tests = test_source.read(test_source.units(2)[0]).to_pylist()
    fresh = rows(tiny_run, "pool")[:1]
    images = [row["image"]["bytes"] for row in (*references, *tests, *fresh)]
    labels = [row["label"] for row in (*references, *tests, *fresh)]
    pool_file(tmp_path / "pool.parquet", images, labels, tuple(map(str, range(10))))
    found = rayqc.filter_pool(str(tiny_run), str(tmp_path / "pool.parquet"), str(tmp_path / "out"))
    assert found["acceptance"]["same_as_reference"] == 3
    assert found["acceptance"]["same_as_test"] == 2
    assert "2 images of the pool have the bytes of test images" in caplog.text
    said = {row["id"]: row["message"] for row in rows(tmp_path / "out", "scores")}
    assert said["pool.parquet#1"] == f"has the bytes of reference {references[1]['id']}"
    assert said["pool.parquet#4"] == f"has the bytes of test image {tests[1]['id']}"
    assert said["pool.parquet#5"] is None
    own = json.loads((tiny_run / "result.json").read_text())["acceptance"]
    assert own["same_as_test"] == 0
