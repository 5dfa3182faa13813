"""The decoder over any folder, and what dead attempts left; neither needs Ray."""

import numpy as np
import pytest

import rayqc
from rayqc.cli.main import main
from rayqc.errors import ConflictError, InputError
from rayqc.images.encode import encode_png
from rayqc.ledger.owner import own
from rayqc.ledger.plan import start_or_resume
from rayqc.storage import Folder
from tests.images.corpus import bad_images
from tests.images.test_odd_but_sound import tiff
from tests.ledger.test_ledger import commit, merge, units


def test_any_folder_is_counted_by_reason(tmp_path, capsys):
    bad = bad_images()
    for name, (data, _) in bad.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "good.xyz").write_bytes(encode_png(np.zeros((9, 9, 3), np.uint8)))
    found = rayqc.check(str(tmp_path), overrides=("image.max_pixels=1000000",))
    assert found["images"] == len(bad) + 1
    expected = [reason for _, reason in bad.values() if reason]
    assert found["reasons"] == {reason: expected.count(reason) for reason in set(expected)}
    assert found["decoded"] == found["images"] - len(expected)
    assert main(["check", str(tmp_path), "-q"]) == 0
    printed = capsys.readouterr().out
    assert "images decoded" in printed
    assert "unsupported_format; such as" in printed


def test_parquet_is_checked_too():
    bundled = rayqc.__file__.replace("__init__.py", "data/mnist5k-test.parquet")
    found = rayqc.check(bundled, overrides=("image.formats=[JPEG]",))
    assert found["reasons"] == {"unsupported_format": 1000}
    with pytest.raises(InputError, match="missing or empty"):
        rayqc.check("/nowhere/at/all")


@pytest.fixture
def work(tmp_path):
    folder = Folder(str(tmp_path / "out"))
    plan = start_or_resume(folder, {"s": 1}, units())
    for index, unit in enumerate(plan):
        commit(folder, index, unit)
    return folder, plan


def litter(folder):
    """A late twin's part, and a file whose writer died."""
    folder.write("accepted/unit-0000001-deadbeef.parquet", b"whole but named by nothing")
    staged = folder.location + "/scores/unit-0000002-deadbeef.parquet#1"
    with open(staged, "wb") as half:
        half.write(b"half")
    return {"accepted/unit-0000001-deadbeef.parquet", "scores/unit-0000002-deadbeef.parquet#1"}


@pytest.mark.parametrize("finished", [False, True])
def test_what_nothing_names_goes_and_all_else_stays(work, finished, capsys):
    folder, plan = work
    if finished:
        merge(folder, plan)
    kept = folder.names()
    left = {folder.path(name) for name in litter(folder)}
    would = rayqc.clean(str(folder), dry_run=True)
    assert (would["would_delete"], set(would["files"])) == (2, left)
    assert main(["clean", str(folder)]) == 0
    assert "2 files deleted" in capsys.readouterr().out
    assert folder.names() == kept
    assert rayqc.clean(str(folder))["files"] == []
    merge(folder, plan) if not finished else None


def test_nothing_is_cleaned_beside_a_living_command(work, tmp_path):
    folder, _ = work
    litter(folder)
    with own(folder), pytest.raises(ConflictError, match="in use"):
        rayqc.clean(str(folder))
    with pytest.raises(InputError, match="neither a run"):
        rayqc.clean(str(tmp_path / "elsewhere"))


def pixels(value, width=6, height=5):
    return encode_png(np.full((height, width, 3), value, np.uint8))


@pytest.fixture
def splits(tmp_path):
    """Class folders of two splits: an image in both, one twice, one under two classes."""
    images = {
        "train/cat/1.png": pixels(1),
        "train/cat/2.png": pixels(1),
        "train/dog/1.png": pixels(2),
        "train/dog/2.png": pixels(3, 7),
        "train/dog/deep.tif": tiff(np.linspace(0, 4000, 64).reshape(8, 8, 1).astype("<u2")),
        "test/cat/3.png": pixels(4),
        "test/cat/4.png": pixels(2),
        "test/cat/torn.png": pixels(5)[:45],
        "test/cat/Thumbs.db": b"x",
    }
    for name, data in images.items():
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "set"


def test_check_says_what_the_images_are(splits, capsys):
    found = rayqc.check(str(splits))
    train, test = found["sections"]["train"], found["sections"]["test"]
    assert (train["classes"], test["classes"]) == ({"cat": 2, "dog": 3}, {"cat": 3})
    assert train["sizes"] == {"6 x 5": 3, "7 x 5": 1, "8 x 8": 1}
    assert train["modes"] == {"PNG RGB": 4, "TIFF I;16": 1}
    assert (train["ranges"], test["ranges"]) == ({"whole numbers": [0, 4000]}, {})
    assert (test["images"], test["decoded"]) == (3, 2)
    duplicates = found["duplicates"]
    assert (duplicates["images"], duplicates["across"]) == (2, {"train and test": 1})
    assert duplicates["of_other_classes"] == 1
    assert duplicates["examples"] == [
        "train/train/cat/2.png is train/train/cat/1.png",
        "test/test/cat/4.png is train/train/dog/1.png",
    ]
    assert main(["check", str(splits)]) == 0
    printed = capsys.readouterr().out
    assert "train: 6 x 5 (3), 7 x 5 (1), 8 x 8 (1); PNG RGB (4), TIFF I;16 (1); whole" in printed
    assert "2 images have the bytes of one before, 1 across train and test, 1 of them" in printed
    assert "test/test/cat/torn.png" in printed


def test_check_takes_columns_of_a_listing(splits, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_text("photo,kind\nset/train/cat/1.png,a\nset/train/dog/1.png,b\n")
    found = rayqc.check(str(listing), image_column="photo", label_column="kind")
    assert found["sections"]["images"]["classes"] == {"a": 1, "b": 1}
    assert main(["check", str(listing), "--image-column", "photo", "--label-column", "kind"]) == 0


def test_check_of_settings_compares_sections(splits, tmp_path):
    (tmp_path / "my.yaml").write_text(
        f"references: {{path: {splits}}}\npool: [{{path: {splits}/test, name: made}}]\n"
        "classify: {arms: []}\n"
    )
    found = rayqc.check(str(tmp_path / "my.yaml"))
    assert set(found["sections"]) == {"references", "pool made"}
    assert found["duplicates"]["across"] == {"references and pool made": 1}


def test_settings_without_test_images_are_checked_to_the_end(splits, tmp_path, caplog):
    """The first command that `init` names must not end at what `run` only warns of."""
    (tmp_path / "my.yaml").write_text(
        f"references: {{path: {splits}}}\npool: [{{path: {splits}/test, name: pool}}]\n"
    )
    found = rayqc.check(str(tmp_path / "my.yaml"))
    assert set(found["sections"]) == {"references", "pool"}
    assert "no test images are named" in caplog.text


def test_images_without_class_folders_are_looked_at_with_a_word(tmp_path, caplog):
    (tmp_path / "1.png").write_bytes(pixels(1))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    found = rayqc.check(str(tmp_path))
    assert found["sections"]["images"]["classes"] == {"": 1}
    assert "a run would refuse this, so only its images are looked at: no class f" in caplog.text
    assert "left out 1 hidden files, .DS_Store first" in caplog.text
