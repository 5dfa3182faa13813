"""Follow a run, or a filter's output, that a command is at work on, perhaps on another machine."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

import rayqc
from rayqc.printable import printable

SECONDS = 2.0


def watch(place: str) -> Any:
    """Show where it stands again and again, until nobody is at work there; returns how it ended."""
    with Live(console=Console(stderr=True), transient=True) as live:
        while True:
            state: Any = rayqc.status(place)
            live.update(Text("\n".join(printable(str(line)) for line in state.shown())))
            if not state["owner"]:
                return state
            time.sleep(SECONDS)
