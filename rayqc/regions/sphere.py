"""The paper's sphere: a class's mean latent, and the radius that holds 95% of its references.

`sphere_loo` measures each reference's distance to the center of the others of its class, as a
fresh image's would be measured.

Shape suffixes: N images, D latent, K classes.

Source: Halmuratov & Vesely, section 2. Center and quantile rule are ours to
choose, since the paper names none: the mean of the latent means, and the smallest
observed distance that encloses at least the coverage.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rayqc.config.base import Statistic
from rayqc.errors import TooFewReferencesError
from rayqc.regions.base import (
    Candidates,
    RegionKind,
    Rejudged,
    Stored,
    Verdicts,
    best_other,
    score_of,
)

SPHERE = "sphere"
LEAVE_ONE_OUT = "sphere_loo"
MANY = 100_000
"""References of a class, from which on its distances are kept as so many order statistics."""
COARSE = 1 << 9
"""Steps of float32 that `coarse` takes at once: 2^-14 of a distance at most."""


@dataclass(frozen=True, kw_only=True)
class SphereRegions:
    """A center and a radius a class."""

    classes: tuple[str, ...]
    centers_KD: np.ndarray
    """float64."""
    radius_K: np.ndarray
    """float64, latent units."""
    distance_M: np.ndarray
    """float64, the references' distances that the radius encloses `coverage` of."""
    label_M: np.ndarray
    """int64, their labels."""
    coverage: float
    encoder_digest: str
    kind: str = SPHERE

    def judge(self, candidates: Candidates, statistic: Statistic = "joint") -> Verdicts:
        """See `Regions`. A sphere has one statistic, the distance."""
        label_N = candidates.label_N
        distance_N = own_distances(candidates.latent_ND, label_N, self.centers_KD)
        return Verdicts(
            score_N=score_of(distance_N, self.radius_K[label_N]),
            decided_by_N=np.full(label_N.size, "distance"),
            nearest_N=best_other(_squares(candidates.latent_ND, self.centers_KD), label_N),
        )

    def rejudge(self, stored: Stored, coverage: float) -> Rejudged:
        """See `Regions`."""
        radius_K = np.array(
            [
                radius_at_coverage(self.distance_M[self.label_M == k], coverage)
                for k in range(len(self.classes))
            ]
        )
        return Rejudged(
            score_N=score_of(stored.distance_N.astype(np.float64), radius_K[stored.label_N]),
            decided_by_N=np.full(stored.label_N.size, "distance"),
        )

    def facts(self) -> dict[str, Any]:
        """See `Regions`."""
        return {
            "classes": list(self.classes),
            "coverage": self.coverage,
            "encoder_digest": self.encoder_digest,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Regions`."""
        return {
            "centers_KD": self.centers_KD,
            "radius_K": self.radius_K,
            "distance_M": self.distance_M,
            "label_M": self.label_M,
        }

    @staticmethod
    def restore(kind: str, facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> SphereRegions:
        """Regions from what `facts` and `arrays` gave."""
        return SphereRegions(
            classes=tuple(facts["classes"]),
            centers_KD=arrays["centers_KD"],
            radius_K=arrays["radius_K"],
            distance_M=arrays["distance_M"],
            label_M=arrays["label_M"],
            coverage=facts["coverage"],
            encoder_digest=facts["encoder_digest"],
            kind=kind,
        )


@dataclass(frozen=True, kw_only=True)
class ClassSums:
    """What one block of latents says of each class's center; sums of blocks add up."""

    sum_KD: np.ndarray
    count_K: np.ndarray

    def __add__(self, other: ClassSums) -> ClassSums:
        return ClassSums(sum_KD=self.sum_KD + other.sum_KD, count_K=self.count_K + other.count_K)


def class_sums(latent_ND: np.ndarray, label_N: np.ndarray, classes: int) -> ClassSums:
    """Per-class sums (K, D) and counts (K,) of one block, in float64."""
    sum_KD = np.zeros((classes, latent_ND.shape[1]))
    np.add.at(sum_KD, label_N, latent_ND.astype(np.float64))
    return ClassSums(sum_KD=sum_KD, count_K=np.bincount(label_N, minlength=classes))


def centers(sums: ClassSums, classes: tuple[str, ...]) -> np.ndarray:
    """(K, D) mean latent of each class.

    Raises:
        TooFewReferencesError: a class has no reference.
    """
    for name, count in zip(classes, sums.count_K, strict=True):
        if count == 0:
            raise TooFewReferencesError(
                f"cannot fit a center for class {name}: found 0 reference images, need at least 1"
            )
    return np.asarray(sums.sum_KD / sums.count_K[:, None])


def own_distances(latent_ND: np.ndarray, label_N: np.ndarray, centers_KD: np.ndarray) -> np.ndarray:
    """(N,) Euclidean distance of each latent to its own class's center, float64."""
    away_ND = latent_ND - centers_KD[label_N]
    return np.asarray(np.sqrt(np.einsum("nd,nd->n", away_ND, away_ND)))


def _squares(latent_ND: np.ndarray, centers_KD: np.ndarray) -> np.ndarray:
    """(N, K) squared distances less the latent's own square, which is the same for all centers."""
    return np.asarray((centers_KD**2).sum(1) - 2 * (latent_ND.astype(np.float64) @ centers_KD.T))


def radius_at_coverage(distance_N: np.ndarray, coverage: float) -> float:
    """Smallest observed distance that encloses at least `coverage` of the points.

    Args:
        distance_N: (N,) float, latent units, N >= 1.
        coverage: fraction in (0, 1]; the paper uses 0.95.

    Returns:
        Radius in latent units; the maximum whenever N < 20 and coverage is 0.95.

    Raises:
        TooFewReferencesError: N == 0.
    Source: Halmuratov & Vesely, section 2, step 3. The paper names no quantile
        rule; "inverted_cdf" is ours, because it is this sentence exactly.
    """
    if distance_N.size == 0:
        raise TooFewReferencesError(
            "cannot fit a radius: found 0 reference images, need at least 1"
        )
    return float(np.quantile(distance_N, coverage, method="inverted_cdf"))


def coarse(distance_N: np.ndarray) -> np.ndarray:
    """(N,) float32 distances, rounded up by less than 0.01%, so that many have few values.

    Ours. Counted by value and summed over blocks they give a quantile in memory that does not grow
    with their number, whatever the blocks' order: in 100 dimensions to some 0.04% of rank.
    """
    bits_N = np.ascontiguousarray(distance_N, np.float32).view(np.uint32)
    up_N = (bits_N + (COARSE - 1)) // COARSE * COARSE
    return np.asarray(up_N.astype(np.uint32).view(np.float32))


def order_statistics(value_B: np.ndarray, count_B: np.ndarray, size: int) -> np.ndarray:
    """(size,) float64: the values at the ranks that part their total count evenly, the last one's
    included, each the smallest that encloses its share.
    """
    order_B = np.argsort(value_B)
    upto_B = np.cumsum(count_B[order_B])
    rank_S = -(-np.arange(1, size + 1) * upto_B[-1] // size)
    found_S = value_B[order_B][np.searchsorted(upto_B, rank_S)]
    return np.asarray(found_S, np.float64)


def expected_coverage(count: int, coverage: float) -> float:
    """Share of fresh images that an in-sample radius of `count` exchangeable distances holds.

    ceil(coverage * n) / (n + 1): below `coverage`, the more so the fewer references.
    It takes the center as given; a center fitted on the same points holds less.
    """
    return math.ceil(coverage * count) / (count + 1)


def leave_one_out(distance_N: np.ndarray, name: str) -> np.ndarray:
    """Distances to the center of the others, from those to the center of all n: n / (n - 1) times.

    Raises:
        TooFewReferencesError: there are no others.
    """
    count = distance_N.size
    if count < 2:
        raise TooFewReferencesError(
            f"regions.kind: {LEAVE_ONE_OUT} needs at least 2 references a class, class {name} has "
            f"{count}; give more, or use regions.kind: {SPHERE}"
        )
    return distance_N * (count / (count - 1))


def fit_spheres(
    sums: ClassSums,
    distance_by_class: list[np.ndarray],
    classes: tuple[str, ...],
    coverage: float,
    encoder_digest: str,
    kind: str = SPHERE,
) -> SphereRegions:
    """Regions from what two passes over the latents gave: class sums, then distances.

    Args:
        sums: of all blocks.
        distance_by_class: K arrays, each class's distances to its own center.
        kind: `sphere`, the paper's, or `sphere_loo`.
    """
    if kind == LEAVE_ONE_OUT:
        distance_by_class = [
            leave_one_out(distance_N, name)
            for distance_N, name in zip(distance_by_class, classes, strict=True)
        ]
    return SphereRegions(
        classes=classes,
        centers_KD=centers(sums, classes),
        radius_K=np.array([radius_at_coverage(d, coverage) for d in distance_by_class]),
        distance_M=np.concatenate(distance_by_class),
        label_M=np.repeat(np.arange(len(classes)), [part.size for part in distance_by_class]),
        coverage=coverage,
        encoder_digest=encoder_digest,
        kind=kind,
    )


def _kind(name: str) -> RegionKind:
    restore = functools.partial(SphereRegions.restore, name)
    return RegionKind(sphere=name, calibrated=False, restore=restore)


KIND, KIND_LEAVE_ONE_OUT = _kind(SPHERE), _kind(LEAVE_ONE_OUT)
