"""One unit of a generator: its candidates made and committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rayqc.ledger.commit import Commit, commit_unit
from rayqc.ledger.plan import work_digest
from rayqc.schema import candidate_schema
from rayqc.sources import Source
from rayqc.storage import Folder
from rayqc.units import Unit


class GenerateWorker:
    """Makes and commits the candidates of unit after unit."""

    def __init__(self, out: Folder, sources: Sequence[Source]) -> None:
        self.out = out
        self.sources = sources
        self.work = work_digest(out)

    def __call__(self, index: int, unit: Unit, poison: dict[int, str]) -> Commit | None:
        """Make the unit's candidates and commit them."""
        source = self.sources[unit.entry]
        # A candidate that could not be made stays in the pool, without an image: nothing is lost.
        table = source.read(unit).select(candidate_schema(()).names)
        label_N = np.asarray(table["label"])
        counts = Counter(source.classes[label] for label in label_N)
        return commit_unit(
            self.out,
            index,
            self.work,
            {"pool": table},
            outcomes={"pool": table.num_rows},
            reasons={},
            by_class={name: {"pool": count} for name, count in counts.items()},
        )
