"""Image columns of every make come out as the same images."""

import contextlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rayqc.errors import InputError
from rayqc.images.decode import Limits, decode_batch, decode_native
from rayqc.images.encode import encode_png
from rayqc.images.look import ImageShape
from rayqc.sources.columns import as_images
from rayqc.sources.parquet import open_parquet
from rayqc.units import WHOLE

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), dtype=np.uint8)
GRAY = PIXELS[..., 0]
DATA = [encode_png(PIXELS[0]), encode_png(PIXELS[1]), None, encode_png(PIXELS[2])]
SAME = [len(data or b"") for data in DATA]


def encoded(kind: str) -> pa.Array:
    plain = pa.array(DATA, pa.binary())
    structs = pa.StructArray.from_arrays(
        [plain, pa.array(["a", None, "b", "c"])], ["bytes", "path"]
    )
    return {
        "binary": plain,
        "large_binary": plain.cast(pa.large_binary()),
        "binary_view": plain.cast(pa.binary_view()),
        "dictionary": plain.dictionary_encode(),
        "struct": structs,
        "struct_of_large": pa.StructArray.from_arrays([plain.cast(pa.large_binary())], ["bytes"]),
        "list": pa.array([None if d is None else list(d) for d in DATA], pa.list_(pa.uint8())),
        "large_list": pa.array(
            [None if d is None else list(d) for d in DATA], pa.large_list(pa.uint8())
        ),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "binary",
        "large_binary",
        "binary_view",
        "dictionary",
        "struct",
        "struct_of_large",
        "list",
        "large_list",
    ],
)
def test_encoded_images_stay_as_they_are(kind):
    array = encoded(kind)
    for column in (pa.chunked_array([array]), pa.chunked_array([array[:2], array[2:]])):
        found = as_images(column, "x").combine_chunks().field("bytes").to_pylist()
        assert found == DATA
    empty = pa.chunked_array([], array.type)
    assert as_images(empty, "x").type.field("bytes").type == pa.binary()
    if kind == "struct":
        paths = as_images(pa.chunked_array([array]), "x").combine_chunks().field("path")
        assert paths.to_pylist() == ["a", None, "b", "c"]


def raw(kind: str) -> tuple[pa.Array, np.ndarray]:
    flat = PIXELS.reshape(-1)
    tensor = pa.fixed_shape_tensor(pa.uint8(), (6, 6, 3))
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(flat), 108)
    return {
        "nested gray": (pa.array(GRAY.tolist(), pa.list_(pa.list_(pa.uint8()))), GRAY[..., None]),
        "nested colour": (
            pa.array(PIXELS.tolist(), pa.list_(pa.list_(pa.list_(pa.uint8())))),
            PIXELS,
        ),
        "fixed rows": (
            pa.array(GRAY.tolist(), pa.list_(pa.list_(pa.uint8(), 6), 6)),
            GRAY[..., None],
        ),
        "square gray": (
            pa.FixedSizeListArray.from_arrays(pa.array(GRAY.reshape(-1)), 36),
            GRAY[..., None],
        ),
        "square colour": (fixed, PIXELS),
        "tensor": (pa.ExtensionArray.from_storage(tensor, fixed), PIXELS),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["nested gray", "nested colour", "fixed rows", "square gray", "square colour", "tensor"],
)
def test_raw_pixels_become_png_once(kind):
    array, pixels = raw(kind)
    data = as_images(pa.chunked_array([array]), "x").combine_chunks().field("bytes").to_pylist()
    shape = ImageShape(size=6, channels=pixels.shape[3])
    found, wrong = decode_batch(data, shape, Limits())
    assert wrong == [None] * 3
    np.testing.assert_array_equal(found, pixels)


def test_ragged_rows_are_errors_of_their_own():
    column = pa.chunked_array(
        [pa.array([[[1, 2], [3]], GRAY[0].tolist(), None], pa.list_(pa.list_(pa.uint8())))]
    )
    data = as_images(column, "x").combine_chunks().field("bytes").to_pylist()
    _, wrong = decode_batch(data, ImageShape(size=6, channels=1), Limits())
    assert [found and found[0] for found in wrong] == ["unsupported_format", None, "empty"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.int64(), "f.parquet: image column is int64; expected encoded bytes"),
        (pa.list_(pa.float32()), "image column is list<.*float>; expected"),
        (pa.struct([("path", pa.string())]), "image column is struct"),
        (pa.list_(pa.uint8(), 37), "37 values a row, which is no square of 1 or 3 channels"),
    ],
)
def test_columns_of_another_make_are_refused(kind, message):
    with pytest.raises(InputError, match=message):
        as_images(pa.chunked_array([], kind), "f.parquet")


