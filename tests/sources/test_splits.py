"""Splits are told in every layout that has them: test images are never references."""

import numpy as np
import pytest

from rayqc.config import Data
from rayqc.errors import InputError
from rayqc.images.encode import encode_png
from rayqc.sources import open_source
from rayqc.sources.select import read_all
from rayqc.sources.splits import split_of_path
from tests.sources.test_folders import fill
from tests.sources.test_sources import huggingface
from tests.sources.test_tar import member, write_tar

PNG = encode_png(np.zeros((4, 4, 1), np.uint8))
CLASSES = ("cat", "dog")


def ids(path, split="train", **data):
    return read_all(open_source(Data(path=str(path), **data), split=split))["id"].to_pylist()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("data/Test-0.parquet", "test"),
        ("my_valid.parquet", "validation"),
        ("plant-val-1.parquet", "validation"),
        ("dev/part-0.parquet", "validation"),
        ("Training/test-images.parquet", "train"),
        ("evaluation/x.parquet", "test"),
        ("trainer.parquet", None),
        ("latest.parquet", None),
        ("contest/1.parquet", None),
        ("device-0.parquet", None),
    ],
)
def test_splits_in_names(path, expected):
    assert split_of_path(path) == expected


@pytest.mark.parametrize(
    ("tops", "split", "expected"),
    [
        (("train", "test"), "train", "train"),
        (("train", "test"), "test", "test"),
        (("Training", "VAL", "Testing"), "test", "Testing"),
        (("train", "valid"), "test", "valid"),
        (("train",), "train", "train"),
        (("test",), "train", "test"),
    ],
)
def test_class_folders_below_splits(tmp_path, tops, split, expected):
    for top in tops:
        fill(tmp_path, *(f"{top}/{name}/{top}{i}.png" for name in CLASSES for i in range(2)))
    source = open_source(Data(path=str(tmp_path)), split=split)
    assert source.classes == CLASSES
    found = ids(tmp_path, split)
    assert found == [f"{expected}/{name}/{expected}{i}.png" for name in CLASSES for i in range(2)]
    labels = [label for unit in source.units(3) for label in source.labels(unit)]
    assert labels == [0, 0, 1, 1]


def test_a_class_may_be_named_as_a_split_is(tmp_path):
    fill(tmp_path, "test/1.png", "car/1.png", "car/old/2.png")
    assert open_source(Data(path=str(tmp_path))).classes == ("car", "test")


def test_splits_without_classes_are_refused(tmp_path):
    fill(tmp_path, "train/1.png", "test/1.png")
    with pytest.raises(InputError, match=r"test, train are named as splits .* SPLIT/CLASS/NAME"):
        open_source(Data(path=str(tmp_path)))


def tar_of(path, *names):
    write_tar(path, [member(name, PNG) for name in names])


def test_a_split_that_is_not_there_is_refused(tmp_path, rng):
    fill(tmp_path / "folder", "train/cat/1.png", "val/cat/1.png")
    (tmp_path / "parquet").mkdir()
    for name in ("train", "validation"):
        huggingface(tmp_path / "parquet" / f"{name}-0.parquet", rng)
    tar_of(tmp_path / "inside.tar", "train/cat/1.png", "val/cat/1.png")
    (tmp_path / "tars").mkdir()
    for name in ("train", "val"):
        tar_of(tmp_path / "tars" / f"x-{name}.tar", "cat/1.png")
    for place in ("folder", "parquet", "inside.tar", "tars"):
        path = tmp_path / place
        with pytest.raises(InputError, match="no split test; it has train and validation"):
            open_source(Data(path=str(path), split="test"))
        fresh = ids(path, split="test")
        assert fresh
        assert fresh == ids(path, split="validation")
        assert not {*fresh} & {*ids(path)}


@pytest.mark.parametrize("place", ["folder", "a.parquet", "a.tar", "labelled.tar"])
def test_a_split_that_nothing_tells_is_refused(tmp_path, rng, place):
    fill(tmp_path / "folder", "cat/1.png", "dog/1.png")
    huggingface(tmp_path / "a.parquet", rng)
    tar_of(tmp_path / "a.tar", "cat/1.png")
    write_tar(tmp_path / "labelled.tar", [member("1.png", PNG), member("1.cls", b"0")])
    with pytest.raises(InputError, match="no name of a file or folder there tells splits"):
        open_source(Data(path=str(tmp_path / place), split="train"))
    assert ids(tmp_path / place)


def test_a_tar_keeps_to_its_split_when_read_in_pieces(tmp_path):
    names = [
        f"{top}/{name}/{i}.png" for i in range(3) for top in ("train", "test") for name in CLASSES
    ]
    tar_of(tmp_path / "a.tar", *names)
    source = open_source(Data(path=str(tmp_path / "a.tar")), split="test")
    assert source.classes == CLASSES
    for most in (1, 4, 100):
        units = source.units(most)
        found = [name for unit in units for name in source.read(unit)["id"].to_pylist()]
        assert found == [f"a.tar/{name}" for name in names if name.startswith("test")]


def test_a_wrapper_is_said(tmp_path, caplog):
    fill(tmp_path, *(f"photos/{name}/{i}.png" for name in CLASSES for i in range(2)))
    assert open_source(Data(path=str(tmp_path))).classes == ("photos",)
    assert "one class, photos, and below it 2 folders: cat, dog" in caplog.text
    assert f"give {tmp_path}/photos" in caplog.text
    again = tmp_path / "again"
    fill(again, *(f"a/{name}/a/{i}.png" for name in CLASSES for i in range(2)))
    assert open_source(Data(path=str(again))).classes == ("a",)
    assert "one class, a, and below it 2 folders: cat, dog" in caplog.text


def test_references_and_test_images_that_would_be_classes_are_said(tmp_path, caplog):
    fill(tmp_path, *(f"{top}/{name}/{top}.png" for top in ("mine", "held") for name in CLASSES))
    assert open_source(Data(path=str(tmp_path))).classes == ("held", "mine")
    assert "the classes held, mine, and below each 2 folders: cat, dog" in caplog.text
    caplog.clear()
    other = tmp_path / "other"
    fill(other, "cat/indoors/1.png", "cat/outdoors/1.png", "dog/indoors/1.png", "dog/1.png")
    assert open_source(Data(path=str(other))).classes == ("cat", "dog")
    assert "below each" not in caplog.text


def test_what_systems_leave_is_no_image_and_no_class(tmp_path, caplog):
    fill(
        tmp_path,
        "cat/1.png",
        "cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.png",
        "@eaDir/x.png",
        "#recycle/cat/2.png",
        "$RECYCLE.BIN/3.png",
        "System Volume Information/4.png",
        "dog/.ipynb_checkpoints/1-checkpoint.png",
        "dog/2.JFIF",
        "dog/3.jpe",
        "dog/Thumbs.db",
    )
    (tmp_path / "void").mkdir()
    source = open_source(Data(path=str(tmp_path)))
    assert source.classes == CLASSES
    assert ids(tmp_path) == ["cat/1.png", "dog/2.JFIF", "dog/3.jpe"]
    assert "left out 1 class folders without images, void first" in caplog.text
    assert "left out 7 other files, " in caplog.text
