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
