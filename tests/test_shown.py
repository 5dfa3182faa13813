"""Results know how they are shown, and are plain values all the same."""

import json

import rayqc
from rayqc.shown.base import Table, few_tests_lines
from rayqc.shown.displayed import displayed, html


def test_a_notebook_shows_tables_and_no_text_is_markup():
    name = "<script>\x1b[2J"
    shown = html([f"of {name}", Table(columns=("class", "<b>"), rows=[(name, "1")], title="<i>")])
    assert "<script>" not in shown
    assert "\x1b" not in shown
    assert shown.count("&lt;script&gt;") == 2
    assert "<th " in shown
    assert "&lt;b&gt;" in shown
    assert "<caption>&lt;i&gt;</caption>" in shown


def test_values_are_as_they_were():
    found = displayed({"a": {"b": [1.5]}}, lambda result, place: [f"{result['a']} in {place}"], "X")
    assert found == {"a": {"b": [1.5]}}
    assert json.loads(json.dumps(found)) == found
    assert found.shown() == ["{'b': [1.5]} in X"]
    listed = displayed([1, 2], lambda result, place: [str(sum(result))])
    assert listed == [1, 2]
    assert "3" in listed._repr_html_()


def test_functions_say_what_the_command_says(tiny_run, capsys):
    from rayqc.cli.main import main

    state = rayqc.status(str(tiny_run))
    assert main(["status", str(tiny_run)]) == 0
    assert capsys.readouterr().out.split() == " ".join(state.shown()).split()
    assert "classify: done" in state._repr_html_()
    result = rayqc.run(str(tiny_run / "config.yaml"), str(tiny_run))
    assert "<caption>accepted by class</caption>" in result._repr_html_()
    assert f"{tiny_run}/report.html" in result._repr_html_()
    assert rayqc.run.__name__ == "run"
    assert "Do all stages of a run" in rayqc.run.__doc__


def test_what_few_test_images_leave_open_is_told():
    def classified(accuracy, images):
        arm = {"accuracy": {"mean": accuracy, "half_width": 0.001}, "seeds": 5, "added": 0}
        return {"arms": {"real": arm}, "test_images": images}

    (line,) = few_tests_lines(classified(0.9, 100))
    assert line.startswith(
        "100 test images: of all images like them an accuracy may differ by 6.1 points"
    )
    assert "2.6 points" in few_tests_lines(classified(1.0, 100))[0]  # all right: not sure of it
    assert "1.9 points" in few_tests_lines(classified(0.9, 1000))[0]
    assert few_tests_lines(classified(0.9, 10_000)) == []
    assert few_tests_lines({}) == []
