"""Photographs larger than the run's size: detail is looked at, and what is only making is told."""

from __future__ import annotations

import io
import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import rayqc
from rayqc.errors import ConfigError
from rayqc.pipeline.making import Making, differences, making_of
from rayqc.storage import Folder, read_table

CLASSES = ("ring", "bar")


def picture(label, rng, width=160, height=120):
    """A grainy scene with a ring or a bar in it."""
    y, x = np.mgrid[:height, :width] / height
    middle = 0.5 + rng.uniform(-0.1, 0.1)
    if label == 0:
        shape = np.abs(np.hypot(x - 0.66, y - middle) - 0.3) < 0.07
    else:
        shape = np.abs(x - 0.66 + 0.2 * (y - middle)) < 0.08
    scene = 90 + 60 * np.sin(3 * x + rng.uniform(0, 6)) + 70 * shape
    scene = scene[..., None] + np.array([10.0, 0, -10]) + rng.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))


def encoded(image, name="JPEG", **options):
    sink = io.BytesIO()
    image.save(sink, name, **options)
    return sink.getvalue()


def soft(image):
    """A thumbnail, enlarged: at 32 pixels nothing tells it from the image."""
    small = image.resize((image.width // 3, image.height // 3), Image.Resampling.LANCZOS)
    return image.resize(image.size) if small is image else small.resize(image.size)


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


@pytest.fixture(scope="module")
def run(ray_session, tmp_path_factory):
    """A run fitted on pictures of 160 x 120, seen at 32 pixels; its pool has soft ones."""
    folder, rng = tmp_path_factory.mktemp("making"), np.random.default_rng(5)
    references = [
        {"image": encoded(picture(k, rng), quality=92), "label": CLASSES[k]}
        for k in (0, 1)
        for _ in range(16)
    ]
    pool = []
    for row in range(80):
        image = picture(row % 2, rng)
        if row >= 40:
            image = soft(image)
        pool.append({"image": encoded(image, quality=92), "label": CLASSES[row % 2]})
    config = rayqc.make_config(
        {
            "references": {"path": write(folder / "references/r.parquet", references)},
            "pool": [{"path": write(folder / "pool/p.parquet", pool), "name": "made"}],
            "image": {"size": 32},
            "encoder": {"steps": 10, "width": 0.03125, "allow_collapse": True},
            "regions": {"views": ["edges"], "folds": 4},
            "filter": {"actors": 1},
            "classify": {"arms": []},
        }
    )
    out = folder / "run"
    rayqc.run(config, str(out))
    return out


def scores(out):
    filtered = Folder(str(out))
    names = sorted(name for name in filtered.names("scores") if name.endswith(".parquet"))
    tables = [read_table(filtered, name) for name in names]
    return sorted(
        pa.concat_tables(tables).to_pylist(), key=lambda row: int(row["id"].split("#")[1])
    )


def test_detail_sees_at_full_size_what_the_small_size_does_not(run):
    rows = scores(run / "filtered")
    sharp, blurred = rows[:40], rows[40:]
    least = sorted(row["detail_evidence"] for row in blurred)[4]
    most = sorted(row["detail_evidence"] for row in sharp)[-5]
    assert least > most
    assert np.mean([row["verdict"] == "rejected" for row in blurred]) > 0.8
    assert np.mean([row["verdict"] == "accepted" for row in sharp]) > 0.8
    assert {row["reason"] for row in blurred if row["verdict"] == "rejected"} <= {
        "detail_outside_region",
        "seams_outside_region",
        "quality_outside_region",
        "label_outside_region",
    }
    assert all(row["nearness_evidence"] is None for row in rows)  # the encoder saw the references
    result = json.loads((run / "result.json").read_text())
    assert "made_otherwise" not in result["acceptance"]


def test_a_pool_of_other_size_and_format_is_told(run, tmp_path, caplog):
    rng = np.random.default_rng(8)
    rows = [
        {"image": encoded(picture(k % 2, rng, 480, 360), "PNG"), "label": CLASSES[k % 2]}
        for k in range(12)
    ]
    pool = write(tmp_path / "pool/p.parquet", rows)
    with caplog.at_level(logging.WARNING, logger="rayqc"):
        result = rayqc.filter_pool(str(run), pool, str(tmp_path / "out"))
    assert result["acceptance"]["made_otherwise"] == {
        "the pool": ["shorter sides of 360 against 120 px", "PNG against JPEG"]
    }
    (line,) = [m for m in caplog.messages if "made unlike" in m]
    assert "regions: {detail_side: 120}" in line
    assert "regions: {scores: [label, quality]}" in line


def test_a_statistic_that_the_regions_have_not_is_refused_before_any_work(run, tmp_path):
    with pytest.raises(
        ConfigError, match="no score 'nearness', only label, quality, detail, seams and"
    ):
        rayqc.filter_pool(str(run), str(run.parent / "pool"), str(tmp_path), statistic="nearness")
    assert not list(tmp_path.glob("commits/*"))


@pytest.mark.parametrize(
    ("references", "pool", "found"),
    [
        (Making(shorter_side=200, format="JPEG"), Making(shorter_side=290, format="JPEG"), []),
        (
            Making(shorter_side=200, format="JPEG"),
            Making(shorter_side=301, format="JPEG"),
            ["shorter sides of 301 against 200 px"],
        ),
        (
            Making(shorter_side=200, format="JPEG"),
            Making(shorter_side=200, format="PNG"),
            ["PNG against JPEG"],
        ),
        (Making(shorter_side=200, format="mixed"), Making(shorter_side=200, format="PNG"), []),
    ],
)
def test_what_differs(references, pool, found):
    assert differences(references, pool) == found


def test_making_is_read_from_headers(rng):
    images = [encoded(picture(0, rng, 90, 70)), b"", None, encoded(picture(1, rng, 70, 90))]
    assert making_of(images) == Making(shorter_side=70, format="JPEG")
    assert making_of([*images, encoded(picture(0, rng), "PNG")]).format == "mixed"
    assert making_of([b"", None]) is None