def test_a_file_of_raw_pixels_is_a_source(tmp_path):
    array, pixels = raw("square colour")
    table = pa.table({"image": array, "label": [0, 1, 0]})
    pq.write_table(table, tmp_path / "raw.parquet")
    source = open_parquet(str(tmp_path))
    (unit,) = source.units(WHOLE)
    data = [row["bytes"] for row in source.read(unit)["image"].to_pylist()]
    found, _ = decode_batch(data, ImageShape(size=6, channels=3), Limits())
    np.testing.assert_array_equal(found, pixels)


def registered(kind):
    from ray.data.extensions import ArrowTensorArray, ArrowVariableShapedTensorArray

    if kind == "fixed":
        return ArrowTensorArray.from_numpy(PIXELS)
    sizes = [PIXELS[0], PIXELS[1][:4], PIXELS[2][:, :5]]
    return ArrowVariableShapedTensorArray.from_numpy(sizes)


@pytest.mark.parametrize("kind", ["fixed", "variable"])
@pytest.mark.parametrize("known", [True, False])
def test_tensors_of_ray_data_are_pixels_where_ray_is_known_or_not(kind, known):
    array = registered(kind)
    metadata = {
        b"ARROW:extension:name": array.type.extension_name.encode(),
        b"ARROW:extension:metadata": array.type.__arrow_ext_serialize__(),
    }
    expected = [PIXELS[0], PIXELS[1], PIXELS[2]]
    if kind == "variable":
        expected = [PIXELS[0], PIXELS[1][:4], PIXELS[2][:, :5]]
    if not known:
        array = array.storage
    for start, stop in ((0, 3), (1, 3)):
        column = pa.chunked_array([array.slice(start, stop - start)])
        data = as_images(column, "x", None if known else metadata).combine_chunks().field("bytes")
        for found, wanted in zip(data.to_pylist(), expected[start:stop], strict=True):
            np.testing.assert_array_equal(decode_native(found, Limits()), wanted)


def test_channels_may_come_first():
    first = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2)[:, :, :5])
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(first)
    lists = pa.array(first.tolist(), pa.list_(pa.list_(pa.list_(pa.uint8()))))
    for array in (tensors, lists):
        data = as_images(pa.chunked_array([array]), "x").combine_chunks().field("bytes")
        for found, wanted in zip(data.to_pylist(), PIXELS[:, :5], strict=True):
            np.testing.assert_array_equal(decode_native(found, Limits()), wanted)


def test_pixels_of_no_image_s_shape_are_said():
    lists = pa.array(np.zeros((1, 6, 6, 4)).tolist(), pa.list_(pa.list_(pa.list_(pa.uint8()))))
    data = as_images(pa.chunked_array([lists]), "x").combine_chunks().field("bytes").to_pylist()
    problem = decode_batch(data, ImageShape(size=8, channels=3), Limits())[1][0]
    assert problem == (
        "unsupported_format",
        "raw pixels of shape (6, 6, 4); expected (H, W), (H, W, C) or (C, H, W)",
    )


ARRAY_3D = "datasets.features.features.Array3DExtensionType"


class Array3D(pa.ExtensionType):
    """Hugging Face's type of arrays, as its library registers it."""

    def __init__(self):
        lists = pa.list_(pa.list_(pa.list_(pa.uint8())))
        super().__init__(lists, ARRAY_3D)

    def __arrow_ext_serialize__(self):
        return b'[[6, 6, 3], "uint8"]'

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type, serialized):
        return cls()


@pytest.fixture
def unregistered():
    """Without the library's type, which is registered again if another test has loaded it."""
    loaded = sys.modules.get("datasets.features.features")
    with contextlib.suppress(pa.ArrowKeyError):
        pa.unregister_extension_type(ARRAY_3D)
    yield
    with contextlib.suppress(pa.ArrowKeyError):
        pa.unregister_extension_type(ARRAY_3D)
    if loaded is not None:
        pa.register_extension_type(loaded.Array3DExtensionType((1, 3, 3), "uint8"))


@pytest.mark.parametrize("known", ["by nobody", "by a like type", "by the library"])
def test_hugging_faces_arrays_are_read_with_and_without_its_library(tmp_path, known, unregistered):
    storage = pa.array(PIXELS.tolist(), Array3D().storage_type)
    column = pa.ExtensionArray.from_storage(Array3D(), storage)
    pq.write_table(pa.table({"image": column, "label": [0, 1, 0]}), tmp_path / "a.parquet")
    if known == "by a like type":
        pa.register_extension_type(Array3D())
    if known == "by the library":
        from datasets.features.features import Array3DExtensionType

        with contextlib.suppress(pa.ArrowKeyError):  # registered when it was first loaded
            pa.register_extension_type(Array3DExtensionType((1, 3, 3), "uint8"))
    source = open_parquet(str(tmp_path))
    images = [row["image"]["bytes"] for row in source.read(source.units(9)[0]).to_pylist()]
    for pixels, data in zip(PIXELS, images, strict=True):
        np.testing.assert_array_equal(decode_native(data, Limits()), pixels)
