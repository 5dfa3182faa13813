"""`rayqc worth`: accuracy by the size of the set, and the size that is enough."""

import json

import numpy as np
import pytest

import rayqc
from rayqc.cli.main import main
from rayqc.errors import ConfigError
from rayqc.pipeline.worth import _recommend, _sizes


def test_sizes_and_ways_are_measured_and_one_is_said(tiny_run, tmp_path, capsys):
    judged = str(tmp_path / "most")
    rayqc.refilter(str(tiny_run), judged, coverage=1.0, statistic="label")
    words = ["worth", judged, "--judged-by", str(tiny_run), "--sizes", "2", "5"]
    assert main([*words, "--seeds", "3", "--ways", "coverage", "central"]) == 0
    said = capsys.readouterr().out
    result = json.loads((tmp_path / "most" / "worth.json").read_text())
    assert set(result["sizes"]) == {"random", "coverage", "central"}
    for rows in result["sizes"].values():
        assert [row["per_class"] for row in rows] == [2, 5]
        assert rows[0]["added"] < rows[1]["added"]
        assert all(0.1 < row["accuracy"]["mean"] < 1 for row in rows)
    assert result["says"] in " ".join(said.split())
    again = rayqc.worth(judged, run=str(tiny_run), sizes=[2, 5], seeds=3, by=["random"])
    assert again["sizes"]["random"] == result["sizes"]["random"]


def test_what_cannot_be_is_refused(tiny_run):
    with pytest.raises(ConfigError, match="expected of herding, coverage"):
        rayqc.worth(str(tiny_run), by=["best"])
    with pytest.raises(ConfigError, match="at least 2 seeds"):
        rayqc.worth(str(tiny_run), seeds=1)
    with pytest.raises(ConfigError, match="sizes of 1 or more"):
        rayqc.worth(str(tiny_run), sizes=[0])


def test_sizes_end_at_the_largest_class():
    assert _sizes(1) == [1]
    assert _sizes(37) == [1, 2, 5, 10, 20, 37]
    assert _sizes(200) == [1, 2, 5, 10, 20, 50, 100, 200]


def test_the_smallest_set_that_is_no_worse_is_recommended():
    noise = np.array([-0.01, 0.0, 0.01, 0.0])
    by_point = {
        ("random", 0): 0.5 + noise,
        ("random", 10): 0.6 + noise,
        ("coverage", 10): 0.7 + noise,
        ("random", 50): 0.7005 + noise[::-1],
        ("coverage", 50): 0.7 + noise,
    }
    found, says = _recommend(by_point, [10, 50], ("coverage", "random"))
    assert found == {"by": "coverage", "per_class": 10}
    assert says.startswith("10 images of each class by coverage are enough: +20.0 ± 0.0 points")
    none, says = _recommend(
        {("random", 0): 0.5 + noise, ("random", 10): 0.5 + noise[::-1]}, [10], ("random",)
    )
    assert none is None
    assert "no size was shown to help" in says
