"""Regions: one per class, fitted on references, asked for verdicts on candidates.

Shape suffixes: N images, C copies, H W C pixels, D latent, F features, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rayqc.config.base import Statistic
from rayqc.images.detail import Detail, OwnSize
from rayqc.storage.artefact import Facts
from rayqc.verdicts import ACCEPTED, INSIDE, REJECTED

DECIMALS = 5
"""Decimals that scores are rounded to. An image equal to a reference on the boundary is then
accepted, although the encoder's last digits depend on the image's row in the batch."""


@dataclass(frozen=True, kw_only=True)
class Altered:
    """C altered copies of N references (`images.alterations`), as an encoder sees them."""

    features: Mapping[str, np.ndarray]
    """Latents and features of inner layers: (C, F) float32 by name."""
    of_C: np.ndarray
    """(C,) int64, row of the reference that each is a copy of."""
    other_C: np.ndarray
    """(C,) int64, row of the reference of which parts are in it; its own where none are."""

    def of(self, rows: np.ndarray, references: int) -> Altered:
        """The copies of some references that hold parts of no other.

        Args:
            rows: (M,) int64, of these references, each once.
            references: N.
        """
        row_N = np.full(references, -1)
        row_N[rows] = np.arange(rows.size)
        of_C, other_C = row_N[self.of_C], row_N[self.other_C]
        kept = (of_C >= 0) & (other_C >= 0)
        return Altered(
            features={name: value_CF[kept] for name, value_CF in self.features.items()},
            of_C=of_C[kept],
            other_C=other_C[kept],
        )


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """N images with their latents and labels: candidates to judge, or references to fit on."""

    images_NHWC: np.ndarray
    """(N, H, W, C) uint8, in the run's size."""
    latent_ND: np.ndarray
    """(N, D) float32."""
    label_N: np.ndarray
    """(N,) int64, each image's own class, an index into the regions' classes."""
    own_size: OwnSize = field(default_factory=OwnSize)
    """What was measured at the images' own size, where the regions look at it."""
    inner: Mapping[str, np.ndarray] = field(default_factory=dict)
    """(N, F) float32 features of the encoder's inner layers, by name (`models.latent`); empty where
    it gives none."""
    altered: Altered | None = None
    """Of references to fit on: altered copies of them; None where none were made."""

    def __getitem__(self, rows: Any) -> Candidates:
        return Candidates(
            images_NHWC=self.images_NHWC[rows],
            latent_ND=self.latent_ND[rows],
            label_N=self.label_N[rows],
            own_size=self.own_size[rows],
            inner={name: value_NF[rows] for name, value_NF in self.inner.items()},
            altered=self.altered and self.altered.of(np.arange(len(self))[rows], len(self)),
        )

    def __len__(self) -> int:
        return int(self.label_N.size)

    def blank(self) -> Candidates:
        """As many candidates of the same labels, all zero."""
        return Candidates(
            images_NHWC=np.zeros_like(self.images_NHWC),
            latent_ND=np.zeros_like(self.latent_ND),
            label_N=self.label_N,
            own_size=self.own_size.blank(),
            inner={name: np.zeros_like(value_NF) for name, value_NF in self.inner.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What regions answer about N candidates. A kind without p-values or evidence omits them."""

    score_N: np.ndarray
    """(N,) float32, 1 on the boundary, accepted when <= 1."""
    decided_by_N: np.ndarray
    """(N,) str, name of the score with the most evidence; `distance` for spheres."""
    nearest_N: np.ndarray
    """(N,) int64, the class that suits the candidate best, its own left out; -1 where K is 1."""
    p_value_N: np.ndarray | None = None
    """(N,) float32, share of genuine images with at least as much evidence; see `conformal`."""
    evidence: dict[str, np.ndarray] = field(default_factory=dict)
    """Name of a score to (N,) float32 nats; see `joint`."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What an earlier filter wrote about N images, read back to judge them anew."""

    label_N: np.ndarray
    """(N,) int64."""
    statistic_N: np.ndarray
    """(N,) str, the statistic that judges each image."""
    distance_N: np.ndarray
    """(N,) float32, to the own class's center in latent units."""
    evidence: dict[str, np.ndarray]
    """Name of a score to (N,) float32 nats; NaN where nothing was written."""
    p_value_N: np.ndarray
    """(N,) float32; NaN where nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Rejudged:
    """New verdicts on N stored images; fields as in `Verdicts`."""

    score_N: np.ndarray
    decided_by_N: np.ndarray
    p_value_N: np.ndarray | None = None


class Regions(Protocol):
    """One region for each class, all of one kind."""

    @property
    def kind(self) -> str:
        """Name of the kind in the configuration."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a label is an index into them."""
        ...

    @property
    def detail(self) -> Detail | None:
        """How candidates are looked at at their own size; None where they are not."""
        ...

    def judge(self, candidates: Candidates, statistic: Statistic) -> Verdicts:
        """Verdicts on candidates.

        Args:
            candidates: N images.
            statistic: the evidence to judge by; a kind with one statistic only ignores it.
        """
        ...

    def rejudge(self, stored: Stored, coverage: float) -> Rejudged:
        """Verdicts at another coverage or by another statistic, without reading the images.

        Args:
            stored: N images.
            coverage: fraction in (0, 1].
        """
        ...

    def facts(self) -> Facts:
        """What is not an array, as plain JSON."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """What is an array, by name."""
        ...


@dataclass(frozen=True, kw_only=True)
class RegionKind:
    """How regions of one kind are fitted, and how they are read back from their files."""

    sphere: str
    """Kind of the sphere fitted to each class: it is the region itself, or reported beside it."""
    calibrated: bool
    """True where scorers are fitted and calibrated as well."""
    restore: Callable[[Facts, dict[str, np.ndarray]], Regions]
    """Takes what `Regions.facts` and `Regions.arrays` returned."""


def verdicts_of(score_N: np.ndarray, decided_by_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Verdict and reason of each image.

    Args:
        score_N: (N,) float, accepted when <= 1.
        decided_by_N: (N,) str, name of the score that the reason names.

    Returns:
        (N,) str each: `accepted` or `rejected`; `inside_region` or `NAME_outside_region`.
    """
    inside_N = score_N <= 1
    reason_N = np.full(score_N.size, INSIDE, object)
    for name in set(decided_by_N[~inside_N].tolist()):
        reason_N[~inside_N & (decided_by_N == name)] = f"{name}_outside_region"
    return np.array([REJECTED, ACCEPTED], object)[inside_N.astype(np.int64)], reason_N


def best_other(cost_NK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """The class of least cost, each image's own class left out.

    Args:
        cost_NK: (N, K) float, smaller for a class that suits the image better.
        label_N: (N,) int64, own classes.

    Returns:
        (N,) int64; -1 where K is 1.
    """
    if cost_NK.shape[1] < 2:
        return np.full(label_N.size, -1)
    others_NK = cost_NK.astype(np.float64)
    others_NK[np.arange(label_N.size), label_N] = np.inf
    return np.asarray(others_NK.argmin(1))


def score_of(distance_N: np.ndarray, radius_N: np.ndarray) -> np.ndarray:
    """Score: distance over radius, rounded to `DECIMALS`.

    A radius of 0 (one reference) scores 1 at distance 0 and infinity elsewhere.

    Args:
        distance_N: (N,) float, latent units, nats of evidence or p-values.
        radius_N: (N,) or () float in the same unit.

    Returns:
        (N,) float32, 1 on the boundary.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_N = np.divide(distance_N, radius_N)
    ratio_N = np.where((radius_N == 0) & (distance_N == 0), 1.0, ratio_N)
    return np.round(ratio_N, DECIMALS).astype(np.float32)
