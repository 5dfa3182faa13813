"""Every kind of source reads what it should, row for row, and refuses the rest clearly."""

import gzip
import pickle
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rayqc.config import Data
from rayqc.errors import InputError
from rayqc.images.decode import Limits, decode_native
from rayqc.images.encode import encode_png
from rayqc.schema import candidate_schema, candidate_table, class_names
from rayqc.sources import detect, open_source
from rayqc.sources.rows import RowReader
from rayqc.sources.select import match_labels, read_all, select_references
from rayqc.storage import Folder
from rayqc.units import number
from rayqc.work.latent_columns import latent_matrix
from tests.conftest import shared


def pixels(rng, count, side=6, channels=1):
    return rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def decoded(table):
    data = table["image"].combine_chunks().field("bytes").to_pylist()
    return np.stack([decode_native(one, Limits()) for one in data])


def whole(source, most_rows=4):
    return pa.concat_tables([source.read(unit) for unit in source.units(most_rows)])


def write_idx(folder, images, labels, prefix="train", zipped=False):
    for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        data = head + array.astype(np.uint8).tobytes()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{prefix}-{name}{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(data) if zipped else data)


@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_as_torchvision_downloads_it(tmp_path, rng, zipped):
    images, labels = pixels(rng, 7, 28), rng.integers(0, 10, 7)
    write_idx(tmp_path / "MNIST" / "raw", images[..., 0], labels, "train", zipped)
    write_idx(tmp_path / "MNIST" / "raw", images[:2, ..., 0], labels[:2], "t10k", zipped)
    assert detect(str(tmp_path)) == "mnist"
    source = open_source(Data(path=str(tmp_path)))
    table = whole(source)
    np.testing.assert_array_equal(decoded(table), images)
    np.testing.assert_array_equal(table["label"], labels)
    assert source.classes == tuple("0123456789")
    assert whole(open_source(Data(path=str(tmp_path)), "test")).num_rows == 2


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
def test_cifar_as_torchvision_downloads_it(tmp_path, rng, kind):
    images = pixels(rng, 10, 32, 3)
    flat = images.transpose(0, 3, 1, 2).reshape(10, 3072)
    labels = rng.integers(0, 2, 10).tolist()
    key, names = (
        (b"labels", b"label_names") if kind == "cifar10" else (b"fine_labels", b"fine_label_names")
    )
    folder = tmp_path / ("cifar-10-batches-py" if kind == "cifar10" else "cifar-100-python")
    folder.mkdir()
    parts = [f"data_batch_{i}" for i in range(1, 6)] if kind == "cifar10" else ["train"]
    step = 10 // len(parts)
    for i, name in enumerate(parts):
        rows = slice(i * step, (i + 1) * step)
        batch = {b"data": flat[rows], key: labels[rows]}
        # As numpy 1 and Python 2 wrote them.
        old = pickle.dumps(batch, protocol=2).replace(b"numpy._core", b"numpy.core")
        (folder / name).write_bytes(old)
    meta = "batches.meta" if kind == "cifar10" else "meta"
    (folder / meta).write_bytes(pickle.dumps({names: [b"cat", b"dog"]}, protocol=2))
    assert detect(str(tmp_path)) == kind
    source = open_source(Data(path=str(tmp_path)))
    table = whole(source)
    np.testing.assert_array_equal(decoded(table), images)
    assert table["label"].to_pylist() == labels
    assert source.classes == ("cat", "dog")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return eval, ("1",)

    for i in range(1, 6):
        (tmp_path / f"data_batch_{i}").write_bytes(pickle.dumps({b"data": Bomb()}))
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"a"]}))
    with pytest.raises(InputError, match=r"refused to load builtins\.eval"):
        open_source(Data(kind="cifar10", path=str(tmp_path)))


