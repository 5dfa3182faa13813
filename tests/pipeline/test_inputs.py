"""What references, test images and pool have in common is looked at before any work."""

import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.errors import InputError
from rayqc.images.encode import encode_png
from rayqc.pipeline.inputs import look_at_inputs
from rayqc.pipeline.leaks import names_by_digest, warn_of_equal
from tests.conftest import MEANS

AUGMENT = [{"kind": "augment"}]


def fill(root: Path, name: str, count: int, seed: int = 0) -> None:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, len(name)])
    for i in range(count):
        pixels = rng.integers(0, 256, (12, 12, 1), dtype=np.uint8)
        (folder / f"{i}.png").write_bytes(encode_png(pixels))


def settings(root: Path, **sections):
    tree = {
        "references": {"path": str(root / "references")},
        "pool": [{"path": str(root / "pool")}],
        "classify": {"arms": []},
    }
    return rayqc.make_config({**tree, **sections})


def test_the_table_of_classes(tmp_path, caplog):
    caplog.set_level("INFO")
    for name, count in {"cat": 4, "dog": 5}.items():
        fill(tmp_path, f"references/{name}", count)
        fill(tmp_path, f"test/{name}", 2, seed=1)
    fill(tmp_path, "pool/dog", 3)
    fill(tmp_path, "pool/Cat", 1)
    look_at_inputs(settings(tmp_path, test={"path": str(tmp_path / "test")}))
    rows = [record.getMessage().split() for record in caplog.records]
    assert ["cat", "4", "2", "0"] in rows
    assert ["dog", "5", "2", "3"] in rows
    assert "no references of class 'Cat' (there is 'cat')" in caplog.text


def test_names_match_in_any_unicode_form(tmp_path, caplog):
    caplog.set_level("INFO")
    for name in ("café", "größe"):
        fill(tmp_path, f"references/{unicodedata.normalize('NFD', name)}", 3)
        fill(tmp_path, f"pool/{unicodedata.normalize('NFC', name)}", 2)
    look_at_inputs(settings(tmp_path))
    rows = [record.getMessage().split() for record in caplog.records]
    assert [unicodedata.normalize("NFD", "café"), "3", "-", "2"] in rows
    assert "unknown" not in caplog.text


def test_one_name_in_two_unicode_forms_is_refused(tmp_path):
    for form in ("NFC", "NFD"):
        fill(tmp_path, f"references/{unicodedata.normalize(form, 'café')}", 3)
    with pytest.raises(InputError, match=r"'cafe\\u0301' and 'caf\\xe9', which differ in Unicode"):
        look_at_inputs(settings(tmp_path, pool=AUGMENT))


def test_test_images_of_other_classes_stop_before_any_work(tmp_path):
    fill(tmp_path, "references/cat", 3)
    fill(tmp_path, "test/cat", 2, seed=1)
    for i in range(11):
        fill(tmp_path, f"test/other{i}", 1)
    with pytest.raises(InputError, match=r"class other0, .* and 3 more have no references"):
        look_at_inputs(settings(tmp_path, pool=AUGMENT, test={"path": str(tmp_path / "test")}))


def test_a_pool_of_other_classes_stops_before_any_work(tmp_path):
    fill(tmp_path, "references/big cat", 3)
    fill(tmp_path, "pool/Big_Cat", 2)
    with pytest.raises(InputError, match=r"it has 'Big_Cat' \(there is 'big cat'\)"):
        look_at_inputs(settings(tmp_path))


def test_one_class_is_said(tmp_path, caplog):
    fill(tmp_path, "references/cat", 3)
    look_at_inputs(settings(tmp_path, pool=AUGMENT))
    assert "one class only, cat" in caplog.text


