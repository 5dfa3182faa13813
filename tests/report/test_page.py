"""The page `report.html`: it says what the ledger holds, and nothing from a pool acts in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.images.decode import Limits
from rayqc.images.encode import encode_png
from rayqc.report.images import _may_hold
from rayqc.report.page.facts import _finite
from rayqc.report.page.gallery import _shares, picture, positions
from rayqc.report.page.render import NAME

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
EVIL = "</script><img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """Counts elements, and keeps the text of the element with id `facts`."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.facts = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self._inside = ("id", "facts") in attrs

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.facts += data


def read(page: Path) -> tuple[dict, list[str]]:
    parser = Elements()
    parser.feed(page.read_text(encoding="utf-8"))
    return json.loads(parser.facts), parser.names


def test_the_page_of_a_run_says_what_its_ledger_and_its_result_hold(tiny_run):
    facts, _ = read(tiny_run / NAME)
    result = json.loads((tiny_run / "result.json").read_text())
    assert facts["judged"] == result["ledger"]["read"]
    for verdict, count in result["ledger"]["outcomes"].items():
        assert facts["counts"][verdict] == count
    by_class = {row["name"]: row for row in facts["classes"]}
    for name, row in result["acceptance"]["by_class"].items():
        assert by_class[name]["accepted"] == row["accepted"]
        assert sum(by_class[name]["candidates"]) == row["judged"]
        assert sum(by_class[name]["genuine"]) == by_class[name]["references"]
    arms = {arm["name"]: arm["mean"] for arm in facts["arms"]}
    assert arms["accepted"] == result["table3"]["after"]["mean"]
    scores = pq.read_table(next((tiny_run / "filtered/scores").iterdir())).to_pylist()
    score_by_id = {row["id"]: row["score"] for row in scores}
    assert len(facts["items"]) > 20
    for item in facts["items"]:
        assert item["score"] == pytest.approx(score_by_id[item["id"]], abs=1e-3)
        assert item["picture"].startswith("data:image/webp;base64,")
        assert 0 <= item["place"][0] <= 1
    assert {row["name"] for row in facts["stages"]} >= {"train", "fit", "filter"}


def test_the_page_needs_no_network_and_is_small(tiny_run):
    text = (tiny_run / NAME).read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert "default-src 'none'" in text
    assert len(text) < 5_000_000


def test_names_from_a_pool_do_nothing_in_the_page(tiny_run, tmp_path):
    pool = pq.read_table(next((tiny_run / "pool").rglob("*.parquet"))).slice(0, 6)
    ids = [f"{number} {EVIL}" for number in range(6)]
    pool = pool.set_column(0, pool.schema.field("id"), pa.array(ids))
    source = pa.array([EVIL] * 6)
    pool = pool.set_column(pool.schema.get_field_index("source"), "source", source)
    pq.write_table(pool, tmp_path / "pool.parquet")
    out = tmp_path / "kept"
    rayqc.filter_pool(str(tiny_run), str(tmp_path / "pool.parquet"), str(out))
    facts, names = read(out / NAME)
    assert any(EVIL in item["id"] for item in facts["items"])
    assert "img" not in names
    assert names.count("script") == 2
    assert rayqc.write_report(str(out), run=str(tiny_run)) == {"report": str(out / NAME)}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_in_a_browser_the_page_draws_and_filters(tiny_run, tmp_path):
    """The page with a line that chooses the class 1, and says in its title what it shows then."""
    choose = """
      const select = document.getElementById("filters").elements["class"];
      select.value = "1";
      select.dispatchEvent(new Event("input", { bubbles: true }));
      const cards = document.querySelectorAll(".card").length;
      const dots = document.querySelectorAll("#map-plot circle").length;
      const bars = document.querySelectorAll(".bars svg").length;
      const found = document.getElementById("found").textContent;
      document.title = ["shown", cards, dots, bars, found].join("|");
    </script></body>"""
    text = (tiny_run / NAME).read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(text.replace("</script>\n</body>", choose), encoding="utf-8")
    words = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    command = [str(CHROMIUM), *words.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    found = subprocess.run(
        [*command, "--virtual-time-budget=4000", "--dump-dom", f"file://{page}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    facts, _ = read(tiny_run / NAME)
    of_one = [item for item in facts["items"] if item["class"] == "1"]
    places = [one for one in facts["items"] + facts["references"] if one["place"]]
    title = re.search(r"<title>shown\|(.*)</title>", found.stdout)
    assert title, found.stdout[-2000:]
    cards, dots, bars, words = title[1].split("|")
    assert int(cards) == min(len(of_one), 60)
    assert int(dots) == len(places)
    assert int(bars) == len(facts["classes"])
    assert words.startswith(f"{len(of_one)} of the {len(facts['items'])} ")


def test_pictures_are_small_and_none_of_what_is_no_image(rng):
    large = rng.integers(0, 256, (600, 400, 3)).astype(np.uint8)
    assert 0 < len(picture(encode_png(large), Limits())) < 8_000
    assert picture(b"no image", Limits()) == ""
    assert picture(None, Limits()) == ""


def test_the_map_spreads_over_its_square(rng):
    place_N2 = positions(rng.normal(size=(50, 7)) * [5, 3, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(place_N2.min(0), 0, atol=1e-12)
    np.testing.assert_allclose(place_N2.max(0), 1, atol=1e-12)
    assert positions(np.ones((3, 4))).shape == (3, 2)


def test_a_score_without_end_is_none_in_the_page():
    assert [_finite(score) for score in (0.12345, float("inf"), None)] == [0.123, None, None]


def test_row_groups_without_a_wanted_id_are_passed_over(tmp_path):
    table = pa.table({"image": [b""] * 6, "id": ["a", "b", "c", "k", "l", "m"]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=3)
    metadata = pq.ParquetFile(tmp_path / "t.parquet").metadata
    first, second = (metadata.row_group(number) for number in range(2))
    assert _may_hold(first, ["b"])
    assert not _may_hold(first, ["d", "z"])
    assert _may_hold(second, ["a", "k"])
    assert not _may_hold(second, [])


def test_row_groups_are_taken_of_all_shards_alike():
    assert sum(_shares([1000, 1000, 1000, 1000], 8)) == 8
    assert _shares([1000, 1000], 8) == [4, 4]
    assert _shares([10], 24) == [24]
