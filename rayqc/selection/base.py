"""What a way of choosing gets, and what it gives back.

Shape suffixes: N candidates, R references, D directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The accepted candidates of one class, and what is known of its references.

    All vectors are latents in the directions of `target.Space`.
    """

    candidate_ND: np.ndarray
    """float32, in an order that depends on their ids alone."""
    reference_RD: np.ndarray
    """float32, of the class."""
    mean_D: np.ndarray
    """float64, of the class's references."""
    covariance_DD: np.ndarray
    """float64, within the class, shrunk; see `target.Space`."""
    wanted: int
    """How many to choose, less than N."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class SelectionKind:
    """One way of choosing."""

    choose: Callable[[Choice], np.ndarray]
    """Gives (wanted,) int64 different row numbers of the candidates; equal choices, equal rows."""
    needs_latents: bool = True
