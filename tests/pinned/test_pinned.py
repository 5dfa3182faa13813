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
def other_arithmetic():
    """The probe of this machine, where its arithmetic is not that of the pins; else empty."""
    here = pins.probe()
    return "" if here == PINS["probe"] else here


@pytest.fixture(scope="module")
def collected(ray_session, tmp_path_factory, monkeypatch_module, other_arithmetic):
    monkeypatch_module.setenv("COLUMNS", "100")  # tables are drawn to the terminal's width
    # With other arithmetic, what follows the exact sections could not be compared.
    return pins.collect(tmp_path_factory.mktemp("pinned"), set(EXACT) if other_arithmetic else None)


@pytest.mark.parametrize("name", [name for name in PINS if name != "probe"])
def test_nothing_has_changed(collected, other_arithmetic, name):
    if name not in EXACT and other_arithmetic:
        pytest.skip(f"pinned with other arithmetic ({PINS['probe']}), here {other_arithmetic}")
    assert collected[name] == PINS[name]
