"""A score: one term of the evidence against a candidate.

A score is fitted on references and computes raw values of candidates. Its scale is fitted on raw
values of references that the score was not fitted on. The scale turns raw values into log odds: how
much likelier a faulty image is to have them than a genuine one. `joint` adds up the evidence of all
scores; what measures the same thing twice is one term of it (`regions.joint`).

Shape suffixes: N images, C channels, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rayqc.regions.base import Candidates
from rayqc.regions.views.base import ScorerSettings

RawScore = dict[str, np.ndarray]
"""Raw values of N images by one score: named arrays whose first axis is N."""

PIXELS = "pixels"
"""Plain statistics of pixels."""
FEATURES = "features"
"""Features of a network that was trained elsewhere."""
MOST_ODDS = 300.0
"""Largest log odds, in nats: keeps evidence finite and small enough for float32."""


class FittedScore(Protocol):
    """A score that is fitted on references."""

    def raw(self, candidates: Candidates) -> RawScore:
        """Raw values of N images under their own labels."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays of the score."""
        ...


class Scale(Protocol):
    """Turns the raw values of one score into log odds."""

    def log_odds(self, raw: RawScore, label_N: np.ndarray) -> np.ndarray:
        """Log odds of faulty against genuine.

        Args:
            raw: of N images.
            label_N: (N,) int64, the classes that the images were scored under.

        Returns:
            (N,) float64, nats, at most `MOST_ODDS`.
        """
        ...

    def facts(self) -> dict[str, float]:
        """What is not an array."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """What is an array."""
        ...


@dataclass(frozen=True, kw_only=True)
class ScoreKind:
    """How a score and its scale are fitted, and how they are read back from their files."""

    fit: Callable[[Candidates, int, ScorerSettings, int], FittedScore | None]
    """Takes references, K, settings and a seed; equal seeds give equal scores. None where the
    references or the encoder have not what the score needs."""
    restore: Callable[[dict[str, np.ndarray], int, int], FittedScore]
    """Takes the score's arrays, K, and C."""
    fit_scale: Callable[[RawScore, np.ndarray, int, int], Scale]
    """Takes out-of-fold raw values of N references, their labels (N,) int64, K, and the number of
    terms of the joint evidence that are distances, at least 1."""
    restore_scale: Callable[[dict[str, float], dict[str, np.ndarray]], Scale]
    """Takes the scale's facts and arrays."""
    measures: str = ""
    """What it measures. Scores that measure the same, at two sizes of the image or at two depths of
    a network, are one term of the joint evidence; one that names nothing is a term of its own."""
