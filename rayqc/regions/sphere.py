"""The paper's sphere: a class's mean latent, and the radius that holds 95% of its references.

`sphere_loo` measures each reference's distance to the center of its class's other references, just
as a fresh image's distance is measured.

Shape suffixes: N images, D latent, K classes, M references of all classes, B counted values,
S order statistics.

Source: Halmuratov & Vesely, section 2. Center and quantile rule are ours to
choose, since the paper names none: the mean of the latent means, and the smallest
observed distance that encloses at least the coverage.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from rayqc.config.base import Statistic
from rayqc.errors import TooFewReferencesError
from rayqc.images.detail import Detail
from rayqc.regions.base import (
    Candidates,
    RegionKind,
    Rejudged,
    Stored,
    Verdicts,
    best_other,
    score_of,
)
from rayqc.storage.artefact import Facts

SPHERE = "sphere"
LEAVE_ONE_OUT = "sphere_loo"
MANY = 100_000
"""A class of more references than this keeps this many order statistics of its distances."""
COARSE = 1 << 9
"""Neighbouring float32 values that `coarse` rounds to one: 2^-14 of a distance at most."""


@dataclass(frozen=True, kw_only=True)
class SphereRegions:
    """A center and a radius for each class."""

    classes: tuple[str, ...]
    centers_KD: np.ndarray
    """(K, D) float64."""
    radius_K: np.ndarray
    """(K,) float64, latent units."""
    distance_M: np.ndarray
    """(M,) float, latent units: the references' distances, or order statistics of them. A class's
    radius encloses `coverage` of its own."""
    label_M: np.ndarray
    """(M,) int64, the class of each distance."""
    coverage: float
    """Fraction in (0, 1]."""
    encoder_digest: str
    kind: str = SPHERE
    detail: Detail | None = None

    def judge(self, candidates: Candidates, statistic: Statistic = "joint") -> Verdicts:
        """See `Regions.judge`. The statistic is ignored: a sphere judges by distance only."""
        label_N = candidates.label_N
        distance_N = own_distances(candidates.latent_ND, label_N, self.centers_KD)
        return Verdicts(
            score_N=score_of(distance_N, self.radius_K[label_N]),
            decided_by_N=np.full(label_N.size, "distance"),
            nearest_N=best_other(_squares(candidates.latent_ND, self.centers_KD), label_N),
        )

    def rejudge(self, stored: Stored, coverage: float) -> Rejudged:
        """See `Regions.rejudge`."""
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

    def facts(self) -> Facts:
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
    def restore(kind: str, facts: Facts, arrays: dict[str, np.ndarray]) -> SphereRegions:
        """Regions of a kind from what `facts` and `arrays` returned."""
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
    """Sum and number of each class's latents in one block; `+` joins two blocks."""

    sum_KD: np.ndarray
    """(K, D) float64."""
    count_K: np.ndarray
    """(K,) int64."""

    def __add__(self, other: ClassSums) -> ClassSums:
        return ClassSums(sum_KD=self.sum_KD + other.sum_KD, count_K=self.count_K + other.count_K)


def class_sums(latent_ND: np.ndarray, label_N: np.ndarray, classes: int) -> ClassSums:
    """Per-class sums and counts of one block.

    Args:
        latent_ND: (N, D) float.
        label_N: (N,) int64 in [0, classes).
        classes: K.
    """
    sum_KD = np.zeros((classes, latent_ND.shape[1]))
    np.add.at(sum_KD, label_N, latent_ND.astype(np.float64))
    return ClassSums(sum_KD=sum_KD, count_K=np.bincount(label_N, minlength=classes))


