"""Results that know how they are shown: plain values, ready for JSON, and a table in a notebook."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from html import escape
from typing import Any, ParamSpec, TypeVar, cast

from rayqc.printable import printable
from rayqc.shown.base import Shown, Table

P = ParamSpec("P")
R = TypeVar("R")

Show = Callable[[Any, str], Shown]
"""Takes a result, and where its files are."""
PLACES = ("out", "run", "place", "path", "source")
"""Arguments that name where a result's files are, the likeliest first."""
STYLE = "text-align:right;padding:.2em .8em"


class Displayed:
    """A result, and how it is shown."""

    show: Show
    place: str

    def shown(self) -> Shown:
        """Its lines and tables."""
        return self.show(self, self.place)

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        return html(self.shown())


class DisplayedDict(Displayed, dict[str, Any]):
    """A result of named values."""


class DisplayedList(Displayed, list[Any]):
    """A result of several of one kind."""


def displayed(result: R, show: Show, place: str = "") -> R:
    """The same values, which know how they are shown.

    Args:
        result: a dictionary or a list.
        show: makes lines and tables of it.
        place: where its files are.
    """
    own = DisplayedList(result) if isinstance(result, list) else DisplayedDict(cast("Any", result))
    own.show, own.place = show, place
    return cast("R", own)


def shown_by(show: Show) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let the results of a function know how they are shown."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            result = function(*args, **kwargs)
            arguments = signature.bind(*args, **kwargs).arguments
            places = (arguments.get(name) for name in PLACES)
            return displayed(result, show, str(next((one for one in places if one), "")))

        return called

    return decorate


def html(shown: Shown) -> str:
    """Lines and tables as HTML; no text of theirs is read as markup."""
    return "\n".join(_table(item) if isinstance(item, Table) else _line(item) for item in shown)


def _line(text: str) -> str:
    return f'<div style="white-space:pre-wrap">{escape(printable(text))}</div>'


def _table(table: Table) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        made = (f'<{tag} style="{STYLE}">{escape(printable(cell))}</{tag}>' for cell in cells)
        return f"<tr>{''.join(made)}</tr>"

    title = f"<caption>{escape(printable(table.title))}</caption>" if table.title else ""
    rows = "".join(row(cells, "td") for cells in table.rows)
    return f"<table>{title}<thead>{row(table.columns, 'th')}</thead><tbody>{rows}</tbody></table>"
