"""Tars, folders and downloads as other tools make them: read, refused or spoken of, never mixed."""

import re
import struct

import numpy as np
import pytest

from rayqc.config import Data
from rayqc.errors import InputError
from rayqc.sources import open_source
from tests.sources.test_splits import ids
from tests.sources.test_tar import member, png, whole, write_tar


def test_dotted_keys_of_webdataset_go_together(tmp_path):
    members = []
    for i in range(4):
        members.append(member(f"s{i}.input.png", png(i)))
        members.append(member(f"s{i}.target.cls", str(i % 2).encode()))
    source = open_source(Data(path=str(write_tar(tmp_path / "a.tar", members))))
    assert source.classes == ("0", "1")
    assert whole(source)["label"].to_pylist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("image", "mask"),
    [("s.png", "s.seg.png"), ("s.jpg", "s.png"), ("s.image.png", "s.mask.png")],
)
def test_a_mask_beside_its_image_is_refused(image, mask, tmp_path):
    members = [member(mask, png(0)), member(image, png(1)), member("s.cls", b"0")]
    path = write_tar(tmp_path / "a.tar", members)
    found = " and ".join(map(re.escape, (mask, image) if image == "s.jpg" else (image, mask)))
    with pytest.raises(InputError, match=rf"{found} share the label s\.cls"):
        open_source(Data(path=str(path)))
    ending = image.partition(".")[2]
    assert ids(path, image_column=ending) == [f"a.tar/{image}"]


def test_labels_in_json_need_the_name_of_their_key(tmp_path):
    path = write_tar(
        tmp_path / "a.tar", [member("part0/s.png", png(0)), member("part0/s.json", b"{}")]
    )
    with pytest.raises(InputError, match=r"\.json members .* name their key as `label_column`"):
        open_source(Data(path=str(path)))


def test_a_wrapper_in_a_tar_is_said(tmp_path, caplog):
    names = [f"photos/{name}/{i}.png" for name in ("cat", "dog") for i in range(2)]
    path = write_tar(tmp_path / "a.tar", [member(name, png(0)) for name in names])
    open_source(Data(path=str(path)))
    assert "below it 2 folders: cat, dog" in caplog.text
    assert "make the tar from within that folder" in caplog.text


def idx(values):
    shape = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()


def download(folder, train, test, first=0):
    folder.mkdir(parents=True)
    for name in (train, test):
        images, labels = np.zeros((4, 6, 6), np.uint8), np.arange(first, first + 4, dtype=np.uint8)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))


def test_emnist_is_read(tmp_path):
    download(tmp_path / "raw", "emnist-letters-train", "emnist-letters-test", first=23)
    assert len(open_source(Data(path=str(tmp_path))).classes) == 27
    assert ids(tmp_path, split="test") == [f"test#{row}" for row in range(4)]


def test_two_data_sets_below_one_folder_are_refused(tmp_path):
    for name in ("MNIST", "FashionMNIST"):
        download(tmp_path / name / "raw", "train", "t10k")
    with pytest.raises(InputError, match=r"found 2 files of one kind, FashionMNIST/.* and MNIST/"):
        open_source(Data(path=str(tmp_path)))
    assert ids(tmp_path / "MNIST")
