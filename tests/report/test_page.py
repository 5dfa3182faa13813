"""The page `report.html`: it says what the ledger holds, and nothing from a pool acts in it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.cli.main import main
from rayqc.images.decode import Limits
from rayqc.images.encode import encode_png
from rayqc.regions.statistic_choice import StatisticChoice
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


def test_a_set_of_a_refilter_says_what_it_was_judged_at(tiny_run, tmp_path):
    judged, out = tmp_path / "judged here", tmp_path / "set"
    rayqc.refilter(str(tiny_run), str(judged), coverage=0.975)
    rayqc.select(str(judged), str(out), per_class=2, by="random", run=str(tiny_run))
    for folder in (judged, out):
        facts, _ = read(folder / NAME)
        assert facts["coverage"] == 0.975
        assert "97.5% of fresh" in (folder / NAME).read_text(encoding="utf-8")
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert "* Asked for: 97.5% of fresh real images" in card
        assert "* Statistic: `joint`." in card
        assert facts["named"] == f"{shlex.quote(str(folder))} --judged-by {tiny_run}"
        words = ["refilter", *shlex.split(facts["named"]), "--coverage", "0.9"]
        assert main([*words, "--out", str(tmp_path / f"again-{folder.name}")]) == 0
    facts, _ = read(tiny_run / NAME)
    assert facts["named"] == str(tiny_run)


def test_the_statistic_of_all_is_told_from_that_of_none():
    assert StatisticChoice(by_entry={"a": "label", "b": "label"}).common == "label"
    assert StatisticChoice(by_entry={"a": "label", "b": "joint"}).common is None
    assert StatisticChoice(default="quality").common == "quality"


def test_an_accuracy_of_one_seed_has_no_interval(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    result = json.loads((run / "result.json").read_text())
    for arm in result["classify"]["arms"].values():
        arm["accuracy"]["half_width"] = None
    (run / "result.json").write_text(json.dumps(result))
    rayqc.write_report(str(run))
    facts, _ = read(run / NAME)
    assert {arm["half"] for arm in facts["arms"]} == {None}
    assert " ± " not in (run / NAME).read_text(encoding="utf-8").partition("arms-plot")[2][:3000]


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


ACT = """
  const numbersIn = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => numbersIn(colour).slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const backgroundOf = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return numbersIn(colour)[3] === 0 ? backgroundOf(element.parentElement) : colour;
  };
  const contrast = (element) => {
    const both = [getComputedStyle(element).color, backgroundOf(element)].map(luminance);
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  };
  const set = (element, value) => {
    element.value = value;
    element.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const form = document.getElementById("filters").elements, said = {};
  const found = () => document.getElementById("found").textContent;
  const count = (selector) => document.querySelectorAll(selector).length;
  said.dots = count("#map-plot circle");
  said.bars = count(".bars svg");
  set(form["class"], "1");
  said.ofClass = [count(".card"), found()];
  set(form["class"], "");
  set(form["reason"], REASON);
  said.ofReason = [count(".card"), found()];
  set(document.getElementById("coverage"), COVERAGE);
  said.coverage = document.getElementById("coverage-says").textContent;
  said.kept = [...document.querySelectorAll("#class-table .kept")].map((cell) => cell.textContent);
  const widths = [...document.querySelectorAll("#arms-plot svg, #curve-plot svg")];
  said.cut = widths.filter((plot) => plot.clientWidth > plot.parentElement.clientWidth).length;
  set(form["reason"], "");
  set(form["copies"], "copy");
  said.copies = found();
  said.contrast = Math.min(...["h1", "p", ".note", "td", "a", "button", ".why", ".id"].flatMap(
    (name) => [...document.querySelectorAll(name)].slice(0, 5).map(contrast)));
  said.dark = luminance(backgroundOf(document.body)) < 0.2;
  said.page = document.documentElement.scrollWidth - innerWidth;
  document.title = "said " + encodeURIComponent(JSON.stringify(said));
</script></body>"""
"""What a reader does on the page, and what it shows then, in its title."""


LEAST_CONTRAST = 4.5
"""Of text to what is behind it, as WCAG 2 asks of small letters (level AA)."""


def in_browser(text: str, width: int, scheme: str, folder: Path) -> dict:
    page = folder / "page.html"
    page.write_text(text, encoding="utf-8")
    words = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    command = [str(CHROMIUM), *words.split(), f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [
            *(*command, f"--window-size={width},900", "--virtual-time-budget=4000"),
            f"--blink-settings=preferredColorScheme={['dark', 'light'].index(scheme)}",
            *("--dump-dom", f"file://{page}"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search(r"<title>said (.*)</title>", done.stdout)
    assert title, done.stdout[-2000:]
    return json.loads(unquote(title[1]))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light"), (1400, "dark")])
def test_in_a_browser_the_page_draws_filters_and_moves_its_threshold(
    width, scheme, tiny_run, tmp_path
):
    facts, _ = read(tiny_run / NAME)
    items = facts["items"]
    reason = next(item["reason"] for item in items if item["verdict"] == "rejected")
    act = ACT.replace("REASON", json.dumps(reason))
    act = act.replace("COVERAGE", str(facts["coverages"].index(0.8)))
    text = (tiny_run / NAME).read_text(encoding="utf-8")
    said = in_browser(text.replace("</script>\n</body>", act), width, scheme, tmp_path)
    assert said["dots"] == len([one for one in items + facts["references"] if one["place"]])
    assert said["bars"] == len(facts["classes"])
    for key, value, name in (("class", "1", "ofClass"), ("reason", reason, "ofReason")):
        chosen = [item for item in items if item[key] == value]
        assert said[name][0] == min(len(chosen), 60)
        assert said[name][1].startswith(f"{len(chosen)} of the {len(items)} ")
    again = rayqc.refilter(str(tiny_run), str(tmp_path / "again"), coverage=0.8, scores_only=True)
    assert said["coverage"].startswith(f"80.0%: {again['outcomes']['accepted']} accepted (")
    by_class = again["acceptance"]["by_class"]
    assert said["kept"] == [str(by_class[row["name"]]["accepted"]) for row in facts["classes"]]
    copies = len([item for item in items if item["copy"]])
    assert said["copies"].startswith(f"{copies} of the {len(items)} ")
    assert said["dark"] == (scheme == "dark")
    assert said["contrast"] >= LEAST_CONTRAST
    assert said["cut"] == 0
    assert said["page"] <= 0


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
