"""How many candidates to draw next of each class from each generator, and when to give one up.

Shape suffixes: E generators, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DOUBT = 0.05
"""Chance, over all generators and classes and for ever, that a bound is wrong once."""
GROWTH = 4
"""A round draws at most so many times what was drawn before: early shares are poor guesses."""
LOOK = 4.0
"""Over the floor: draws of an early round while a share may lie below it."""
HALVINGS = 60


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is drawn for; see `rayqc.generate_until`."""

    until: int
    budget: int | None
    floor: float


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What was drawn and accepted so far, (E, K) int64 each."""

    drawn_EK: np.ndarray
    accepted_EK: np.ndarray

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            drawn_EK=self.drawn_EK + other.drawn_EK,
            accepted_EK=self.accepted_EK + other.accepted_EK,
        )


def share_bounds(accepted: int, drawn: int, doubt: float) -> tuple[float, float]:
    """Bounds on the share of a generator's images that are accepted, valid at any time.

    With chance 1 - `doubt` they hold after every draw at once, however often one looks and
    whatever decides when to stop: the shares p at which the uniform mixture's likelihood ratio
    B(s + 1, f + 1) / (p^s (1 - p)^f), of s accepted and f not, stays below 1 / doubt.

    Source: Robbins 1970; Ville's inequality.
    """
    s, f = accepted, drawn - accepted
    mixture = math.lgamma(s + 1) + math.lgamma(f + 1) - math.lgamma(drawn + 2)
    most = math.log(1 / doubt) - mixture

    def outside(p: float) -> bool:
        if not 0 < p < 1:  # an end that some draw has ruled out, or rounding has led to
            return True
        likelihood = (s * math.log(p) if s else 0.0) + (f * math.log1p(-p) if f else 0.0)
        return -likelihood > most

    middle = s / drawn if drawn else 0.5
    low = 0.0 if s == 0 else _edge(0.0, middle, outside)
    high = 1.0 if f == 0 else _edge(1.0, middle, outside)
    return low, high


def given_up(tally: Tally, wanted: Wanted) -> np.ndarray:
    """(E, K) bool: of these surely less than the floor is accepted."""
    return np.asarray(all_bounds(tally)[1] < wanted.floor)


def all_bounds(tally: Tally) -> tuple[np.ndarray, np.ndarray]:
    """(E, K) lower and upper bounds, wrong anywhere and ever with chance `DOUBT`."""
    doubt = DOUBT / tally.drawn_EK.size
    pairs = zip(tally.accepted_EK.ravel(), tally.drawn_EK.ravel(), strict=True)
    both = [share_bounds(int(s), int(n), doubt) for s, n in pairs]
    low_EK, high_EK = np.reshape(both, (*tally.drawn_EK.shape, 2)).transpose(2, 0, 1)
    return low_EK, high_EK


def next_draws(
    tally: Tally, wanted: Wanted, share_E: np.ndarray, batch_E: np.ndarray
) -> np.ndarray:
    """(E, K) candidates to draw in the next round, in whole batches; all zero at the end.

    A class that lacks images is drawn by all generators that are not given up, in proportion to
    their shares, as often as its share accepted so far lets expect. The first round draws as
    many as are wanted, which cannot be too many, and as long as a generator may have to be given
    up no round draws more of it than a few times what that takes, or than it has drawn.
    """
    lacking_K = np.maximum(wanted.until - tally.accepted_EK.sum(0), 0)
    low_EK, high_EK = all_bounds(tally)
    open_EK = (high_EK >= wanted.floor) & (lacking_K > 0)
    weight_EK = share_E[:, None] * open_EK
    total_K = weight_EK.sum(0)
    weight_EK = np.divide(weight_EK, total_K, out=np.zeros_like(weight_EK), where=total_K > 0)
    # A uniform prior: an expectation without any draw, and never zero.
    expected_EK = (tally.accepted_EK + 1) / (tally.drawn_EK + 2)
    drawn_K = tally.drawn_EK.sum(0)
    rate_K = np.where(drawn_K == 0, 1.0, (weight_EK * expected_EK).sum(0))
    draws_K = np.divide(lacking_K, rate_K, out=np.zeros(lacking_K.size), where=rate_K > 0)
    draws_K = np.where(drawn_K == 0, draws_K, np.minimum(draws_K, GROWTH * drawn_K))
    draws_EK = weight_EK * draws_K
    if wanted.floor:
        unsure_EK = low_EK <= wanted.floor
        most_EK = np.maximum(LOOK / wanted.floor, tally.drawn_EK)
        draws_EK = np.where(unsure_EK, np.minimum(draws_EK, most_EK), draws_EK)
    batches_EK = np.ceil(draws_EK / batch_E[:, None])
    draws_EK = (batches_EK * batch_E[:, None]).astype(np.int64)
    left = None if wanted.budget is None else wanted.budget - int(tally.drawn_EK.sum())
    if left is not None and draws_EK.sum() > left:
        draws_EK = draws_EK * left // draws_EK.sum()
    return np.asarray(draws_EK)


def _edge(outer: float, inner: float, outside: Callable[[float], bool]) -> float:
    """Where, between a point outside and one inside, the bound lies."""
    for _ in range(HALVINGS):
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if outside(middle) else (outer, middle)
    return outer
