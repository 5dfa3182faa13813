"""What a training has to say, held where its first worker writes and its driver reads.

An actor of its own: what this file imports is imported anew in its process.
"""

from __future__ import annotations

Measured = dict[str, float]
"""What a training measured at a step, by name; among them the step itself."""
STEP = "step"


class Board:
    """An actor that holds what the first worker said last, and whether the driver has left."""

    def __init__(self) -> None:
        self.step = 0
        self.unread: list[Measured] = []
        self.over = False

    def write(self, measured: Measured) -> None:
        """Keep what was measured at a step."""
        self.step = int(measured[STEP])
        self.unread.append(measured)

    def read(self) -> tuple[int, list[Measured]]:
        """The last step written, and what has not been read yet."""
        unread, self.unread = self.unread, []
        return self.step, unread

    def close(self) -> None:
        """Note that the driver has left."""
        self.over = True

    def closed(self) -> bool:
        """Has the driver left?"""
        return self.over
