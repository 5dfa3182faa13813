"""Intervals against their formula; the picture against what it should hold."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from rayqc.report.contact_sheet import PER_GROUP, pick
from rayqc.report.intervals import mean_interval, summarise
from rayqc.report.result import table3


def test_interval_is_students():
    found = mean_interval([1.0, 2.0, 4.0])
    assert found["mean"] == pytest.approx(7 / 3)
    assert found["half_width"] == pytest.approx(
        4.30265 * np.std([1, 2, 4], ddof=1) / np.sqrt(3), rel=1e-5
    )
    assert mean_interval([0.5]) == {"mean": 0.5, "half_width": None}


def test_differences_are_paired_by_seed():
    records = [
        {"arm": arm, "seed": seed, "accuracy": base + 0.1 * seed, "added": 7}
        for arm, base in (("real", 0.2), ("accepted", 0.5), ("random", 0.4))
        for seed in (1, 0)
    ]
    found = summarise(records)
    assert found["differences"]["accepted - random"]["mean"] == pytest.approx(0.1)
    assert found["differences"]["accepted - random"]["half_width"] == pytest.approx(0, abs=1e-9)
    assert "accepted - all" not in found["differences"]
    assert found["arms"]["real"]["accuracy"]["mean"] == pytest.approx(0.25)


def test_table_3_has_its_control_column():
    fitted = {"references": {"a": 3, "b": 5}}
    filtered = {
        "read": 10,
        "outcomes": {"accepted": 4, "rejected": 5, "error": 1},
        "by_class": {
            "a": {"accepted": 4, "rejected": 1},
            "b": {"rejected": 4},
            "": {"error": 1},
        },
        "acceptance": {},
    }
    row = table3(fitted, filtered, {})
    assert row["images_a_class"] == {"min": 3, "max": 5}
    assert (row["pool"], row["accepted"], row["before"]) == (10, 4, None)


def test_picks_are_central_borderline_and_far(rng):
    score = rng.random(60) * 2
    verdict = np.where(score <= 1, "accepted", "rejected")
    score[:2] = np.nan
    verdict[:2] = "error"
    table = pa.table(
        {
            "id": [str(i) for i in range(60)],
            "label": [i % 2 for i in range(60)],
            "score": score,
            "verdict": verdict.tolist(),
        }
    )
    central, near, far = pick(table, 1)
    mine = [i for i in range(1, 60, 2) if np.isfinite(score[i])]
    inside = sorted((i for i in mine if score[i] <= 1), key=lambda i: score[i])
    outside = sorted((i for i in mine if score[i] > 1), key=lambda i: -score[i])
    assert [int(p.id) for p in central] == inside[:PER_GROUP]
    assert [int(p.id) for p in far] == outside[:PER_GROUP]
    assert {int(p.id) for p in near} == set(
        sorted(mine, key=lambda i: abs(score[i] - 1))[:PER_GROUP]
    )
    assert pick(table, 5) == ([], [], [])


def test_the_sheet_is_a_picture(tiny_run):
    image = Image.open(io.BytesIO((tiny_run / "contact_sheet.png").read_bytes()))
    assert image.format == "PNG"
    green = (np.asarray(image) == (34, 139, 84)).all(2)
    assert green.any()
