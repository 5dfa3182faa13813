"""What the package gives is what it gave: ids, scores, verdicts, keys, exit codes, texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pinned import pins

pytestmark = pytest.mark.long

PINS = json.loads((Path(__file__).parent / "pins.json").read_text())
EXACT = ("help", "mistakes", "result.json keys", "files", "config", "stages", "undone by", "clean")
"""Do not depend on the last digits of this machine's arithmetic."""
WITHOUT_A_RUN = ("help", "mistakes")
"""Seconds, where the others take a whole run and more."""
MARKS = dict.fromkeys(WITHOUT_A_RUN, pytest.mark.ci)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def other_arithmetic():
    """The probe of this machine, where its arithmetic is not that of the pins; else empty."""
    here = pins.probe()
    return "" if here == PINS["probe"] else here


@pytest.fixture(scope="module")
def collected(request, ray_session, tmp_path_factory, monkeypatch_module, other_arithmetic):
    """The sections of those tests that run here, and of those before them."""
    monkeypatch_module.setenv("COLUMNS", "100")  # tables are drawn to the terminal's width
    of_tests = (item for item in request.session.items if item.module is request.module)
    wanted = {item.callspec.params["name"] for item in of_tests}
    if other_arithmetic:
        wanted &= {*EXACT}
    return pins.collect(tmp_path_factory.mktemp("pinned"), wanted)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, ())) for name in PINS if name != "probe"]
)
def test_nothing_has_changed(collected, other_arithmetic, name):
    if name not in EXACT and other_arithmetic:
        pytest.skip(f"pinned with other arithmetic ({PINS['probe']}), here {other_arithmetic}")
    assert collected[name] == PINS[name]
