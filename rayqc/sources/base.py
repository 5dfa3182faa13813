"""What a source is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pyarrow as pa

from rayqc.units import Unit

NO_LABEL = -1


class Source(Protocol):
    """Labelled images at one place. Small, and safe to send to other processes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a label is an index into them."""
        ...

    def units(self, most_rows: int) -> list[Unit]:
        """All of it, in a fixed order, in pieces of at most `most_rows`."""
        ...

    def labels(self, unit: Unit) -> np.ndarray:
        """(n,) int64 labels of the unit's rows without reading images; -1 where there is none."""
        ...

    def read(self, unit: Unit) -> pa.Table:
        """The unit's rows, in `schema.candidate_schema(self.classes)`."""
        ...
