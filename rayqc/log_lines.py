"""Log lines as JSON objects, for what collects the logs of a cluster; RAYQC_LOG=json asks for them.

The fields have the names that Ray gives those of its workers.
"""

from __future__ import annotations

import json
import logging
import os

from rayqc.errors import UserError
from rayqc.printable import printable

ASKED_BY = "RAYQC_LOG"
KINDS = ("text", "json")
OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


def wants_json() -> bool:
    """Does the environment ask for JSON?

    Raises:
        UserError: it asks for something else than `text` or `json`.
    """
    asked = os.environ.get(ASKED_BY) or KINDS[0]
    if asked not in KINDS:
        raise UserError(f"{ASKED_BY} is {asked!r}; expected {' or '.join(KINDS)}")
    return asked == "json"


class JSONLines(logging.Formatter):
    """One object a line: time, level, message, the run, and what a record has besides."""

    def __init__(self, run: str | None) -> None:
        super().__init__()
        self._run = {"run": run} if run else {}

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        facts = {
            "asctime": self.formatTime(record),
            "levelname": record.levelname,
            "message": printable(record.getMessage()),
            **self._run,
            **{k: v for k, v in record.__dict__.items() if k not in OF_EVERY_RECORD},
        }
        return json.dumps(facts, default=str)
