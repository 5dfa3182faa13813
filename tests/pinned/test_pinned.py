"""What the package gives is what it gave: ids, scores, verdicts, keys, exit codes, texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pinned import pins

pytestmark = [pytest.mark.long, pytest.mark.ci]

PINS = json.loads((Path(__file__).parent / "pins.json").read_text())
EXACT = ("help", "mistakes", "result.json keys", "files", "config", "stages", "undone by", "clean")
"""Do not depend on the last digits of this machine's arithmetic."""


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def collected(ray_session, tmp_path_factory, monkeypatch_module):
    monkeypatch_module.setenv("COLUMNS", "100")  # tables are drawn to the terminal's width
    return pins.collect(tmp_path_factory.mktemp("pinned"))


@pytest.mark.parametrize("name", [name for name in PINS if name != "probe"])
def test_nothing_has_changed(collected, name):
    if name not in EXACT and PINS["probe"] != pins.probe():
        pytest.skip(f"pinned with other arithmetic ({PINS['probe']}), here {pins.probe()}")
    assert collected[name] == PINS[name]
