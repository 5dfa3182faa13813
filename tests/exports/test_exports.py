"""Exports, read by the libraries that they are for."""

import csv
import gc
import io
import json
import shutil
from pathlib import Path

import datasets
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torchvision
import webdataset
import yaml
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import to_tensor

import rayqc
from rayqc.distributed.judged_pool import pool_tables
from rayqc.errors import ConfigError, ConflictError, InputError
from rayqc.exports.files import safe_name
from rayqc.ledger.manifest import load_files
from rayqc.ledger.owner import OWNER
from rayqc.storage import Folder

TURNED_AWAY = ("rejected",)
"""The tiny run accepts hardly anything; of rejected images every class has some."""


def judged(folder: Path, kind: str) -> list[dict]:
    files = load_files(Folder(str(folder)))
    return [row for part in files[kind] for row in pq.read_table(folder / part.path).to_pylist()]


# The libraries' readers leave files to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
    "ignore:unclosed file:ResourceWarning",
)


@pytest.fixture(autouse=True)
def collected():
    """Files that readers left open are closed within the test that opened them."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def expected(tiny_run):
    return judged(tiny_run / "filtered", "rejected")


def test_class_folders_are_what_torchvision_reads(tiny_run, expected, tmp_path):
    found = rayqc.export(
        str(tiny_run), str(tmp_path / "out"), to="imagefolder", verdicts=TURNED_AWAY
    )
    assert found["images"] == len(expected) > 100
    read = ImageFolder(str(tmp_path / "out"))
    assert read.classes == [str(k) for k in range(10)]
    assert len(read) == len(expected)
    with open(tmp_path / "out" / "metadata.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [row["id"] for row in expected]
    for row, judged_as in zip(rows, expected, strict=True):
        assert row["file_name"].split("/")[0] == row["label"] == str(judged_as["label"])
        data = (tmp_path / "out" / row["file_name"]).read_bytes()
        assert data == judged_as["image"]["bytes"]


def test_equal_ids_and_gifs_lose_no_image(tiny_run, expected, tmp_path, caplog):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (shard,) = (run / "filtered" / "rejected").glob("*.parquet")
    table = pq.read_table(shard)
    sink = io.BytesIO()
    Image.new("L", (28, 28)).save(sink, "GIF")
    rows = table["image"].to_pylist()
    rows[5] = rows[6] = {"bytes": sink.getvalue(), "path": None}
    ids = table["id"].to_pylist()
    ids[:3] = ["same"] * 3
    field = table.schema.get_field_index("image")
    table = table.set_column(field, "image", pa.array(rows, table["image"].type))
    table = table.set_column(table.schema.get_field_index("id"), "id", pa.array(ids))
    labels = table["label"].to_pylist()
    labels[:3] = labels[:1] * 3
    field = table.schema.get_field_index("label")
    pq.write_table(table.set_column(field, table.schema.field(field), pa.array(labels)), shard)
    out = tmp_path / "out"
    found = rayqc.export(str(run), str(out), to="imagefolder", verdicts=TURNED_AWAY)
    with open(out / "metadata.csv", newline="") as file:
        names = [row["file_name"] for row in csv.DictReader(file)]
    assert len({*names}) == len(names) == len(expected)
    for name, row in zip(names, rows, strict=True):
        assert (out / name).read_bytes() == row["bytes"]
    assert "2 images are GIFs, which ImageFolder passes over" in caplog.text
    read = eval(found["read_with"], {"torchvision": torchvision})
    assert len(read) == len(expected)
    assert len(ImageFolder(str(out))) == len(expected) - 2


@pytest.mark.skipif(
    int(pa.__version__.partition(".")[0]) < 20,
    reason="datasets 5 with PyArrow 19 takes no column of strings for one",
)
def test_class_folders_are_what_datasets_reads(tiny_run, expected, tmp_path):
    out = str(tmp_path / "out")
    rayqc.export(str(tiny_run), out, to="imagefolder", verdicts=TURNED_AWAY)
    of_hub = datasets.load_dataset("imagefolder", data_dir=out, split="train")
    assert len(of_hub) == len(expected)


def test_an_export_goes_on_where_it_was_stopped_and_mixes_with_nothing(tiny_run, tmp_path):
    out = tmp_path / "out"
    rayqc.export(str(tiny_run), str(out), to="imagefolder", verdicts=TURNED_AWAY)
    files = sorted(path for path in out.rglob("*.png"))
    files[0].unlink()
    files[1].write_bytes(b"cut off")
    kept = files[2].stat().st_mtime_ns
    (out / "metadata.csv").unlink()
    rayqc.export(str(tiny_run), str(out), to="imagefolder", verdicts=TURNED_AWAY)
    assert sorted(path for path in out.rglob("*.png")) == files
    assert files[1].read_bytes() != b"cut off"
    assert files[2].stat().st_mtime_ns == kept
    assert (out / "metadata.csv").exists()
    assert not list(out.rglob("*.part"))
    with pytest.raises(ConflictError, match="holds another export"):
        rayqc.export(str(tiny_run), str(out), to="csv", verdicts=TURNED_AWAY)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(ConflictError, match="holds files already"):
        rayqc.export(str(tiny_run), str(tmp_path / "full"), to="hf")
    for inside in ("filtered", "filtered/accepted/kept", "kept"):
        with pytest.raises(ConflictError, match="lies in the run"):
            rayqc.export(str(tiny_run), str(tiny_run / inside), to="hf")


def test_tars_are_what_webdataset_reads(tiny_run, expected, tmp_path):
    out = tmp_path / "out"
    rayqc.export(str(tiny_run), str(out), to="webdataset", verdicts=TURNED_AWAY)
    (tar,) = out.glob("*.tar")
    samples = list(webdataset.WebDataset(str(tar), shardshuffle=False).decode("pil"))
    assert [sample["json"]["id"] for sample in samples] == [row["id"] for row in expected]
    assert [sample["cls"] for sample in samples] == [row["label"] for row in expected]
    assert samples[0]["png"].size == (28, 28)
    assert (out / "classes.txt").read_text().split() == [str(k) for k in range(10)]
    again = rayqc.check(str(out))
    assert again["decoded"] == len(expected)


def test_a_csv_names_every_image(tiny_run, expected, tmp_path):
    out = tmp_path / "out"
    rayqc.export(str(tiny_run), str(out), to="csv", verdicts=TURNED_AWAY)
    table = pd.read_csv(out / "images.csv", dtype={"label": str})
    assert list(table["id"]) == [row["id"] for row in expected]
    for name, row in zip(table["file_name"], expected, strict=True):
        assert (out / name).read_bytes() == row["image"]["bytes"]


def test_shards_for_the_hub_are_read_with_their_classes(tiny_run, tmp_path):
    out = tmp_path / "out"
    accepted = judged(tiny_run / "filtered", "accepted")
    rayqc.export(str(tiny_run), str(out), to="hf")
    read = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert read["id"][:] == [row["id"] for row in accepted]
    assert read.features["label"].names == [str(k) for k in range(10)]
    assert read[0]["image"].size == (28, 28)
    header = yaml.safe_load((out / "README.md").read_text().split("---")[1])
    assert header["configs"][0]["data_files"] == [{"split": "train", "path": "data/*.parquet"}]
    assert header["size_categories"] == ["n<1K"]


def test_the_card_says_what_was_judged(tiny_run):
    text = (tiny_run / "filtered" / "README.md").read_text()
    result = json.loads((tiny_run / "result.json").read_text())
    outcomes = result["ledger"]["outcomes"]
    assert f"{outcomes['accepted']:,} accepted, {outcomes['rejected']:,} rejected" in text
    assert result["regions"]["guarantee"]["says"] in text
    record = json.loads((tiny_run / "filtered" / "ledger.json").read_text())
    assert record["regions_digest"] in text
    for name, row in result["acceptance"]["by_class"].items():
        assert f"| {name} | {row['judged']:,} | {row['accepted']:,} | {row['share']:.1%} |" in text
    read = datasets.load_dataset(str(tiny_run / "filtered"), split="train")
    assert len(read) == outcomes["accepted"]


def test_duckdb_and_pandas_read_the_shards(tiny_run):
    pattern = str(tiny_run / "filtered" / "scores" / "*.parquet")
    counted = duckdb.sql(f"select verdict, count(*) from '{pattern}' group by verdict").fetchall()
    table = pd.read_parquet(tiny_run / "filtered" / "scores")
    assert dict(counted) == table["verdict"].value_counts().to_dict()


def test_a_data_set_of_torch_in_one_call(tiny_run):
    accepted = judged(tiny_run / "filtered", "accepted")
    read = rayqc.torch_dataset(str(tiny_run), transform=to_tensor)
    assert read.classes == [str(k) for k in range(10)]
    assert read.targets == [row["label"] for row in accepted]
    loader = torch.utils.data.DataLoader(read, batch_size=len(accepted))
    ((images, labels),) = loader
    assert images.shape == (len(accepted), 1, 28, 28)
    assert labels.tolist() == read.targets
    image, label = rayqc.torch_dataset(str(tiny_run / "filtered"))[1]
    np.testing.assert_array_equal(np.asarray(image), np.round(images[1, 0].numpy() * 255))
    assert label == read.targets[1]


def test_a_data_set_of_hugging_face_in_one_call(tiny_run):
    accepted = judged(tiny_run / "filtered", "accepted")
    read = rayqc.hf_dataset(str(tiny_run))
    assert read["label"][:] == [row["label"] for row in accepted]
    assert read[0]["image"].size == (28, 28)


def test_links_share_the_pools_bytes_and_copies_do_not(tiny_run, tmp_path):
    rows = judged(tiny_run / "filtered", "accepted")
    for row in rows:
        place = tmp_path / "pool" / str(row["label"]) / f"{row['id'].rpartition('/')[2]}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(row["image"]["bytes"])
    kept = str(tmp_path / "kept")
    rayqc.filter_pool(str(tiny_run), str(tmp_path / "pool"), kept)
    (first, *_) = judged(Path(kept), "accepted")
    for link in (True, False):
        out = tmp_path / f"out{link}"
        rayqc.export(kept, str(out), to="imagefolder", link=link)
        (written,) = (path for path in out.rglob("*.png") if path.name in safe_name(first["id"]))
        assert written.samefile(first["source"]) == link
        assert written.read_bytes() == first["image"]["bytes"]
    assert len(list((tmp_path / "outTrue").rglob("*.png"))) == len(judged(Path(kept), "accepted"))


def test_what_cannot_be_exported_is_said(tiny_run, tmp_path):
    with pytest.raises(ConfigError, match="no layout 'coco'; there are imagefolder, webdataset"):
        rayqc.export(str(tiny_run), str(tmp_path / "out"), to="coco")
    with pytest.raises(ConfigError, match="to a local folder only"):
        rayqc.export(str(tiny_run), "s3://bucket/out", to="imagefolder")
    with pytest.raises(ConfigError, match="no verdict 'good'"):
        rayqc.export(str(tiny_run), str(tmp_path / "out"), to="hf", verdicts=["good"])
    rayqc.refilter(str(tiny_run), str(tmp_path / "bare"), scores_only=True)
    with pytest.raises(InputError, match="keeps no images that are accepted"):
        rayqc.export(str(tmp_path / "bare"), str(tmp_path / "out"), to="hf")
    with pytest.raises(InputError, match="accepted [0-9]+ images and kept none of them"):
        list(
            pool_tables(
                Folder(str(tmp_path / "bare")), rayqc.load_config(str(tiny_run / "config.yaml"))
            )
        )
    rayqc.refilter(str(tiny_run), str(tmp_path / "half"), coverage=0.9)
    manifest = json.loads((tmp_path / "half" / "manifest.json").read_text())
    del manifest["files"]["rejected"]  # as filter.keep_rejected: none leaves it
    (tmp_path / "half" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="keeps no images that are rejected: settings"):
        rayqc.export(str(tmp_path / "half"), str(tmp_path / "out"), to="hf", verdicts=TURNED_AWAY)


def test_each_verdict_is_written_once_whatever_its_place(tiny_run, tmp_path):
    """The same command in another order goes on with the same export."""
    out = tmp_path / "out"
    rayqc.export(str(tiny_run), str(out), to="hf", verdicts=("accepted", "rejected"))
    files = {path: path.read_bytes() for path in sorted(out.rglob("*.parquet"))}
    found = rayqc.export(
        str(tiny_run), str(out), to="hf", verdicts=("rejected", "accepted", "rejected")
    )
    assert {path: path.read_bytes() for path in sorted(out.rglob("*.parquet"))} == files
    rows = pa.concat_tables([pq.read_table(path) for path in files])
    assert found["images"] == rows.num_rows == len(set(rows["id"].to_pylist()))


def test_an_export_that_was_killed_at_its_beginning_goes_on(tiny_run, tmp_path):
    (tmp_path / OWNER).write_text(
        json.dumps({"host": "elsewhere", "boot": "b", "pid": 7, "token": "a", "beat": 0})
    )
    assert rayqc.export(str(tiny_run), str(tmp_path), to="hf")["images"] > 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("theirs/6/a.png", "theirs__6__a.png"),
        ("train.parquet#12", "train.parquet#12"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a__b", "a_%5Fb"),
        ("a:b\n%", "a%3Ab%0A%25"),
        ("größe", "größe"),
        ("", "%"),
    ],
)
def test_names_are_safe_and_differ(text, name):
    assert safe_name(text) == name


def test_long_names_are_cut_and_still_differ():
    first, second = (safe_name(f"{number}/" + "ü" * 300) for number in (1, 2))
    assert first != second
    assert len(first.encode()) < 255
