"""Listings of paths and labels as people, Hugging Face and StyleGAN write them."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rayqc.config import Data
from rayqc.errors import InputError
from rayqc.sources import open_source
from rayqc.sources.select import read_all
from tests.sources.test_folders import fill
from tests.sources.test_tar import member, png, whole, write_tar

IMAGES = ("a/1.png", "a/2.png", "b/3.png", "b/4.png")
CLASSES = ("cat", "cat", "dog", "dog")


def rows_of(path, **settings):
    """Ids and class names of a source, from units of three rows, as another process reads them."""
    source = pickle.loads(pickle.dumps(open_source(Data(path=str(path), **settings))))
    rows = []
    for unit in source.units(3):
        table = source.read(unit)
        assert table["label"].to_pylist() == source.labels(unit).tolist()
        rows += table.select(["id", "label"]).to_pylist()
    return [(row["id"], source.classes[row["label"]]) for row in rows]


def csv_of(header, images=IMAGES, labels=CLASSES, delimiter=","):
    lines = [delimiter.join(pair) for pair in zip(images, labels, strict=True)]
    return "\n".join([header, *lines]) + "\n"


TEXTS = {
    "list.csv": csv_of("image,label"),
    "bom.csv": "\ufeff" + csv_of("filename,class"),
    "windows.csv": csv_of("Path,Label", [name.replace("/", "\\") for name in IMAGES]),
    "semicolons.csv": csv_of("file_name;category", delimiter=";"),
    "CAPITAL.CSV": csv_of("image,label"),
    "crlf.csv": csv_of("image,label").replace("\n", "\r\n"),
    "list.tsv": csv_of("image\tlabel", delimiter="\t"),
    "dotted.csv": csv_of("image,label", [f"./{name}" for name in IMAGES]),
    "list.jsonl": "\n".join(
        json.dumps({"file_name": name, "label": label, "size": {"w": 1}})
        for name, label in zip(IMAGES, CLASSES, strict=True)
    ),
    "list.json": json.dumps(
        [{"image": name, "label": label} for name, label in zip(IMAGES, CLASSES, strict=True)]
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_listings_of_every_make_are_read(tmp_path, name):
    fill(tmp_path, *IMAGES)
    (tmp_path / name).write_bytes(TEXTS[name].encode())
    assert rows_of(tmp_path / name) == list(zip(IMAGES, CLASSES, strict=True))


def test_a_parquet_file_of_paths_is_a_listing_if_it_is_called_one(tmp_path):
    fill(tmp_path, *IMAGES)
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({"image": IMAGES, "label": CLASSES}), path)
    with pytest.raises(InputError, match=r"image column is string; .*`kind: listed`"):
        open_source(Data(path=str(path)))
    assert rows_of(path, kind="listed") == list(zip(IMAGES, CLASSES, strict=True))


def test_columns_are_named_by_the_settings(tmp_path):
    fill(tmp_path, *IMAGES)
    path = tmp_path / "list.csv"
    lines = [f"{name},{i},{i % 2}" for i, name in enumerate(IMAGES)]
    path.write_text("\n".join(["photo,row,species", *lines]))
    with pytest.raises(InputError, match=r"no column such as image.* set `image_column` .*photo"):
        open_source(Data(path=str(path)))
    found = rows_of(path, image_column="photo", label_column="species")
    assert [name for _, name in found] == ["0", "1", "0", "1"]
    with pytest.raises(InputError, match="no column kind .label_column in the settings."):
        open_source(Data(path=str(path), image_column="photo", label_column="kind"))
    path.write_text("image,label,class\na/1.png,1,2\n")
    with pytest.raises(InputError, match="both label and class; set `label_column`"):
        open_source(Data(path=str(path)))


def test_numbers_are_classes_in_their_order_and_gaps_have_no_label(tmp_path):
    fill(tmp_path, *IMAGES)
    path = tmp_path / "list.csv"
    path.write_text(csv_of("image,label", labels=("10.0", "", "9.0", "-1.0")))
    source = open_source(Data(path=str(path)))
    assert source.classes == ("9", "10")
    assert source.labels(source.units(9)[0]).tolist() == [1, -1, 0, -1]


def test_a_column_split_divides_the_rows(tmp_path, caplog):
    fill(tmp_path, *IMAGES)
    path = tmp_path / "list.csv"
    splits = ("Train", "val", "Train", "val")
    lines = [",".join(row) for row in zip(IMAGES, CLASSES, splits, strict=True)]
    path.write_text("\n".join(["image,label,split", *lines]))
    assert rows_of(path) == [("a/1.png", "cat"), ("b/3.png", "dog")]
    test = open_source(Data(path=str(path)), split="test")
    assert read_all(test)["id"].to_pylist() == ["a/2.png", "b/4.png"]
    assert "its split validation is taken for it" in caplog.text
    with pytest.raises(InputError, match="has no split test; it has train and validation"):
        open_source(Data(path=str(path), split="test"))


def test_hugging_faces_metadata_is_read_where_no_folders_are_classes(tmp_path):
    for split in ("train", "test"):
        folder = tmp_path / split
        folder.mkdir()
        fill(folder, "1.png", "2.png")
        (folder / "metadata.csv").write_text("file_name,label\n1.png,x\n2.png,y\n")
    assert rows_of(tmp_path) == [("train/1.png", "x"), ("train/2.png", "y")]
    assert rows_of(tmp_path, split="test") == [("test/1.png", "x"), ("test/2.png", "y")]
    with pytest.raises(InputError, match="has no split validation; it has train and test"):
        open_source(Data(path=str(tmp_path), split="validation"))


def test_class_folders_go_before_metadata_beside_them(tmp_path, caplog):
    fill(tmp_path, *IMAGES)
    (tmp_path / "metadata.csv").write_text(csv_of("file_name,label", labels=("x", "y", "x", "y")))
    assert open_source(Data(path=str(tmp_path))).classes == ("a", "b")
    assert f"metadata.csv is not read, which may hold the images' labels: give {tmp_path}" in (
        caplog.text
    )
    assert open_source(Data(path=str(tmp_path / "metadata.csv"))).classes == ("x", "y")


def test_captions_alone_change_nothing(tmp_path):
    fill(tmp_path, "a/1.png", "a/2.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na/1.png,a cat\na/2.png,a dog\n")
    assert open_source(Data(path=str(tmp_path))).classes == ("a",)


def test_labels_of_stylegan_are_read(tmp_path, caplog):
    fill(tmp_path, "00000/1.png", "00000/2.png", "00001/3.png")
    pairs = [["00000/1.png", 6], ["00000/2.png", 0], ["00001/3.png", 6]]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": pairs}))
    assert rows_of(tmp_path) == [(name, str(label)) for name, label in pairs]
    for text in ("{}", '{"labels": null}'):
        (tmp_path / "dataset.json").write_text(text)
        assert open_source(Data(path=str(tmp_path))).classes == ("00000", "00001")
        assert "dataset.json is not read" in caplog.text


def test_a_file_that_is_missing_is_its_rows_problem_and_all_missing_is_refused(tmp_path):
    fill(tmp_path, *IMAGES[1:])
    path = tmp_path / "list.csv"
    path.write_text(csv_of("image,label"))
    source = open_source(Data(path=str(path)))
    table = source.read(source.units(9)[0])
    assert table["problem"][0].as_py()["reason"] == "unreadable"
    assert table["image"].null_count == 1
    path.write_text(csv_of("image,label", [f"images/{name}" for name in IMAGES]))
    with pytest.raises(InputError, match=r"none of the 4 files .* is there, .*images/a/1\.png fir"):
        open_source(Data(path=str(path)))


def test_absolute_paths_and_folders_above_are_read(tmp_path):
    fill(tmp_path, *IMAGES)
    (tmp_path / "lists").mkdir()
    names = [str(tmp_path / IMAGES[0]), "../a/2.png", "../b/3.png", str(tmp_path / IMAGES[3])]
    path = tmp_path / "lists" / "list.csv"
    path.write_text(csv_of("image,label", names))
    assert [name for name, _ in rows_of(path)] == names


def test_rows_that_contradict_or_repeat(tmp_path, caplog):
    fill(tmp_path, *IMAGES)
    path = tmp_path / "boxes.csv"
    path.write_text("image,label\na/1.png,cat\na/1.png,cat\nb/3.png,dog\n")
    assert len(rows_of(path)) == 2
    assert "left out 1 rows of boxes.csv that list an image again" in caplog.text
    path.write_text("image,label\na/1.png,cat\na/1.png,dog\n")
    with pytest.raises(InputError, match="listed as cat and as dog; expected one class an image"):
        open_source(Data(path=str(path)))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "cannot be read|lists no images"),
        ("a.csv", "image,label\n", "lists no images: it has no rows"),
        ("a.csv", "a/1.png,cat\na/2.png,dog\n", "put such as `image,label` above it"),
        ("a.csv", "image,label\n,cat\n", "column image holds None, expected paths"),
        ("a.csv", "image,label\nhttps://x.org/1.png,cat\n", "download the images first"),
        ("a.csv", "image,label\na/1.png\n", "cannot be read"),
        ("a.csv", "image,label\na/1.png,\n", "gives no image a class"),
        ("a.jsonl", "{", "cannot be read"),
        ("a.jsonl", '{"image": "a/1.png", "label": [1, 2]}', "expected one class an image"),
        ("a.json", '{"images": [], "annotations": []}', "is no listing: expected a list of"),
        ("a.json", '{"labels": null}', "no pairs of path and label"),
    ],
)
def test_what_is_no_listing_is_said(tmp_path, name, text, message):
    fill(tmp_path, "a/1.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        open_source(Data(path=str(tmp_path / name)))


def test_a_listing_that_changes_while_it_is_worked_on_is_refused(tmp_path):
    fill(tmp_path, *IMAGES)
    path = tmp_path / "list.csv"
    path.write_text(csv_of("image,label"))
    source = open_source(Data(path=str(path)))
    unit = source.units(9)[0]
    path.write_text(csv_of("image,label", labels=CLASSES[::-1]))
    with pytest.raises(InputError, match="was changed after the work was planned"):
        pickle.loads(pickle.dumps(source)).read(unit)
    assert source.units(9)[0].fingerprint == unit.fingerprint  # this process has read it already
    again = open_source(Data(path=str(path))).units(9)[0]
    assert again.fingerprint != unit.fingerprint
    (tmp_path / IMAGES[0]).write_bytes(png(3) + b" ")
    assert open_source(Data(path=str(path))).units(9)[0].fingerprint != again.fingerprint


def test_columns_of_what_has_none_are_refused(tmp_path):
    fill(tmp_path, *IMAGES)
    for settings in ({"image_column": "x"}, {"label_column": "x"}):
        with pytest.raises(InputError, match="has no columns, so `image_column` and"):
            open_source(Data(path=str(tmp_path), **settings))
    with pytest.raises(InputError, match="kind bundled has no columns"):
        open_source(Data(kind="bundled", label_column="x"))


@pytest.mark.parametrize("encode", [list, lambda names: pa.array(names).dictionary_encode()])
def test_parquet_with_names_of_classes(tmp_path, encode):
    images, names = [png(i) for i in range(4)], ["owl", "cat", "owl", "ant"]
    table = pa.table({"photo": images, "species": encode(names), "label": [0.5] * 4})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="no image column: .* or its name as `image_column`"):
        open_source(Data(path=str(tmp_path)))
    with pytest.raises(InputError, match="label is double, expected integers or names.*species"):
        open_source(Data(path=str(tmp_path), image_column="photo"))
    source = open_source(Data(path=str(tmp_path), image_column="photo", label_column="species"))
    assert source.classes == ("ant", "cat", "owl")
    assert whole(source)["label"].to_pylist() == [2, 1, 2, 0]
    labels = [source.labels(unit) for unit in source.units(3)]
    assert np.concatenate(labels).tolist() == [2, 1, 2, 0]


def test_labels_in_json_members_by_a_named_key(tmp_path):
    members = []
    for i, name in enumerate(("cat", "dog", "cat")):
        members.append(member(f"part0/{i}.jpg", png(i)))
        about = {"meta": {"label": name}, "url": "x", "n": i, "tags": ["a"]}
        members.append(member(f"part0/{i}.json", json.dumps(about).encode()))
    path = str(write_tar(tmp_path / "a.tar", members))
    source = open_source(Data(path=path, label_column="meta.label"))
    assert source.classes == ("cat", "dog")
    assert whole(source)["label"].to_pylist() == [0, 1, 0]
    assert open_source(Data(path=path, label_column="n")).classes == ("0", "1", "2")
    with pytest.raises(InputError, match=r"no \.json member has a key nothing .`label_column`"):
        open_source(Data(path=path, label_column="nothing"))
    with pytest.raises(InputError, match=r"has \['a'\] as tags; expected a number or a name"):
        open_source(Data(path=path, label_column="tags"))


def test_the_image_of_a_sample_is_named_by_its_ending(tmp_path):
    members = [member("s.png", png(0)), member("s.seg.png", png(1)), member("s.kind", b"owl")]
    path = str(write_tar(tmp_path / "a.tar", members))
    source = open_source(Data(path=path, image_column="png", label_column="kind"))
    assert (source.classes, whole(source)["id"].to_pylist()) == (("owl",), ["a.tar/s.png"])
    masks = open_source(Data(path=path, image_column="seg.png;seg.jpg", label_column="kind"))
    assert whole(masks)["id"].to_pylist() == ["a.tar/s.seg.png"]


def test_shards_within_a_tar_are_said(tmp_path):
    path = write_tar(tmp_path / "a.tar", [member("shards/0.tar", b"x"), member("r.txt", b"x")])
    with pytest.raises(InputError, match=r"it holds shards/0\.tar and the like: unpack"):
        open_source(Data(path=str(path)))


def test_an_image_that_two_listings_name_is_refused(tmp_path):
    fill(tmp_path, *IMAGES)
    (tmp_path / "fold1.csv").write_text(csv_of("image,label"))
    (tmp_path / "fold2.csv").write_text(csv_of("image,label", IMAGES[1:3], ("dog", "dog")))
    with pytest.raises(
        InputError, match=r"a/2\.png is listed as cat in fold1.csv and as dog in fold2"
    ):
        rows_of(tmp_path / "fold*.csv")
    (tmp_path / "fold2.csv").unlink()
    assert len(rows_of(tmp_path / "fold*.csv")) == 4
    metadata = tmp_path / "both"
    flat = [name[2:] for name in IMAGES]
    fill(metadata, *flat)
    (metadata / "metadata.csv").write_text(csv_of("file_name,label", flat))
    lines = [
        json.dumps({"file_name": one, "label": two}) for one, two in zip(flat, CLASSES, strict=True)
    ]
    (metadata / "metadata.jsonl").write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"as cat in metadata.csv and as cat in metadata.jsonl"):
        rows_of(metadata)


def test_rows_of_no_split_are_left_out_with_a_line(tmp_path, caplog):
    fill(tmp_path, *IMAGES, "a/5.png", "a/6.png")
    splits = zip((*IMAGES, "a/5.png", "a/6.png"), (*CLASSES, "cat", "cat"), strict=True)
    named = ("train", "test", "Train", " test", "unlabeled", "")
    lines = [f"{one},{two},{split}" for (one, two), split in zip(splits, named, strict=True)]
    (tmp_path / "l.csv").write_text("image,label,split\n" + "\n".join(lines))
    path = Data(path=str(tmp_path / "l.csv"))
    assert [row["id"] for row in whole(open_source(path, "train")).to_pylist()] == [
        "a/1.png",
        "b/3.png",
    ]
    assert [row["id"] for row in whole(open_source(path, "test")).to_pylist()] == [
        "a/2.png",
        "b/4.png",
    ]
    line = "left out 2 rows of l.csv whose split is none of test, train, validation, a/5.png first"
    assert line in caplog.text
    (tmp_path / "m.csv").write_text("image,label\na/5.png,cat\n")
    with pytest.raises(InputError, match="some have a column `split` and some have none"):
        open_source(Data(path=str(tmp_path / "[lm].csv")))


def test_padded_numbers_are_names_as_folders_have_them(tmp_path):
    fill(tmp_path, *IMAGES)
    (tmp_path / "l.csv").write_text(csv_of("image,label", IMAGES, ("08", "09", "10", "10")))
    assert open_source(Data(path=str(tmp_path / "l.csv"))).classes == ("08", "09", "10")
    (tmp_path / "l.csv").write_text(csv_of("image,label", IMAGES, ("8.0", "9", "10", "0")))
    assert open_source(Data(path=str(tmp_path / "l.csv"))).classes == ("0", "8", "9", "10")
