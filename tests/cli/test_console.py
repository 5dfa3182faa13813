"""What a person sees, without a command around it."""

import logging

import pytest

from rayqc.cli.console import Console


@pytest.fixture
def logger():
    package = logging.getLogger("rayqc")
    handlers, propagate, level = package.handlers, package.propagate, package.level
    yield logging.getLogger("rayqc.somewhere")
    package.handlers, package.propagate = handlers, propagate
    package.setLevel(level)


def test_a_warning_is_said_once_and_all_else_each_time(logger, capsys):
    Console(quiet=False)
    for place in ("here", "there", "here"):
        logger.warning("%s: left out", place)
        logger.info("begun")
        logger.error("lost")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "left" in line] == [
        "warning: here: left out",
        "warning: there: left out",
    ]
    assert lines.count("begun") == lines.count("error: lost") == 3