def test_class_folders(tmp_path, rng, caplog):
    images = pixels(rng, 5)
    names = ["dog/b.png", "dog/deep/a.png", "cat/x.PNG", "cat/y.png", "dog/c#1 ü.png"]
    for name, image in zip(names, images, strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encode_png(image))
    (tmp_path / "loose.png").write_bytes(encode_png(images[0]))
    (tmp_path / "notes.txt").write_text("no image")
    source = open_source(Data(path=str(tmp_path)))
    assert source.classes == ("cat", "dog")
    table = whole(source, 2)
    by_id = dict(zip(table["id"].to_pylist(), range(6), strict=True))
    assert set(by_id) == {*names, "loose.png"}
    for name, image in zip(names, images, strict=True):
        row = by_id[name]
        np.testing.assert_array_equal(decoded(table)[row], image)
        assert source.classes[table["label"][row].as_py()] == name.partition("/")[0]
    assert table["label"][by_id["loose.png"]].as_py() is None
    assert "left out 1 other files, notes.txt first" in caplog.text
    assert read_all(source).num_rows == 5


def huggingface(path, rng, count=10, image="image", label="label", names=("a", "b"), labels=None):
    images = pixels(rng, count)
    labels = np.arange(count) % len(names) if labels is None else np.array(labels)
    schema = candidate_schema(names)
    table = pa.table(
        {image: [{"bytes": encode_png(one), "path": None} for one in images], label: labels}
    ).cast(pa.schema([pa.field(image, schema.field("image").type), pa.field(label, pa.int64())]))
    metadata = {k: v.replace(b'"label"', f'"{label}"'.encode()) for k, v in schema.metadata.items()}
    metadata.pop(b"rayqc_schema")
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=3)
    return images, labels


@pytest.mark.parametrize("columns", [("image", "label"), ("img", "fine_label")])
def test_huggingface_parquet(tmp_path, rng, columns):
    images, labels = huggingface(tmp_path / "train-0.parquet", rng, 10, *columns)
    for path in (tmp_path, tmp_path / "train-0.parquet", tmp_path / "tr*.parquet"):
        source = open_source(Data(path=str(path)))
        assert source.classes == ("a", "b")
        for most in (1, 4, 100):
            table = whole(source, most)
            np.testing.assert_array_equal(decoded(table), images)
            np.testing.assert_array_equal(table["label"], labels)
            assert table["id"].to_pylist() == [f"train-0.parquet#{row}" for row in range(10)]
        for unit in source.units(4):
            np.testing.assert_array_equal(source.labels(unit), source.read(unit)["label"])


def test_a_sample_is_exact_and_independent_of_units(tmp_path, rng):
    huggingface(tmp_path / "a.parquet", rng, 10)
    huggingface(tmp_path / "b.parquet", rng, 7)
    source = open_source(Data(path=str(tmp_path)))
    for limit in (1, 5, 16, 17, 99):
        found = {
            tuple(
                name
                for unit in number(source.units(most), limit)
                for name in source.read(unit)["id"].to_pylist()
            )
            for most in (1, 3, 100)
        }
        assert len(found) == 1
        assert len(found.pop()) == min(limit, 17)


def test_the_bundled_digits_are_split_for_good():
    train, test = (open_source(Data(kind="bundled"), split) for split in ("train", "test"))
    a, b = read_all(train), read_all(test)
    assert np.bincount(a["label"]).tolist() == [400] * 10
    assert np.bincount(b["label"]).tolist() == [100] * 10
    images_a = {one["bytes"] for one in a["image"].to_pylist()}
    images_b = {one["bytes"] for one in b["image"].to_pylist()}
    assert not images_a & images_b
    assert decoded(b).shape == (1000, 28, 28, 1)
    assert decoded(b).max() == 255


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_shared_data(name):
    source = open_source(Data(path=f"{shared(name)}/test-*.parquet"))
    classes = 100 if name == "cifar100" else 10
    assert len(source.classes) == classes
    table = select_references(source, 2, seed=0)
    assert np.bincount(table["label"]).tolist() == [2] * classes
    assert decoded(table).shape == (2 * classes, *((28, 28, 1) if name == "mnist" else (32, 32, 3)))


