"""Which statistic judges which candidates: chosen per pool entry, told by an id's beginning."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rayqc.config.settings import Statistic


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """One for each pool entry, and one for all others."""

    default: Statistic = "joint"
    by_entry: dict[str, Statistic] = field(default_factory=dict)
    """Entry's name, which goes before its ids with a slash."""

    def of(self, ids: list[str]) -> np.ndarray:
        """(N,) str, the statistic of each id."""
        found_N = np.full(len(ids), self.default, object)
        for name, statistic in self.by_entry.items():
            found_N[[row for row, id_ in enumerate(ids) if id_.startswith(f"{name}/")]] = statistic
        return found_N


def statistics_of(held: list[dict[str, Statistic]]) -> Statistics:
    """What a ledger says of the statistics in force, as one."""
    by_entry = {name: value for row in held for name, value in row.items() if name != "default"}
    default: Statistic = held[0]["default"] if held else "joint"
    return Statistics(default=default, by_entry=by_entry)
