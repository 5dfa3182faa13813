"""The live display: what it says of stages that are done, at work, and to come."""

import io

import pytest
from rich.console import Console

from rayqc.live import LiveProgress


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), force_terminal=True, width=90, color_system=None)


def drawn(display):
    """The lines that the display would draw now."""
    console = Console(file=io.StringIO(), width=90, color_system=None)
    console.print(display._drawn())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_every_stage_has_a_line_and_those_at_work_a_bar(screen):
    display = LiveProgress(screen)
    with display.stages({"train": 30.0, "fit": 200.0, "filter": None}):
        assert drawn(display) == [
            "  train     about 30 s",
            "  fit       about 3 min",
            "  filter",
        ]
        with display.doing("train"), display.stage("train", 10, "steps") as stage:
            stage.measured(5, {"loss": 93.5})
            stage.advance(10)
        with display.doing("fit"), display.stage("encode", 40) as stage:
            stage.outcomes.update(accepted=3, rejected=1, error=1)
            stage.advance(10)
            lines = drawn(display)
    assert lines[0].startswith("✓ train     10 steps; loss 93.5, 0 s")
    assert lines[1].startswith("> fit       ━")
    assert lines[1].endswith("encode: 10/40 images; 60% accepted, 1 error")
    assert lines[2] == "  filter"
    last = screen.file.getvalue().splitlines()
    assert any("✓ fit       10 images; 60% accepted, 1 error, 0 s" in line for line in last)


def test_a_stage_is_told_by_its_own_counter_and_not_by_those_of_its_parts(screen):
    display = LiveProgress(screen)
    counted = (("compare", 5, "images"), ("filter", 9, "images"), ("shards", 3, "shards"))
    with display.stages({"filter": None}), display.doing("filter"):
        for name, total, unit in counted:
            with display.stage(name, total, unit) as stage:
                stage.advance(total)
    assert "✓ filter    9 images, 0 s" in screen.file.getvalue()


def test_what_fails_is_marked_and_the_next_display_is_a_new_one(screen):
    display = LiveProgress(screen)
    with pytest.raises(RuntimeError), display.stages({"train": 1.0}), display.doing("train"):
        raise RuntimeError
    assert "✗ train" in screen.file.getvalue()
    with display.stage("check", 3) as stage:
        stage.advance(1)
        assert [line[:11] for line in drawn(display)] == ["> check    "]


def test_names_cannot_command_the_terminal(screen):
    display = LiveProgress(screen)
    with display.stage("bad\x1b[2J", 3) as stage:
        stage.advance(1)
        assert r"bad\x1b[" in drawn(display)[0]