def test_test_images_that_are_references_stop_before_training(tmp_path, ray_session):
    for name in ("cat", "dog"):
        fill(tmp_path, f"references/{name}", 4)
        fill(tmp_path, f"test/{name}", 2, seed=1)
    source = tmp_path / "references" / "dog" / "3.png"
    (tmp_path / "test" / "dog" / "copy.png").write_bytes(source.read_bytes())
    sections = {
        "pool": AUGMENT,
        "test": {"path": str(tmp_path / "test")},
        "encoder": {"kind": "python", "target": MEANS},
        "regions": {"kind": "sphere"},
    }
    run = str(tmp_path / "run")
    with pytest.raises(InputError, match=r"1 test images .* dog/copy.png those of dog/3.png first"):
        rayqc.train(settings(tmp_path, **sections), run)
    dropped = {"path": str(tmp_path / "references"), "in_test": "drop"}
    rayqc.train(settings(tmp_path, references=dropped, **sections), run, redo=True)
    assert rayqc.fit(run, trust=MEANS)["measured"]["images"] == 4


@pytest.mark.long
def test_a_reference_in_test_images_that_were_changed_after_training_stops_fit(
    ray_session, tmp_path
):
    for name in ("cat", "dog"):
        fill(tmp_path, f"references/{name}", 4)
        fill(tmp_path, f"test/{name}", 2, seed=1)
    sections = {
        "pool": AUGMENT,
        "test": {"path": str(tmp_path / "test")},
        "encoder": {"kind": "python", "target": MEANS},
        "regions": {"kind": "sphere"},
    }
    run = str(tmp_path / "run")
    rayqc.train(settings(tmp_path, **sections), run)
    sections["test"] = {"path": str(tmp_path / "references")}
    config = settings(tmp_path, **sections)
    with pytest.raises(InputError, match="8 test images have the bytes of references"):
        rayqc.run(config, run, redo=True)


def test_a_configuration_is_checked_without_a_run(tmp_path, caplog):
    caplog.set_level("INFO")
    fill(tmp_path, "references/cat", 3)
    fill(tmp_path, "pool/cat", 4)
    (tmp_path / "pool" / "cat" / "torn.png").write_bytes(b"\x89PNG")
    (tmp_path / "my.yaml").write_text(
        f"references: {{path: {tmp_path}/references}}\npool: [{{path: {tmp_path}/pool}}]\n"
        "classify: {arms: []}\n"
    )
    found = rayqc.check(str(tmp_path / "my.yaml"))
    assert (found["images"], found["decoded"]) == (8, 7)
    (example,) = [one for examples in found["examples"].values() for one in examples]
    assert example.startswith("pool files/cat/torn.png: ")
    sections = found["sections"]
    assert sections["references"]["classes"] == {"cat": 3}
    assert sections["pool files"]["classes"] == {"cat": 5}
    assert "no test images" not in caplog.text
    (tmp_path / "pool" / "cat" / "torn.png").unlink()
    look_at_inputs(rayqc.load_config(str(tmp_path / "my.yaml")))
    assert ["cat", "3", "-", "4"] in [record.getMessage().split() for record in caplog.records]


def test_a_test_set_without_labels_stops_before_any_work(tmp_path):
    fill(tmp_path, "references/cat", 3)
    table = pa.table({"image": [b"x"] * 2, "label": pa.array([-1, -1], pa.int64())})
    pq.write_table(table, tmp_path / "test.parquet")
    wanted = settings(tmp_path, pool=AUGMENT, test={"path": str(tmp_path / "test.parquet")})
    with pytest.raises(InputError, match="none of the 2 test images has a label"):
        look_at_inputs(wanted)


def test_references_with_equal_bytes_are_told_of(caplog):
    contents = [b"a", b"b", b"a", b"c", b"a", b"b"]
    rows = [{"bytes": content, "path": None} for content in contents]
    table = pa.table({"id": list("uvwxyz"), "image": rows})
    warn_of_equal(names_by_digest(table.slice(3)))
    assert not caplog.records
    warn_of_equal(names_by_digest(table))
    assert "3 references have the bytes of others, w those of u first" in caplog.text
