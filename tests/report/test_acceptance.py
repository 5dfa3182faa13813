"""Warnings of starved classes and of classes that cannot be told apart."""

from rayqc.pipeline.measured import separation_warnings
from rayqc.report.acceptance import LEAST_SHARE, starved
from rayqc.shown.base import harm_words


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
        "few images are accepted of class cat (5 of 50); quality_outside_region decided 40 of 45"
    )
    assert "rayqc refilter" in line
    rows = {str(number): rows["cat"] for number in range(30)}
    (line,) = starved({"by_class": rows})
    assert "9 (5 of 50) and 20 more; quality_outside_region decided 1,200 of 1,350" in line


def test_harm_is_said_where_the_interval_shows_it():
    def gain(mean, half_width):
        return {"accepted - real": {"mean": mean, "half_width": half_width}}

    assert "worse than with the references alone (-0.6 ± 0.4 points)" in harm_words(
        gain(-0.006, 0.004)
    )
    assert harm_words(gain(-0.006, 0.007)) == harm_words(gain(0.01, 0.001)) == ""
    assert harm_words(gain(-0.006, None)) == harm_words({}) == ""


def test_a_class_that_is_not_told_apart_is_named():
    (line,) = separation_warnings({"cat": 0.55, "dog": 0.9})
    assert "class cat is hardly told from the others" in line
    assert "AUROC 0.55" in line