def test_references_are_drawn_by_class_and_seed(tmp_path, rng, caplog):
    huggingface(tmp_path / "a.parquet", rng, 40)
    source = open_source(Data(path=str(tmp_path)))
    first = select_references(source, 5, seed=1)
    assert first["id"].to_pylist() == select_references(source, 5, seed=1)["id"].to_pylist()
    assert first["id"].to_pylist() != select_references(source, 5, seed=2)["id"].to_pylist()
    assert np.bincount(first["label"]).tolist() == [5, 5]
    assert select_references(source, None, 0).num_rows == 40
    assert "asked for" not in caplog.text
    assert np.bincount(select_references(source, 99, 0)["label"]).tolist() == [20, 20]
    assert "class a has 20 images, asked for 99" in caplog.text
    select_references(source, 2, 0)
    assert "class b has only 2 reference images" in caplog.text


def test_classes_that_have_images_are_the_classes(tmp_path, rng, caplog):
    huggingface(tmp_path / "a.parquet", rng, 4, names=("void", "a", "b", "none"), labels=[1, 2] * 2)
    table = select_references(open_source(Data(path=str(tmp_path))), 1, 0)
    assert class_names(table.schema, "label") == ("a", "b")
    assert table["label"].to_pylist() == [0, 1]
    assert "2 of 4 named classes have images and are the classes; none of void, none" in caplog.text


def test_no_labelled_references_are_an_error(tmp_path):
    table = pa.table({"image": [b"x"], "label": pa.array([-1], pa.int64())})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="no reference images"):
        select_references(open_source(Data(path=str(tmp_path))), None, 0)


def test_labels_are_matched_by_name(tmp_path, rng):
    huggingface(tmp_path / "a.parquet", rng, 4, names=("b", "a"))
    table = whole(open_source(Data(path=str(tmp_path))))
    assert match_labels(table, ("b", "a"), ("a", "b"))["label"].to_pylist() == [1, 0, 1, 0]
    with pytest.raises(InputError, match="test images of class a have no references"):
        match_labels(table, ("b", "a"), ("b", "c"))


def test_one_image_file_is_no_source(tmp_path):
    (tmp_path / "1.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"1\.png is one file, and no list of images; .* folder"):
        open_source(Data(path=str(tmp_path / "1.png")))


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match="no images at .*nowhere is missing or empty"):
        open_source(Data(path=str(tmp_path / "nowhere")))
    with pytest.raises(InputError, match="no Parquet files at"):
        open_source(Data(path=str(tmp_path / "x-*.parquet")))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InputError, match=r"broken\.parquet is not readable Parquet"):
        open_source(Data(path=str(tmp_path)))
    pq.write_table(pa.table({"x": [1]}), tmp_path / "broken.parquet")
    with pytest.raises(
        InputError, match="has no image column: found x; expected one called image or img"
    ):
        open_source(Data(path=str(tmp_path)))
    pq.write_table(pa.table({"image": ["s"], "label": [1]}), tmp_path / "broken.parquet")
    with pytest.raises(InputError, match="image column is string"):
        open_source(Data(path=str(tmp_path)))
    (tmp_path / "broken.parquet").unlink()
    (tmp_path / "loose.png").write_bytes(b"")
    with pytest.raises(InputError, match="no class folders with images"):
        open_source(Data(path=str(tmp_path)))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\x09\1")
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(InputError, match="not an IDX file of bytes"):
        open_source(Data(path=str(tmp_path)))


