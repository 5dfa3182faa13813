"""`rayqc init`: settings that are written from what lies in a folder, and run as they are."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rayqc
from rayqc.errors import ConflictError, InputError
from rayqc.pipeline.first_settings import SCHEMA, schema_text


def photographs(folder: Path, counts: dict[str, int], side: int) -> Path:
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            sink = io.BytesIO()
            pixels = rng.integers(0, 256, (side, side + 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(sink, "JPEG")
            (folder / name / f"{number}.jpg").write_bytes(sink.getvalue())
    return folder


def test_a_folder_of_parts_becomes_settings(tmp_path):
    """References, test images and pool are told by their folders' names."""
    photographs(tmp_path / "my" / "Real", {"cat": 4, "dog": 6}, 90)
    photographs(tmp_path / "my" / "generated", {"cat": 7, "dog": 7}, 90)
    photographs(tmp_path / "my" / "val", {"cat": 3, "dog": 3}, 90)
    place = tmp_path / "my.yaml"
    found = rayqc.init(str(tmp_path / "my"), settings=str(place))
    assert found["found"][0] == (
        "references: 10 images of 2 classes, 4 to 6 each; JPEG, shorter side 90 pixels"
    )
    config = rayqc.load_config(str(place))
    assert config.references.path == str(tmp_path / "my" / "Real")
    assert config.test.path == str(tmp_path / "my" / "val")
    assert config.pool[0].path == str(tmp_path / "my" / "generated")
    assert config.encoder.kind == "pretrained"
    assert found["sample"] == 20
    assert len(found["found"]) == 3
    assert place.read_text().startswith(f"# yaml-language-server: $schema={SCHEMA}\n")


def test_test_images_are_no_class_where_there_is_no_pool_yet(tmp_path):
    photographs(tmp_path / "my" / "real", {"cat": 4, "dog": 6}, 90)
    photographs(tmp_path / "my" / "test", {"cat": 3, "dog": 3}, 90)
    place = tmp_path / "my.yaml"
    found = rayqc.init(str(tmp_path / "my"), settings=str(place))["found"]
    assert found[0].startswith("references: 10 images of 2 classes")
    assert found[1].startswith("test: 6 images of 2 classes")
    assert found[2:] == ["pool: augmented copies"]
    config = rayqc.load_config(str(place))
    assert (config.references.path, config.test.path) == (
        str(tmp_path / "my" / "real"),
        str(tmp_path / "my" / "test"),
    )


def test_each_pool_becomes_an_entry_and_what_is_left_out_is_said(tmp_path):
    for name in ("real", "generated", "GAN", "sketches", ".cache"):
        photographs(tmp_path / "my" / name, {"cat": 4, "dog": 6}, 90)
    place = tmp_path / "my.yaml"
    found = rayqc.init(str(tmp_path / "my"), settings=str(place))["found"]
    entries = rayqc.load_config(str(place)).pool
    assert [(entry.name, Path(entry.path).name) for entry in entries] == [
        ("generated", "generated"),
        ("GAN", "GAN"),
    ]
    assert found[-1].startswith("left out: sketches, whose names say neither")


def test_classes_without_references_are_told_at_once(tmp_path):
    photographs(tmp_path / "my" / "real", {"cat": 4, "dog": 6}, 90)
    photographs(tmp_path / "my" / "generated", {"Cat": 200, "dog": 200}, 90)
    found = rayqc.init(str(tmp_path / "my"), settings=str(tmp_path / "my.yaml"))
    assert found["found"][-1].startswith("pool: no references of class 'Cat'")
    assert found["sample"] == 40


@pytest.mark.parametrize("tests", [3, 4])
def test_splits_of_one_data_set_are_told_by_its_source(tests, tmp_path):
    photographs(tmp_path / "train", {"cat": 4, "dog": 4}, 40)
    photographs(tmp_path / "test", {"cat": tests, "dog": tests}, 40)
    place = tmp_path / "my.yaml"
    rayqc.init(str(tmp_path), settings=str(place))
    config = rayqc.load_config(str(place))
    assert config.references.path == config.test.path == str(tmp_path)
    assert config.pool[0].kind == "augment"
    assert config.encoder.kind == "vae"  # small images


def test_parts_can_be_named_and_odd_paths_are_kept(tmp_path):
    real = photographs(tmp_path / "müller's: #1", {"a": 3, "b": 3}, 90)
    pool = photographs(tmp_path / "theirs", {"a": 3, "b": 3}, 90)
    place = tmp_path / "new" / "my.yaml"
    found = rayqc.init(str(real), settings=str(place), pool=str(pool))
    assert found["found"][1].startswith("test: none found")
    config = rayqc.load_config(str(place))
    assert config.references.path == str(real)
    assert config.test is None
    with pytest.raises(ConflictError, match="exists already"):
        rayqc.init(str(real), settings=str(place))
    with pytest.raises(InputError, match="no images at"):
        rayqc.init(str(tmp_path / "nothing"), settings=str(tmp_path / "other.yaml"))
    assert not (tmp_path / "other.yaml").exists()


def test_the_schema_of_settings_is_the_codes():
    """Editors complete by it: python -m rayqc.cli.settings_page --schema > the file."""
    assert SCHEMA.read_text() == schema_text()
    schema = json.loads(schema_text())
    assert "encoder" in schema["properties"]
