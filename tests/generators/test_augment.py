"""A candidate depends on (seed, name, index) and nothing else."""

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from rayqc.errors import ConfigError
from rayqc.generators.augment import AugmentSource
from rayqc.generators.policies import POLICIES, make_transform
from rayqc.images.decode import Limits, decode_native
from rayqc.images.encode import encode_png
from rayqc.schema import candidate_schema
from rayqc.storage import Folder, write_table
from rayqc.units import number

CLASSES = ("a", "b")


@pytest.fixture(params=[1, 3], ids=["gray", "colour"])
def source(request, tmp_path, rng):
    images = rng.integers(0, 256, (4, 12, 10, request.param), dtype=np.uint8)
    table = pa.table(
        {
            "id": list("wxyz"),
            "image": [{"bytes": encode_png(one), "path": None} for one in images],
            "label": [0, 0, 1, 1],
            "source": ["s"] * 4,
            "parent": pa.nulls(4, pa.string()),
        },
        schema=candidate_schema(CLASSES),
    )
    folder = Folder(str(tmp_path))
    write_table(folder, "refs.parquet", table)
    return AugmentSource(
        references=folder,
        table="refs.parquet",
        classes=CLASSES,
        count=4,
        references_digest="d",
        name="augment",
        seed=5,
        policy="strong",
        per_reference=3,
    )


def rows(source, most, limit=None):
    units = number(source.units(most), limit)
    return pa.concat_tables([source.read(unit) for unit in units]).to_pylist()


def test_the_same_bytes_whatever_the_units(source):
    whole = rows(source, 100)
    assert whole == rows(source, 1) == rows(source, 5)
    assert [row["parent"] for row in whole] == [p for p in "wxyz" for _ in range(3)]
    assert [row["label"] for row in whole] == [0] * 6 + [1] * 6
    assert len({row["id"] for row in whole}) == 12
    assert len({row["image"]["bytes"] for row in whole}) == 12
    sample = rows(source, 4, limit=5)
    assert len(sample) == 5
    assert all(row in whole for row in sample)


def test_units_of_photographs_have_fewer_rows(source):
    """Candidates are PNG: 36 MB each of 12 megapixels, and Arrow holds 2 GiB in one piece."""
    many = replace(source, per_reference=100)
    assert [unit.count() for unit in many.units(512)] == [400]
    large = replace(many, most_pixels=12_000_000)
    assert max(unit.count() for unit in large.units(512)) == 7
    assert sum(unit.count() for unit in large.units(512)) == 400
    assert max(unit.count() for unit in replace(many, most_pixels=200_000_000).units(512)) == 1


def test_a_source_that_was_read_from_is_sent_without_images(source):
    whole = rows(source, 100)
    sent = pickle.dumps(source)
    assert not any(row["image"]["bytes"][20:60] in sent for row in whole)
    assert len(sent) < 2000
    assert rows(pickle.loads(sent), 5) == whole


def test_other_seeds_and_names_make_other_images(source):
    first = [row["image"]["bytes"] for row in rows(source, 100)]
    for change in ({"seed": 6}, {"name": "other"}):
        other = [row["image"]["bytes"] for row in rows(replace(source, **change), 100)]
        assert not set(first) & set(other)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"name": "RandomCrop", "size": 64}, "fails on candidate 0"),
        ({"name": "ConvertImageDtype"}, "gives torch.float32 of shape"),
        ({"name": "ToPILImage"}, "gives Image; expected one tensor"),
        ({"name": "FiveCrop", "size": 4}, "gives tuple; expected one tensor"),
    ],
)
def test_a_policy_that_does_not_fit_the_images_is_refused(source, step, message):
    with pytest.raises(ConfigError, match=message):
        rows(replace(source, policy=[step]), 100)


def test_making_candidates_leaves_the_global_generator_alone(source):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    rows(source, 100)
    assert torch.equal(torch.rand(3), expected)


def test_candidates_keep_size_and_channels(source):
    for row in rows(source, 100):
        assert decode_native(row["image"]["bytes"], Limits()).shape[:2] == (12, 10)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_policies_work_on_gray_and_colour(policy, channels):
    image = torch.randint(0, 256, (channels, 28, 28), dtype=torch.uint8)
    made = make_transform(policy, channels)(image)
    assert made.shape == image.shape
    assert made.dtype == torch.uint8


def test_a_list_of_ones_own():
    image = torch.arange(27, dtype=torch.uint8).reshape(3, 3, 3)
    flip = make_transform([{"name": "RandomHorizontalFlip", "p": 1.0}], 3)
    assert torch.equal(flip(image), image.flip(2))
    assert torch.equal(make_transform([], 3)(image), image)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"name": "RandomTeleport"}], "'RandomTeleport' is no transform"),
        ([{"degrees": 3}], "None is no transform"),
        ([{"name": "functional"}], "is no transform"),
        ([{"name": "RandomAffine", "degree": 3}], "RandomAffine does not take"),
        ([{"name": "RandomAffine", "degrees": 3, "interpolation": "odd"}], "'odd' is none of"),
    ],
)
def test_a_wrong_list_is_refused(steps, message):
    with pytest.raises(ConfigError, match=message):
        make_transform(steps, 3)