@pytest.mark.parametrize("group", [1, 7, 1000])
@pytest.mark.parametrize("by_url", [False, True])
def test_row_ranges_in_any_order(tmp_path, rng, group, by_url):
    table = pa.table({"n": np.arange(2000), "s": [str(i) for i in range(2000)]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=group)
    location = f"file://{tmp_path}" if by_url else str(tmp_path)
    reader = RowReader(pq.ParquetFile(Folder(location).open("t.parquet")), ["n"])
    ranges = [(0, 10), (10, 600), (600, 601), (1500, 2000), (3, 1999), (1999, 2000), (0, 2000)]
    for a, b in [*ranges, *(sorted(rng.choice(2000, 2, replace=False)) for _ in range(20))]:
        assert reader.read(int(a), int(b))["n"].to_pylist() == list(range(a, b))


def test_files_that_do_not_belong_together_are_refused(tmp_path, rng):
    huggingface(tmp_path / "a.parquet", rng, 4, names=("cat", "dog"))
    huggingface(tmp_path / "b.parquet", rng, 4, names=("dog", "cat"))
    with pytest.raises(InputError, match=r"b\.parquet and .*a\.parquet differ in columns or class"):
        open_source(Data(path=str(tmp_path)))
    huggingface(tmp_path / "b.parquet", rng, 4, image="img", names=("cat", "dog"))
    with pytest.raises(InputError, match="differ in columns"):
        open_source(Data(path=str(tmp_path)))


def test_a_star_stays_in_its_folder(tmp_path, rng):
    (tmp_path / "sub").mkdir()
    huggingface(tmp_path / "a.parquet", rng, 4)
    huggingface(tmp_path / "sub" / "b.parquet", rng, 4)
    assert open_source(Data(path=str(tmp_path / "*.parquet"))).files == ("a.parquet",)
    both = open_source(Data(path=str(tmp_path / "**.parquet"))).files
    assert both == ("a.parquet", "sub/b.parquet")


def test_units_are_bounded_by_bytes_too(tmp_path, rng, monkeypatch):
    huggingface(tmp_path / "a.parquet", rng, 40)
    monkeypatch.setattr("rayqc.sources.parquet_file.UNIT_BYTES", 1000)
    source = open_source(Data(path=str(tmp_path)))
    units = source.units(1000)
    assert len(units) > 3
    assert sum(unit.stop - unit.start for unit in units) == 40


def test_images_without_a_label_are_left_out_of_real_ones(tmp_path, caplog):
    png = encode_png(np.zeros((4, 4, 1), np.uint8))
    pq.write_table(pa.table({"image": [png] * 3, "label": [0, -1, 1]}), tmp_path / "a.parquet")
    assert read_all(open_source(Data(path=str(tmp_path))))["label"].to_pylist() == [0, 1]
    assert "left out 1 images without a label" in caplog.text


def test_what_is_in_memory_anyway_is_never_too_large(tmp_path, rng):
    write_idx(tmp_path / "mnist", pixels(rng, 3, 28)[..., 0], rng.integers(0, 10, 3))
    huggingface(tmp_path / "a.parquet", rng, 3)
    for path in (tmp_path / "mnist", tmp_path / "a.parquet"):
        source = open_source(Data(path=str(path)))
        (unit,) = source.units(3)
        assert source.read(unit, max_bytes=1).equals(source.read(unit))


def test_a_folder_of_files_named_by_splits_gives_the_one_asked_for(tmp_path, rng, caplog):
    def write(name, count):
        images = [{"bytes": encode_png(one), "path": None} for one in pixels(rng, count)]
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        pq.write_table(pa.table({"image": images, "label": [0] * count}), tmp_path / name)

    def counts(path="", **data):
        source = Data(path=str(tmp_path / path), **data)
        return [whole(open_source(source, split)).num_rows for split in ("train", "test")]

    write("a/train-00000-of-00001.parquet", 3)
    assert counts("a") == [3, 3]
    write("a/test-00000-of-00001.parquet", 2)
    with caplog.at_level("WARNING"):
        assert counts("a") == [3, 2]
    line = "left out 1 files of other splits than train, test-00000"
    assert line in caplog.text
    assert counts("a", split="test") == [2, 2]
    assert counts("a") == [3, 2] and caplog.text.count(line) == 1
    assert counts("a/*.parquet") == [5, 5]
    write("a/validation-00000-of-00001.parquet", 4)
    assert counts("a") == [3, 2]
    write("a/more.parquet", 1)
    with pytest.raises(InputError, match="train, validation, test.* some tell none, so that"):
        counts("a")
    assert counts("a", split="train") == [3, 3]
    write("b/train/0.parquet", 5)
    write("b/test/0.parquet", 6)
    assert counts("b") == [5, 6]


def test_ids_of_several_runs_stay_apart(tmp_path, rng):
    images = [encode_png(one) for one in pixels(rng, 2)]
    table = candidate_table(
        ("a",), ids=["gan/1", "gan/2"], images=images, labels=[0, 0], sources=["gan", "gan"]
    )
    for run in ("one", "two"):
        for kind in ("accepted", "rejected"):
            path = tmp_path / run / "filtered" / kind / "train-00000-of-00001.parquet"
            path.parent.mkdir(parents=True)
            pq.write_table(table, path)

    def ids(pattern):
        return read_all(open_source(Data(path=f"{tmp_path}/{pattern}")))["id"].to_pylist()

    assert ids("one/filtered/accepted/*.parquet") == ["gan/1", "gan/2"]
    assert ids("*/filtered/accepted/*.parquet") == [
        "one/filtered/gan/1",
        "one/filtered/gan/2",
        "two/filtered/gan/1",
        "two/filtered/gan/2",
    ]
    rounds = tmp_path / "until" / "rounds"
    for round_number, name in enumerate(("a", "b")):
        path = rounds / f"000{round_number}" / "accepted" / "train-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table.set_column(0, "id", pa.array([f"{name}/1", f"{name}/2"])), path)
    assert ids("until/**/*.parquet") == ["a/1", "a/2", "b/1", "b/2"]


def test_parquet_in_capital_letters_and_images_beside_it(tmp_path, rng, caplog):
    images = [{"bytes": encode_png(one), "path": None} for one in pixels(rng, 2)]
    for name in ("a.parquet", "B.PARQUET"):
        pq.write_table(pa.table({"image": images, "label": [0, 0]}), tmp_path / name)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(images[0]["bytes"])
    assert read_all(open_source(Data(path=str(tmp_path)))).num_rows == 4
    assert "left out 1 images beside what is read as kind parquet, cat/1.png first" in caplog.text


def test_of_class_folders_nothing_is_left_out(tmp_path, rng, caplog):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(encode_png(pixels(rng, 1)[0]))
    assert read_all(open_source(Data(path=str(tmp_path)))).num_rows == 2
    assert "left out" not in caplog.text


def test_a_name_like_cifars_is_no_cifar(tmp_path, rng):
    images = [{"bytes": encode_png(one), "path": None} for one in pixels(rng, 2)]
    pq.write_table(
        pa.table({"image": images, "label": [0, 0]}), tmp_path / "gan-cifar-100-0.parquet"
    )
    assert detect(str(tmp_path)) == "parquet"


def test_a_file_without_rows_has_latents_of_any_length(tmp_path, rng):
    images = [{"bytes": encode_png(one), "path": None} for one in pixels(rng, 2)]
    whole_table = pa.table({"image": images, "label": [0, 0], "clip": [[1.0, 2.0], [3.0, 4.0]]})
    pq.write_table(whole_table, tmp_path / "1.parquet")
    pq.write_table(whole_table.slice(0, 0), tmp_path / "0.parquet")
    source = open_source(Data(path=str(tmp_path), latent_column="clip"))
    assert latent_matrix(read_all(source)).tolist() == [[1, 2], [3, 4]]
    assert latent_matrix(read_all(source).slice(0, 0)).shape == (0, 2)
