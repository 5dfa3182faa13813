"""Files and folders that may not be read."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.sources.test_folders import fill

AS_NOBODY = """
import os, sys
from rayqc.errors import RayqcError
from rayqc.sources.folder import open_folder
from rayqc.sources.select import read_all
from rayqc.units import WHOLE

def look():
    try:
        source = open_folder(sys.argv[1])
        (unit,) = source.units(WHOLE)
        table = source.read(unit)
        print(table["id"].to_pylist(), table[table.column_names[-1]].to_pylist())
        read_all(source)
    except RayqcError as error:
        print(type(error).__name__, error)

look()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
look()
"""


def as_nobody(folder):
    """What `AS_NOBODY` prints after it gave up root's rights, which all files are open to."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, folder], capture_output=True, text=True, timeout=120
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("may not become another user here")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def open_to_all():
    """A folder that another user may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_file_that_may_not_be_read_is_a_problem_of_its_row(open_to_all):
    fill(open_to_all, "cat/1.png", "cat/2.png")
    (open_to_all / "cat" / "2.png").chmod(0)
    said = as_nobody(str(open_to_all))
    assert "[None, {'reason': 'unreadable', 'message': 'Permission denied'}]" in said
    assert "InputError real image cat/2.png of" in said
    assert "is unreadable: Permission denied; none of the real images is passed over" in said


def test_a_folder_that_may_not_be_listed_is_refused(open_to_all):
    fill(open_to_all, "cat/1.png", "dog/2.png", ".hidden/3.png", "lost+found/4.png")
    for name in ("dog", ".hidden", "lost+found"):
        (open_to_all / name).chmod(0)
    said = as_nobody(str(open_to_all))
    assert f"InputError cannot list {open_to_all}/dog/: Permission denied; images below it" in said
    (open_to_all / "dog").chmod(0o755)
    assert as_nobody(str(open_to_all)).splitlines()[-1].startswith("['cat/1.png', 'dog/2.png']")
    for name in (".hidden", "lost+found"):
        (open_to_all / name).chmod(0o755)
