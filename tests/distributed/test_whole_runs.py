"""Whole runs of several workers, pools and data sets."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rayqc
from rayqc.errors import InputError
from rayqc.images.encode import encode_png
from tests.conftest import shared, tiny
from tests.distributed.test_end_to_end import pool_file, rows


@pytest.mark.long
def test_stage_by_stage_with_several_workers_and_pools(ray_session, tmp_path, caplog):
    images, fresh, labels = [], [], []
    rng = np.random.default_rng(0)
    for label in range(2):
        for _ in range(6 if label else 2):  # uneven, one class small
            pixels = rng.integers(0, 90, (12, 12, 3), dtype=np.uint8)
            pixels[:, :, label] += 120
            images.append(encode_png(pixels))
            fresh.append(encode_png(pixels[::-1].copy()))
            labels.append(label)
    pool_file(tmp_path / "refs.parquet", images, labels, ("red", "green"))
    pool_file(tmp_path / "test.parquet", fresh, labels, ("red", "green"))
    pool_file(
        tmp_path / "other.parquet", images[::-1], [1 - x for x in labels[::-1]], ("green", "red")
    )
    config = rayqc.make_config(
        {
            "references": {"path": str(tmp_path / "refs.parquet")},
            "test": {"path": str(tmp_path / "test.parquet")},
            "pool": [
                {"kind": "augment", "policy": [{"name": "RandomVerticalFlip"}], "per_reference": 2},
                {"path": str(tmp_path / "other.parquet"), "name": "gan"},
            ],
            "encoder": {
                "width": 0.02,
                "steps": 12,
                "batch_size": 5,
                "latent_dim": 8,
                "allow_collapse": True,
            },
            "classify": {"seeds": 1, "steps": 10, "width": 4, "arms": ["real", "accepted"]},
            "regions": {"kind": "sphere"},
            "resources": {"train_workers": 2},
        }
    )
    run = str(tmp_path / "run")
    with pytest.raises(InputError, match="is no run"):
        rayqc.fit(run)
    assert rayqc.train(config, run)["workers"] == 2
    assert "class red has only 2 reference images" in caplog.text
    with pytest.raises(InputError, match="`filter` needs `fit` first"):
        rayqc.filter(run)
    fitted = rayqc.fit(run)
    assert fitted["references"] == {"red": 2, "green": 6}
    assert rayqc.generate(run) == {"made": 16}
    totals = rayqc.filter(run, actors=1)
    assert totals["read"] == 24
    ids = {row["id"] for row in rows(tmp_path / "run" / "filtered", "scores")}
    assert {name.partition("/")[0] for name in ids} == {"augment", "gan"}
    # The same images under permuted labels are the references themselves: inside their regions.
    gan = [r for r in rows(tmp_path / "run" / "filtered", "scores") if r["id"].startswith("gan/")]
    assert all(row["verdict"] == "accepted" for row in gan)
    # Each entry keeps its own statistic, whatever the order of entries; refilter reads it here.
    ledger = json.loads((tmp_path / "run" / "filtered" / "ledger.json").read_text())
    assert ledger["statistics"] == {
        "default": "joint",
        "by_entry": {"augment": "label", "gan": "joint"},
    }
    assert set(rayqc.classify(run)["arms"]) == {"real", "accepted"}


@pytest.mark.long
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_with_five_images_a_class_reaches_its_result(ray_session, tmp_path, name):
    data = shared(name)
    config = tiny(
        references={"kind": "files", "path": f"{data}/train-*.parquet", "per_class": 5},
        test={"path": f"{data}/test-*.parquet"},
        pool=[{"kind": "augment", "per_reference": 1}],
        classify={"seeds": 1, "steps": 10, "arms": ["real", "accepted"]},
    )
    result = rayqc.run(rayqc.make_config(config), str(tmp_path / "run"))
    assert len(result["acceptance"]["by_class"]) == (100 if name == "cifar100" else 10)
    assert result["ledger"]["read"] == (500 if name == "cifar100" else 50)
    assert (tmp_path / "run" / "result.json").exists()
