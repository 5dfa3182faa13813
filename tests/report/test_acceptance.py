"""Warnings of starved classes and of classes that cannot be told apart."""

from rayqc.pipeline.measured import separation_warnings
from rayqc.report.acceptance import LEAST_SHARE, starved


def test_a_starved_class_is_named_with_what_decided():
    rows = {
        "cat": {
            "share": 0.1,
            "judged": 50,
            "accepted": 5,
            "turned_away": {"label_outside_region": 5, "quality_outside_region": 40},
        },
        "dog": {
            "share": LEAST_SHARE,
            "judged": 50,
            "accepted": 10,
            "turned_away": {"label_outside_region": 40},
        },
        "chosen from": {
            "share": 0.1,
            "judged": 50,
            "accepted": 5,
            "turned_away": {"not_selected": 40, "label_outside_region": 5},
        },
    }
    (line,) = starved({"by_class": rows})
    assert line.startswith(
        "class cat: 10% of 50 accepted; quality_outside_region decided 40 of them"
    )
    assert "rayqc refilter" in line


def test_a_class_that_is_not_told_apart_is_named():
    (line,) = separation_warnings({"cat": 0.55, "dog": 0.9})
    assert "class cat is hardly told from the others" in line
    assert "AUROC 0.55" in line