def centers(sums: ClassSums, classes: tuple[str, ...]) -> np.ndarray:
    """Mean latent of each class.

    Args:
        sums: over all references.
        classes: K names.

    Returns:
        (K, D) float64.

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
    """Euclidean distance of each latent to its own class's center.

    Args:
        latent_ND: (N, D) float.
        label_N: (N,) int64, own classes.
        centers_KD: (K, D) float64.

    Returns:
        (N,) float64, latent units.
    """
    offset_ND = latent_ND - centers_KD[label_N]
    return np.asarray(np.sqrt(np.einsum("nd,nd->n", offset_ND, offset_ND)))


def _squares(latent_ND: np.ndarray, centers_KD: np.ndarray) -> np.ndarray:
    """(N, K) squared distances minus the latent's own square, which is the same for all centers."""
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
    """Distances rounded up by less than 0.01%, so that many distances share few values.

    Counts of each value, summed over blocks in any order, then give a quantile in memory that does
    not grow with the number of distances; in 100 dimensions its rank is right to about 0.04%. The
    method is ours.

    Args:
        distance_N: (N,) float, latent units, 0 and more.

    Returns:
        (N,) float32, latent units.
    """
    bits_N = np.ascontiguousarray(distance_N, np.float32).view(np.uint32)
    rounded_bits_N = (bits_N + (COARSE - 1)) // COARSE * COARSE
    return np.asarray(rounded_bits_N.astype(np.uint32).view(np.float32))


def order_statistics(value_B: np.ndarray, count_B: np.ndarray, size: int) -> np.ndarray:
    """Values at `size` evenly spaced ranks of counted values.

    Number s is the smallest value that encloses s / size of the total count; the last is the
    maximum.

    Args:
        value_B: (B,) float, in any order.
        count_B: (B,) int, how often each value occurs.
        size: S.

    Returns:
        (S,) float64, ascending.
    """
    order_B = np.argsort(value_B)
    cumulative_B = np.cumsum(count_B[order_B])
    rank_S = -(-np.arange(1, size + 1) * cumulative_B[-1] // size)
    value_S = value_B[order_B][np.searchsorted(cumulative_B, rank_S)]
    return np.asarray(value_S, np.float64)


def expected_coverage(count: int, coverage: float) -> float:
    """Expected share of fresh images inside a radius fitted on `count` exchangeable distances.

    It is ceil(coverage * n) / (n + 1), which is further below `coverage` the fewer references there
    are. The formula takes the center as given; with a center fitted on the same references the
    share is smaller.

    Args:
        count: n, references of one class.
        coverage: fraction in (0, 1].

    Returns:
        Fraction in [0, 1).
    """
    return math.ceil(coverage * count) / (count + 1)


def leave_one_out(distance_N: np.ndarray, name: str) -> np.ndarray:
    """Each reference's distance to the mean of its class's other references.

    It is n / (n - 1) times its distance to the mean of all n.

    Args:
        distance_N: (N,) float, latent units, to the mean of all N references of one class.
        name: of the class, for the error.

    Returns:
        (N,) float, latent units.

    Raises:
        TooFewReferencesError: N < 2.
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
    """Regions from two passes over the latents: one for class sums, one for distances.

    Args:
        sums: over all references.
        distance_by_class: K float arrays, each class's distances to its own center in latent units.
        classes: K names.
        coverage: fraction in (0, 1].
        encoder_digest: identity of the encoder that made the latents.
        kind: `sphere`, the paper's, or `sphere_loo`.

    Raises:
        TooFewReferencesError: a class has no reference, or for `sphere_loo` fewer than 2.
    """
    if kind == LEAVE_ONE_OUT:
        distance_by_class = [
            leave_one_out(distance_N, name)
            for distance_N, name in zip(distance_by_class, classes, strict=True)
        ]
    return SphereRegions(
        classes=classes,
        centers_KD=centers(sums, classes),
        radius_K=np.array(
            [radius_at_coverage(distance_N, coverage) for distance_N in distance_by_class]
        ),
        distance_M=np.concatenate(distance_by_class),
        label_M=np.repeat(
            np.arange(len(classes)), [distance_N.size for distance_N in distance_by_class]
        ),
        coverage=coverage,
        encoder_digest=encoder_digest,
        kind=kind,
    )


def _kind(name: str) -> RegionKind:
    restore = functools.partial(SphereRegions.restore, name)
    return RegionKind(sphere=name, calibrated=False, restore=restore)


KIND, KIND_LEAVE_ONE_OUT = _kind(SPHERE), _kind(LEAVE_ONE_OUT)
