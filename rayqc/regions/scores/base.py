"""What a score is: one part of the evidence against a candidate.

A score is fitted on references and gives raw values of candidates. Raw values of references that it
has not seen give its scale, which turns raw values into log odds: how much likelier is what was
seen in a faulty image than in a genuine one? `joint` sums what the scales of all scores say.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rayqc.regions.base import Candidates
from rayqc.regions.views.base import LabelSettings

RawScore = dict[str, np.ndarray]
"""Raw values of N images: arrays whose first axis is N."""

MOST_ODDS = 300.0
"""Nats; keeps evidence finite and small enough for float32."""


class FittedScore(Protocol):
    """A score that knows the references."""

    def raw(self, candidates: Candidates) -> RawScore:
        """Raw values of images under their own labels."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by names that no other score uses: they begin with its own."""
        ...


class Scale(Protocol):
    """Raw values to log odds."""

    def log_odds(self, raw: RawScore, label_N: np.ndarray) -> np.ndarray:
        """(N,) float64 nats, at most `MOST_ODDS`: fault against genuine."""
        ...

    def facts(self) -> dict[str, float]:
        """All of it that is not an array, by names that no other scale uses."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it that is an array, likewise."""
        ...


@dataclass(frozen=True, kw_only=True)
class ScoreKind:
    """How a score and its scale are fitted, and how they come back from their files."""

    fit: Callable[[Candidates, int, LabelSettings, int], FittedScore]
    """Takes references, the number of classes, settings and a seed; equal seeds, equal scores."""
    restore: Callable[[dict[str, np.ndarray], int, int], FittedScore]
    """Takes the arrays of all scores, the number of classes, and the images' channels."""
    fit_scale: Callable[[RawScore, np.ndarray, int], Scale]
    """Takes out-of-fold raw values of references, their labels, and the number of classes."""
    restore_scale: Callable[[dict[str, float], dict[str, np.ndarray]], Scale]
    """Takes the facts and the arrays of all scales."""
