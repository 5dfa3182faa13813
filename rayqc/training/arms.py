"""Which images of the pool each arm adds to the reference images.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.seeds import RANDOM_ARM


@dataclass(frozen=True, kw_only=True)
class Images:
    """Pixels (N, H, W, C) uint8 and labels (N,) int64."""

    images_NHWC: np.ndarray
    label_N: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Latents:
    """Latents (N, D) float32 and labels (N,) int64."""

    latent_ND: np.ndarray
    label_N: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Labels and verdicts of candidates."""

    label_N: np.ndarray
    """(N,) int64."""
    accepted_N: np.ndarray
    """(N,) bool."""
    entry_N: np.ndarray
    """(N,) str, name of the pool entry that each candidate came from."""


@dataclass(frozen=True, kw_only=True)
class LabelledPool(Judged, Images):
    """Judged candidates, as pixels."""


@dataclass(frozen=True, kw_only=True)
class LatentPool(Judged, Latents):
    """Judged candidates, as latents."""


def arm_rows(arm: str, pool: Judged, seed: int) -> np.ndarray:
    """Row numbers of the candidates that an arm adds to the reference images, ascending.

    Args:
        arm: `real` adds no candidate, `all` adds every one; `accepted` and `rejected` add those
            with that verdict; `accepted:NAME` adds the accepted ones of one pool entry; `random`
            adds as many of each class as were accepted, drawn from all candidates without
            replacement.
        pool: N candidates.
        seed: decides the draws of `random`.

    Returns:
        (n,) int64 in [0, N).

    Raises:
        ValueError: no arm has this name.
    """
    kind, _, name = arm.partition(":")
    if name and kind == "accepted":
        return np.flatnonzero(pool.accepted_N & (pool.entry_N == name))
    if arm == "real":
        return np.zeros(0, np.int64)
    if arm == "all":
        return np.arange(pool.label_N.size)
    if arm == "accepted":
        return np.flatnonzero(pool.accepted_N)
    if arm == "rejected":
        return np.flatnonzero(~pool.accepted_N)
    if arm == "random":
        return _random_rows(pool, np.random.default_rng([seed, RANDOM_ARM]))
    raise ValueError(f"no arm is called {arm!r}")


def _random_rows(pool: Judged, rng: np.random.Generator) -> np.ndarray:
    rows_by_class = [np.zeros(0, np.int64)]
    for k in np.unique(pool.label_N):
        rows = np.flatnonzero(pool.label_N == k)
        accepted_count = int(pool.accepted_N[rows].sum())
        rows_by_class.append(rng.choice(rows, accepted_count, replace=False))
    return np.sort(np.concatenate(rows_by_class))
