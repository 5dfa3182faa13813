"""One command works in a folder at a time; the dead do not hold it."""

import os
import subprocess
import sys
import time

import pytest

from rayqc.cli.main import main
from rayqc.errors import ConflictError
from rayqc.ledger import owner
from rayqc.ledger.owner import OWNER, is_owned, own
from rayqc.storage import Folder, read_json, write_json


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path / "run"))


def test_a_held_folder_is_refused_and_its_owner_named(folder):
    with own(folder):
        assert is_owned(folder)
        message = f"in use by process {os.getpid()} on "
        with pytest.raises(ConflictError, match=message), own(folder):
            raise AssertionError
    assert not is_owned(folder)
    assert folder.names() == []
    with own(folder):
        pass


def test_an_error_lets_go(folder):
    with pytest.raises(ZeroDivisionError), own(folder):
        raise ZeroDivisionError
    assert folder.names() == []


def test_the_dead_are_taken_over_at_once(folder):
    code = (
        "import os; from rayqc.ledger.owner import own; from rayqc.storage import Folder\n"
        f"with own(Folder({str(folder)!r})): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert folder.exists(OWNER)
    assert not is_owned(folder)
    with own(folder):
        assert read_json(folder, OWNER)["pid"] == os.getpid()


def test_another_machine_is_believed_while_it_is_heard_of(folder):
    with own(folder):
        there = {**read_json(folder, OWNER), "host": "elsewhere", "pid": 7}
    write_json(folder, OWNER, there)
    with pytest.raises(ConflictError, match="in use by process 7 on elsewhere"), own(folder):
        pass
    write_json(folder, OWNER, {**there, "beat": time.time() - 3 * owner.BEAT_SECONDS})
    with pytest.raises(ConflictError, match="in use by process 7 on elsewhere"), own(folder):
        pass
    write_json(folder, OWNER, {**there, "beat": time.time() - 1000})
    with own(folder):
        assert read_json(folder, OWNER)["pid"] == os.getpid()


def test_the_owner_is_heard_of(folder, monkeypatch):
    monkeypatch.setattr(owner, "BEAT_SECONDS", 0.01)
    with own(folder):
        first = read_json(folder, OWNER)["beat"]
        while read_json(folder, OWNER)["beat"] == first:
            time.sleep(0.01)


def test_one_that_was_taken_over_leaves_the_other_alone(folder, monkeypatch, caplog):
    monkeypatch.setattr(owner, "BEAT_SECONDS", 0.01)
    with own(folder):
        write_json(folder, OWNER, {**read_json(folder, OWNER), "token": "other"})
        limit = time.monotonic() + 60
        while "taken over" not in caplog.text:
            assert time.monotonic() < limit, "nothing was said"
            time.sleep(0.01)
    assert read_json(folder, OWNER)["token"] == "other"


def test_the_mark_of_another_is_not_taken_away_at_the_end(folder, monkeypatch):
    """One that was taken over between two beats ends without having heard of it."""
    monkeypatch.setattr(owner, "BEAT_SECONDS", 1000)
    with own(folder):
        write_json(folder, OWNER, {**read_json(folder, OWNER), "token": "other"})
    assert read_json(folder, OWNER)["token"] == "other"


def test_a_command_says_who_holds_its_folder(folder, capsys):
    with own(folder):
        assert main(["demo", "--out", str(folder)]) == 2
    assert f"in use by process {os.getpid()}" in capsys.readouterr().err.replace("\n", " ")
    assert folder.names() == []
