"""Each case of `../shared/cases` does what its `case.md` expects, on the input of its `make.sh`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rayqc
from rayqc.config import Config
from rayqc.errors import InputError
from rayqc.images.decode import Limits, decode_native, values_of
from rayqc.images.deep import levels_of
from rayqc.pipeline.inputs import look_at_inputs
from rayqc.sources import open_source
from rayqc.sources.select import read_all, select_references
from tests.conftest import SHARED

CASES = SHARED.parent / "cases"
RAYQC = (sys.executable, "-m", "rayqc")


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """Makes the input of a case, by its number."""

    def make(number: str, *tools: str) -> Path:
        for tool in tools:
            if shutil.which(tool) is None:
                pytest.skip(f"needs {tool}")
        found = sorted(CASES.glob(f"{number}-*/make.sh"))
        if not found:
            pytest.skip(f"{CASES} has no case {number}: it lies beside the project, not in it")
        folder = tmp_path_factory.getbasetemp() / f"case{number}"
        if not folder.exists():
            done = subprocess.run(
                ["bash", str(found[0]), str(folder)],
                env={**os.environ, "PYTHON": sys.executable},
                capture_output=True,
            )
            assert done.returncode == 0, done.stderr.decode()
        return folder

    return make


def settings(folder: Path, name: str) -> Config:
    return rayqc.load_config(str(folder / f"{name}.yaml"))


def references_of(config: Config):
    """The references that are drawn, after the checks that a run begins with."""
    look_at_inputs(config)
    source = open_source(config.references)
    return select_references(source, config.references.per_class, 0)


def names_of(table):
    return sorted({name.split("/")[0] for name in table["id"].to_pylist()})


@pytest.mark.parametrize("name", ["split", "files"])
def test_01_split_folders(case, name):
    config = settings(case("01"), name)
    references = references_of(config)
    test = read_all(open_source(config.test_data(), split="test"))
    assert (references.num_rows, test.num_rows) == (36, 24)
    assert open_source(config.references).classes == ("circle", "cross", "square")
    assert not {*references["id"].to_pylist()} & {*test["id"].to_pylist()}


def test_02_wrapped_folder(case, caplog):
    folder = case("02")
    for name in ("a", "b"):
        caplog.clear()
        look_at_inputs(settings(folder, name))
        assert "one class, shapes, and below it 3 folders: circle, cross, square" in caplog.text
        assert "one class only" in caplog.text
    assert open_source(settings(folder, "c").references).classes == ("0", "1", "2")


def test_03_test_labels_hidden(case):
    with pytest.raises(InputError, match="none of the 24 test images has a label"):
        look_at_inputs(settings(case("03"), "run"))


def test_04_no_test_split(case, caplog):
    config = settings(case("04"), "run")
    look_at_inputs(config)
    assert read_all(open_source(config.test_data(), split="test")).num_rows == 24
    assert "its split validation is taken for it" in caplog.text


def test_06_synology_eadir(case, caplog):
    references = references_of(settings(case("06"), "run"))
    assert references.num_rows == 30
    assert names_of(references) == ["circle", "cross", "square"]
    assert "left out" in caplog.text


@pytest.mark.parametrize("name", ["run", "only"])
def test_07_nfd_class_name(case, name, caplog):
    look_at_inputs(settings(case("07"), name))
    assert "unknown_class" not in caplog.text


def test_08_png_large_metadata(case):
    folder = case("08")
    found = rayqc.check(str(folder / "pool"))
    assert (found["decoded"], found["images"]) == (34, 34)
    references_of(settings(folder, "real2"))


def test_09_shallow_pixel_values(case):
    folder = case("09")
    limits = Limits()
    expected = {"u12": (0, 4095), "float255": (0, 255), "int255": (0, 255)}
    control = decode_all(folder / "png", limits)
    for name, levels in expected.items():
        files = sorted(path for path in (folder / name).rglob("*.*") if path.is_file())
        assert levels_of([values_of(path.read_bytes(), limits) for path in files]) == levels
        pixels = decode_all(folder / name, Limits(levels=levels))
        assert np.abs(pixels.astype(int) - control).max() <= 1, name


def decode_all(folder, limits):
    files = sorted(path for path in folder.rglob("*.*") if path.is_file())
    return np.stack([decode_native(path.read_bytes(), limits) for path in files])


def test_11_tiff_bands(case):
    folder = case("11")
    found = rayqc.check(str(folder / "pool"))
    assert set(found["reasons"]) <= {"unsupported_mode"}
    assert all("damaged" not in text for texts in found["examples"].values() for text in texts)
    assert any("bands of" in text for text in found["examples"]["unsupported_mode"])


@pytest.mark.parametrize(
    ("name", "classes"), [("from1", 3), ("subset", 3), ("sparse", 3), ("emnist", 26)]
)
def test_12_labels_not_from_zero(case, name, classes, caplog):
    references = references_of(settings(case("12"), name))
    assert len(np.unique(references["label"])) == classes
    assert f"{classes} of " in caplog.text or name == "emnist"


def test_12_emnist_has_test_images(case):
    config = settings(case("12"), "emnist-test")
    look_at_inputs(config)
    assert read_all(open_source(config.test_data(), split="test")).num_rows > 0


@pytest.mark.parametrize("name", ["v2", "ragged", "chw", "chwlists", "hwc"])
def test_14_ray_tensors(case, name):
    folder = case("14")
    found = rayqc.check(str(folder / name))
    assert found["decoded"] == found["images"] > 0
    assert references_of(settings(folder, name)).num_rows > 0


def test_15_empty_and_jfif_class(case, caplog):
    folder = case("15")
    with pytest.raises(InputError, match="square"):
        look_at_inputs(settings(folder, "run"))
    assert "class folders without images, square" in caplog.text
    assert "cross" in open_source(settings(folder, "notest").references).classes


def test_16_dotted_webdataset(case):
    folder = case("16")
    references = references_of(settings(folder, "dotted"))
    assert (references.num_rows, len(np.unique(references["label"]))) == (36, 3)
    with pytest.raises(InputError, match="`label_column`"):
        look_at_inputs(settings(folder, "inside"))
    with pytest.raises(InputError, match=r"share the label .* `image_column: "):
        look_at_inputs(settings(folder, "seg"))


def command(argv, timeout=300, **env):
    return subprocess.run(
        argv, env={**os.environ, **env}, capture_output=True, text=True, timeout=timeout
    )


@pytest.mark.long  # tests/distributed/test_machine.py has its kind in CI
def test_17_long_tmpdir(case):
    folder = case("17")
    done = command([*RAYQC, "doctor"], TMPDIR=(folder / "tmpdir.txt").read_text().strip())
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_18_nobody_and_readonly_home(case):
    folder = case("18", "unshare")
    for env in ({}, {"FAKE_HOME": "/nonexistent"}):
        done = command([str(folder / "as-nobody.sh"), *RAYQC, "doctor"], **env)
        if "Operation not permitted" in done.stderr or "as-nobody" in done.stderr:
            pytest.skip(done.stderr)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", ["95", "38", "1"])
def test_19_no_hard_links(case, number):
    folder = case("19", "gcc")
    text = (
        "import sys\nfrom rayqc.storage import Folder\nfrom rayqc.ledger.owner import own\n"
        "folder = Folder(sys.argv[1])\n"
        "with own(folder):\n"
        "    print(folder.create('a', b'1'), folder.create('a', b'2'), folder.read('a'))\n"
        "print(folder.names())"
    )
    drive = folder / "drive"
    done = command(
        [sys.executable, "-c", text, str(drive / f"run{number}")],
        LD_PRELOAD=str(folder / "nolink.so"),
        NOLINK_DIR=str(drive),
        NOLINK_ERRNO=number,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True False b'1'", "['a']"]


@pytest.mark.long
@pytest.mark.ci
def test_20_cpu_affinity(case):
    case("20", "taskset")
    done = command(["taskset", "-c", "0", *RAYQC, "doctor"])
    assert done.returncode == 0, done.stderr
    assert "1 CPUs" in done.stdout


@pytest.mark.long
def test_22_busy_cluster(case, tmp_path):
    folder = case("22")
    argv = [sys.executable, str(folder / "busy.py"), str(folder / "run.yaml"), str(tmp_path / "o")]
    done = command(argv)
    assert "done in" in done.stdout, done.stderr
