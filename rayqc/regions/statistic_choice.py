"""Which statistic judges each candidate: set per pool entry, recognised by the candidate's id."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rayqc.config.base import JOINT, Statistic


@dataclass(frozen=True, kw_only=True)
class StatisticChoice:
    """A statistic for each named pool entry, and one for all other candidates."""

    default: Statistic = JOINT
    """For ids of no entry in `by_entry`."""
    by_entry: dict[str, Statistic] = field(default_factory=dict)
    """By the entry's name. Its ids begin with the name and a slash."""

    @property
    def common(self) -> Statistic | None:
        """The statistic of all candidates; None where entries have several."""
        statistics = {*self.by_entry.values()} or {self.default}
        return statistics.pop() if len(statistics) == 1 else None

    def of(self, ids: list[str]) -> np.ndarray:
        """(N,) str, the statistic of each id."""
        statistic_N = np.full(len(ids), self.default, object)
        for name, statistic in self.by_entry.items():
            statistic_N[[row for row, id_ in enumerate(ids) if id_.startswith(f"{name}/")]] = (
                statistic
            )
        return statistic_N
