"""How many candidates of each class to draw next from each generator, and when to stop drawing.

Shape suffixes: E generators, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DOUBT = 0.05
"""Probability that any bound, of any generator and class and at any time, is ever wrong."""
GROWTH = 4
"""A round draws at most this many times what was drawn before, as early shares are imprecise."""
LOOK = 4.0
"""While a share may lie below the floor, an early round draws at most LOOK / floor candidates."""
HALVINGS = 60
"""Bisection steps of a bound, which leave an error below 1e-18."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the draws are to reach, and their limits; see `rayqc.generate_until`."""

    until: int
    """Accepted images of each class."""
    budget: int | None
    """Candidates to draw at most, of all classes together; None sets no bound."""
    floor: float
    """A generator is given up for a class once its accepted share is surely below this."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Candidates drawn and accepted so far, (E, K) int64 each."""

    drawn_EK: np.ndarray
    accepted_EK: np.ndarray

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            drawn_EK=self.drawn_EK + other.drawn_EK,
            accepted_EK=self.accepted_EK + other.accepted_EK,
        )


def share_bounds(accepted: int, drawn: int, doubt: float) -> tuple[float, float]:
    """Bounds on the share of a generator's images that are accepted, valid at any time.

    With probability 1 - `doubt` they hold after all draws at once, however often they are computed
    and whatever rule ends the draws. They enclose the shares p at which the uniform mixture's
    likelihood ratio B(s + 1, f + 1) / (p^s (1 - p)^f), of s accepted and f not, is at most
    1 / doubt.

    Args:
        accepted: s, at most `drawn`.
        drawn: s + f, 0 and more.
        doubt: probability in (0, 1) that a bound is ever wrong.

    Returns:
        Lower and upper bound, in [0, 1].

    Source: Robbins 1970; Ville's inequality.
    """
    s, f = accepted, drawn - accepted
    log_mixture = math.lgamma(s + 1) + math.lgamma(f + 1) - math.lgamma(drawn + 2)
    most_nats = math.log(1 / doubt) - log_mixture

    def outside(p: float) -> bool:
        if not 0 < p < 1:  # a draw has ruled out this end, or rounding led to it
            return True
        log_likelihood = (s * math.log(p) if s else 0.0) + (f * math.log1p(-p) if f else 0.0)
        return -log_likelihood > most_nats

    middle = s / drawn if drawn else 0.5
    low = 0.0 if s == 0 else _edge(0.0, middle, outside)
    high = 1.0 if f == 0 else _edge(1.0, middle, outside)
    return low, high


def given_up(tally: Tally, wanted: Wanted) -> np.ndarray:
    """(E, K) bool, true where the accepted share is surely below the floor."""
    return np.asarray(all_bounds(tally)[1] < wanted.floor)


def all_bounds(tally: Tally) -> tuple[np.ndarray, np.ndarray]:
    """(E, K) lower and upper bounds of accepted shares; `DOUBT` is for all of them together."""
    doubt = DOUBT / tally.drawn_EK.size
    pairs = zip(tally.accepted_EK.ravel(), tally.drawn_EK.ravel(), strict=True)
    bounds = [share_bounds(int(s), int(n), doubt) for s, n in pairs]
    low_EK, high_EK = np.reshape(bounds, (*tally.drawn_EK.shape, 2)).transpose(2, 0, 1)
    return low_EK, high_EK


def next_draws(
    tally: Tally, wanted: Wanted, share_E: np.ndarray, batch_E: np.ndarray
) -> np.ndarray:
    """(E, K) candidates to draw in the next round, all zero when drawing ends.

    All generators that are not given up draw a class that lacks images, in proportion to their
    shares. The number of draws is what the accepted share so far is expected to need. The first
    round draws as many candidates as images are lacking, which cannot be too many. While a
    generator's share may lie below the floor, a round draws at most `LOOK` / floor candidates of
    it, or as many as it has drawn before, whichever is more. Draws are rounded up to whole batches,
    then scaled down to what is left of the budget.

    Args:
        tally: of all rounds so far.
        share_E: (E,) float, each generator's part of the draws, in any unit.
        batch_E: (E,) int, images in a batch of each generator.

    Returns:
        (E, K) int64.
    """
    lacking_K = np.maximum(wanted.until - tally.accepted_EK.sum(0), 0)
    low_EK, high_EK = all_bounds(tally)
    open_EK = (high_EK >= wanted.floor) & (lacking_K > 0)
    weight_EK = share_E[:, None] * open_EK
    total_K = weight_EK.sum(0)
    weight_EK = np.divide(weight_EK, total_K, out=np.zeros_like(weight_EK), where=total_K > 0)
    # Under a uniform prior, so it is defined before any draw and never zero.
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
    budget_left = None if wanted.budget is None else wanted.budget - int(tally.drawn_EK.sum())
    if budget_left is not None and draws_EK.sum() > budget_left:
        draws_EK = _apportioned(draws_EK, budget_left)
    return np.asarray(draws_EK)


def _apportioned(draws_EK: np.ndarray, total: int) -> np.ndarray:
    """`total` draws in the proportions of `draws_EK`, by largest remainders (Hamilton's method)."""
    whole_EK, remainder_EK = np.divmod(draws_EK * total, draws_EK.sum())
    left = total - int(whole_EK.sum())
    first = np.argsort(-remainder_EK, axis=None, kind="stable")[:left]
    whole_EK.flat[first] += 1
    return np.asarray(whole_EK)


def _edge(outer: float, inner: float, outside: Callable[[float], bool]) -> float:
    """The bound between a point outside it and a point inside, by bisection."""
    for _ in range(HALVINGS):
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if outside(middle) else (outer, middle)
    return outer
