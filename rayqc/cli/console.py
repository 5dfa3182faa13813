"""What a person sees: progress, log lines, errors and results."""

from __future__ import annotations

import json
import logging
from typing import Any

from rich import box
from rich.console import Console as RichConsole
from rich.logging import RichHandler
from rich.table import Table as RichTable
from rich.text import Text

from rayqc.live import LiveProgress
from rayqc.log_lines import JSONLines, wants_json
from rayqc.printable import printable
from rayqc.progress import Progress
from rayqc.shown.base import Shown, Table


class Console:
    """Writes log lines and progress to standard error, and results to standard output."""

    def __init__(self, quiet: bool, run: str | None = None) -> None:
        """Set up rayqc's logger.

        Args:
            run: where the command works, for log lines as JSON.

        Raises:
            UserError: the environment asks for log lines that there are not.
        """
        self._err = RichConsole(stderr=True, highlight=False)
        self._out = RichConsole(highlight=False)
        self._json = wants_json()
        live = self._err.is_terminal and not quiet and not self._json
        handler: logging.Handler = logging.StreamHandler()
        if live:
            handler = RichHandler(
                console=self._err, show_time=False, show_level=False, show_path=False, markup=False
            )
        handler.setFormatter(JSONLines(run) if self._json else _Plain())
        logger = logging.getLogger("rayqc")
        logger.handlers = [handler]
        logger.setLevel(logging.ERROR if quiet else logging.INFO)
        logger.propagate = False
        self.progress = LiveProgress(self._err) if live else Progress()

    def error(self, message: str, lines: bool = False) -> None:
        """Print one line, or with `lines` a traceback; text is neither wrapped nor marked up."""
        if self._json:
            logging.getLogger("rayqc").error(message)
            return
        text = printable(f"rayqc: {message}", keep="\n" if lines else "")
        self._err.print(text, style="bold red", markup=False, soft_wrap=True)

    def document(self, result: Any) -> None:
        """Print a result as one JSON document: all of it, as the functions of Python return it."""
        self._out.print(json.dumps(result, indent=1), markup=False, soft_wrap=True)

    def show(self, shown: Shown) -> None:
        """Print a result's lines and tables."""
        for item in shown:
            if isinstance(item, Table):
                self._out.print(_rich_table(item))
            else:
                self._out.print(printable(item), markup=False, soft_wrap=True)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return level + printable(record.getMessage())


def _rich_table(table: Table) -> RichTable:
    rich_table = RichTable(box=box.SIMPLE_HEAD, title=table.title, title_justify="left")
    for name in table.columns:
        rich_table.add_column(name, justify="right")
    for row in table.rows:
        rich_table.add_row(*(Text(printable(cell)) for cell in row))
    return rich_table
