"""Which statistic judges which candidates: chosen per pool entry, told by an id's beginning."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rayqc.config.base import JOINT, Statistic


@dataclass(frozen=True, kw_only=True)
class StatisticChoice:
    """One for each pool entry, and one for all others."""

    default: Statistic = JOINT
    by_entry: dict[str, Statistic] = field(default_factory=dict)
    """Entry's name, which goes before its ids with a slash."""

    def of(self, ids: list[str]) -> np.ndarray:
        """(N,) str, the statistic of each id."""
        found_N = np.full(len(ids), self.default, object)
        for name, statistic in self.by_entry.items():
            found_N[[row for row, id_ in enumerate(ids) if id_.startswith(f"{name}/")]] = statistic
        return found_N
