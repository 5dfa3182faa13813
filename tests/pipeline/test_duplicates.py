"""Duplicates inside a pool: counted in every result, and left out of a set on request."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance

import rayqc
from rayqc.errors import ConfigError
from rayqc.pipeline.duplicates import duplicate_facts
from rayqc.storage import Folder


def encoded(image, kind):
    sink = io.BytesIO()
    image.save(sink, kind)
    return sink.getvalue()


@pytest.fixture(scope="module")
def judged(tiny_run, tmp_path_factory):
    """Twelve digits; of four of them the same file, the same pixels, a brighter one, another class.

    All are accepted.
    """
    folder = tmp_path_factory.mktemp("duplicates")
    rows = pq.read_table(next((tiny_run / "pool").rglob("*.parquet"))).slice(0, 12).to_pylist()
    images = [(Image.open(io.BytesIO(row["image"]["bytes"])), row["label"]) for row in rows[:4]]
    made = {
        "copy": [(row["image"]["bytes"], row["label"]) for row in rows[:4]],
        "pixels": [(encoded(image, "BMP"), label) for image, label in images],
        "brighter": [
            (encoded(ImageEnhance.Brightness(image).enhance(1.05), "PNG"), label)
            for image, label in images
        ],
        "relabelled": [(row["image"]["bytes"], (row["label"] + 1) % 10) for row in rows[:2]],
        "own": [(row["image"]["bytes"], row["label"]) for row in rows],
    }
    table = pa.table(
        {
            "id": [
                f"{name}-{number}" for name, some in made.items() for number in range(len(some))
            ],
            "image": [data for some in made.values() for data, _ in some],
            "label": [label for some in made.values() for _, label in some],
        }
    )
    pq.write_table(table, folder / "pool.parquet")
    rayqc.filter_pool(str(tiny_run), str(folder / "pool.parquet"), str(folder / "kept"))
    rayqc.refilter(
        str(folder / "kept"),
        str(folder / "all"),
        coverage=1.0,
        statistic="label",
        run=str(tiny_run),
    )
    return folder / "all"


def scores(folder):
    return [
        row
        for path in sorted(folder.glob("scores/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def test_they_are_counted_of_all_and_of_the_accepted(judged):
    facts = duplicate_facts(Folder(str(judged)))
    assert facts["exact"] == 4 + 4
    assert facts["near"] == 4 + 4 + 4
    assert facts["under_several_classes"] == 2
    assert facts["accepted_exact"] <= facts["accepted_near"] <= facts["near"]


def test_one_of_each_group_is_left_where_they_are_dropped(judged, tiny_run, tmp_path):
    before = [row for row in scores(judged) if row["verdict"] == "accepted"]
    for kind in ("exact", "near"):
        out = tmp_path / kind
        found = rayqc.select(str(judged), str(out), drop_duplicates=kind, run=str(tiny_run))
        after = scores(out)
        dropped = [row for row in after if row["reason"] == "duplicate"]
        kept = [row for row in after if row["verdict"] == "accepted"]
        assert len(kept) + len(dropped) == len(before)
        assert found["reasons"]["duplicate"] == len(dropped) > 0
        left = found["acceptance"] if "acceptance" in found else duplicate_facts(Folder(str(out)))
        assert left[f"accepted_{kind}"] == 0
        # The best of a group stays.
        keys = {(row["pixel_digest"], row["label"]) for row in kept}
        for row in dropped:
            twin = [one for one in kept if one["pixel_digest"] == row["pixel_digest"]]
            assert kind == "near" or min(one["score"] for one in twin) <= row["score"]
        assert kind == "near" or len({digest for digest, _ in keys}) == len(kept)
    (row, *_) = rayqc.list_images(str(tmp_path / "near"), reasons=["duplicate"])["rows"]
    assert row["why"] == "belongs to its class, and has a better copy in the set"


def test_the_page_and_the_words_tell_of_them(judged):
    page = (judged / "report.html").read_text(encoding="utf-8")
    assert "Of the pool, 2 images under several classes." in page
    assert "The accepted images as a set" in page


def test_a_kind_that_is_none_is_refused(judged, tiny_run, tmp_path):
    with pytest.raises(ConfigError, match="expected one of none, exact, near"):
        rayqc.select(str(judged), str(tmp_path / "x"), drop_duplicates="all", run=str(tiny_run))
    with pytest.raises(ConfigError, match="nothing to do"):
        rayqc.select(str(judged), str(tmp_path / "x"), run=str(tiny_run))


def test_measures_of_the_set_are_in_the_result(tiny_run, tmp_path):
    found = rayqc.refilter(str(tiny_run), str(tmp_path / "most"), coverage=1.0, statistic="label")
    facts = found["acceptance"]["kept_set"]
    result = json.loads((tiny_run / "result.json").read_text())
    assert result["acceptance"]["kept_set"].keys() == facts.keys()
    assert set(facts["sets"]) == {"accepted", "random", "pool"}
    for row in facts["sets"].values():
        assert 0 <= row["precision"] <= 1 <= row["different"]
    assert set(facts["cues"]) == {"brightness"}
    assert np.isfinite(facts["cues"]["brightness"]["accepted"])
