"""Every layout that 0.1.0 read is read, with the ids, classes and labels that it gave."""

import gzip
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rayqc.config import Data
from rayqc.schema import candidate_table
from rayqc.sources import open_source
from tests.sources.test_tar import member, png, write_tar

NAMES = {"info": {"features": {"label": {"names": ["ant", "bee"], "_type": "ClassLabel"}}}}


def folders(root):
    for name in ("b/1.png", "a/deep/2.JPG", "a/1.png", "test/3.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(1))
    return root, [("a/1.png", "a"), ("a/deep/2.JPG", "a"), ("b/1.png", "b"), ("test/3.png", "test")]


def loose_images_beside_class_folders(root):
    folders(root)
    (root / "cover.png").write_bytes(png(2))
    return root, [*folders(root)[1][:3], ("cover.png", None), ("test/3.png", "test")]


def parquet(root, name="a.parquet", metadata=None, image="image", label="label"):
    table = pa.table({image: [{"bytes": png(i), "path": None} for i in range(3)], label: [1, 0, 1]})
    if metadata:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pq.write_table(table, root / name)


def numbered_parquet(root):
    parquet(root)
    return root / "a.parquet", [(f"a.parquet#{i}", str(k)) for i, k in enumerate((1, 0, 1))]


def named_parquet(root):
    parquet(root, metadata=NAMES)
    return root, [(f"a.parquet#{i}", k) for i, k in enumerate(("bee", "ant", "bee"))]


def cifar_columns(root):
    parquet(root, image="img", label="fine_label")
    return root, [(f"a.parquet#{i}", str(k)) for i, k in enumerate((1, 0, 1))]


def hugging_face_splits(root):
    for name in ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet"):
        parquet(root, name, NAMES)
    name = "train-00000-of-00001.parquet"
    return root, [(f"{name}#{i}", k) for i, k in enumerate(("bee", "ant", "bee"))]


def pattern(root):
    parquet(root, "x1.parquet")
    parquet(root, "y1.parquet")
    return root / "x*.parquet", [(f"x1.parquet#{i}", str(k)) for i, k in enumerate((1, 0, 1))]


def own_output(root):
    table = candidate_table(
        ("cat", "dog"),
        ids=["x/1", "y/2"],
        images=[png(1), png(2)],
        labels=np.array([1, 0]),
        sources=["s", "s"],
    )
    pq.write_table(table, root / "a.parquet")
    return root, [("x/1", "dog"), ("y/2", "cat")]


def tar_of_folders(root):
    write_tar(root / "a.tar", [member("dog/1.png", png(1)), member("cat/2.png", png(2))])
    return root, [("a.tar/dog/1.png", "dog"), ("a.tar/cat/2.png", "cat")]


def tar_of_samples(root):
    members = []
    for key, text in (("0", b"1"), ("1", b"0")):
        members += [member(f"{key}.png", png(1)), member(f"{key}.cls", text)]
    write_tar(root / "a.tar", members)
    return root / "a.tar", [("a.tar/0.png", "1"), ("a.tar/1.png", "0")]


def idx(values):
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(header + values.tobytes())


def mnist(root):
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train", "t10k"):
        (raw / f"{name}-images-idx3-ubyte.gz").write_bytes(idx(np.zeros((2, 4, 4), np.uint8)))
        (raw / f"{name}-labels-idx1-ubyte.gz").write_bytes(idx(np.array([7, 3], np.uint8)))
    return root, [("train#0", "7"), ("train#1", "3")]


LAYOUTS = (
    folders,
    loose_images_beside_class_folders,
    numbered_parquet,
    named_parquet,
    cifar_columns,
    hugging_face_splits,
    pattern,
    own_output,
    tar_of_folders,
    tar_of_samples,
    mnist,
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_it_is_read_as_before(tmp_path, layout):
    path, expected = layout(tmp_path)
    source = open_source(Data(path=str(path)))
    rows = [row for unit in source.units(2) for row in source.read(unit).to_pylist()]
    found = [(r["id"], None if r["label"] is None else source.classes[r["label"]]) for r in rows]
    assert found == expected
    assert all(row["image"]["bytes"] for row in rows)
