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
from rayqc.images.fingerprint import HASH_BYTES
from rayqc.pipeline.duplicates import (
    Prints,
    _surplus_of_accepted,
    among_accepted,
    duplicate_facts,
    near_groups_of_all,
)
from rayqc.schema import LOOK_BYTES, PIXELS_BYTES
from rayqc.storage import Folder
from rayqc.work.duplicates import near_groups


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
    # Of the accepted, copies under another class are left out by `select`, too, and so counted.
    several = facts["under_several_classes"]
    assert facts["accepted_exact"] <= facts["accepted_near"] <= facts["near"] + several


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


def prints_of(looks, accepted, labels=None):
    rows = len(looks)
    return Prints(
        id_N=np.array([None] * rows, object),
        label_N=np.zeros(rows, np.int64) if labels is None else np.array(labels),
        accepted_N=np.array(accepted),
        score_N=np.linspace(0, 1, rows).astype(np.float32),
        pixels_N=np.arange(rows * PIXELS_BYTES, dtype=np.uint8).view(f"V{PIXELS_BYTES}"),
        look_NB=np.array(looks, np.uint8),
    )


def looks_of(bits):
    """Looks of hashes that have so many of their first bits set: they lie in a chain."""
    look = np.zeros(LOOK_BYTES, np.uint8)
    look[:HASH_BYTES] = np.packbits(np.arange(8 * HASH_BYTES) < bits)
    return look


def test_a_chain_by_a_rejected_image_is_none_among_the_accepted():
    """What is counted of the accepted is what `select --drop-duplicates` leaves out."""
    step = next(
        bits
        for bits in range(64, 0, -1)
        if len({*near_groups(np.stack([looks_of(0), looks_of(bits)])).tolist()}) == 1
    )
    chain = [looks_of(0), looks_of(step), looks_of(2 * step), looks_of(0)]
    for accepted in ([1, 0, 1, 1], [1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]):
        prints = prints_of(chain, np.array(accepted, bool))
        alone = near_groups_of_all(prints[prints.accepted_N])
        found = among_accepted(prints, near_groups_of_all(prints))
        np.testing.assert_array_equal(found[:, None] == found, alone[:, None] == alone)


def test_of_like_pictures_one_stays_though_the_best_goes_as_an_exact_copy():
    """The best of class 0 has the pixels of a better image of class 1; its like is then best."""
    prints = prints_of([looks_of(0)] * 3, np.ones(3, bool), labels=[1, 0, 0])
    prints.pixels_N[1] = prints.pixels_N[0]
    exact_M, near_M = _surplus_of_accepted(prints, near_groups_of_all(prints), np.arange(3))
    assert exact_M.tolist() == [False, True, False]
    assert near_M.tolist() == [False, True, False]


def test_the_counts_are_those_that_select_leaves_out(judged, tiny_run, tmp_path):
    facts = duplicate_facts(Folder(str(judged)))
    for kind in ("exact", "near"):
        out = tmp_path / kind
        rayqc.select(str(judged), str(out), drop_duplicates=kind, run=str(tiny_run))
        dropped = [row for row in scores(out) if row["reason"] == "duplicate"]
        assert len(dropped) == facts[f"accepted_{kind}"] > 0
