"""What an image is like: its nearest reference in latent space, and whether it is a copy of it.

Nothing here decides; it is told beside each verdict.

Shape suffixes: N images, D latent, K classes, R references.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rayqc.units import evenly

MOST_REFERENCES = 20_000
"""More are thinned evenly: a search through all of them would cost more than the encoder."""
COPY_SHARE = 0.05
BATCH = 4096


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """Of N images."""

    reference_N: np.ndarray
    """int64, places of the nearest references."""
    distance_N: np.ndarray
    """float32, latent units, to them."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """The references' latents, centers and radii, as the sphere has them, and the copies' bound."""

    ids: tuple[str, ...]
    latent_RD: np.ndarray
    """float32."""
    centers_KD: np.ndarray
    radius_K: np.ndarray
    copy_distance: float
    """Latent units. An image nearer than this to a reference is a near copy: 95% of the
    references are farther from their own nearest reference. -1 with fewer than 2 of them."""

    def nearest(self, latent_ND: np.ndarray) -> Nearest:
        """The nearest reference of each latent, whatever its class."""
        return _nearest(latent_ND, self.latent_RD, own=False)

    def ranked(self, latent_D: np.ndarray, most: int) -> list[tuple[int, float]]:
        """Places of the nearest references of one latent, and their distances, nearest first."""
        distance_R = np.linalg.norm(self.latent_RD - latent_D, axis=1)
        order = np.argsort(distance_R, kind="stable")[:most]
        return [(int(place), float(distance_R[place])) for place in order]

    def facts(self) -> dict[str, Any]:
        """All of it that is not an array."""
        return {"ids": list(self.ids), "copy_distance": self.copy_distance}

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it that is an array."""
        return {
            "latent_RD": self.latent_RD,
            "centers_KD": self.centers_KD,
            "radius_K": self.radius_K,
        }

    @staticmethod
    def restore(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> Neighbours:
        """Neighbours from what `facts` and `arrays` gave."""
        return Neighbours(ids=tuple(facts["ids"]), copy_distance=facts["copy_distance"], **arrays)


def find_neighbours(
    ids: list[str], latent_RD: np.ndarray, centers_KD: np.ndarray, radius_K: np.ndarray
) -> Neighbours:
    """Neighbours of references with these latents."""
    keep = evenly(len(ids), MOST_REFERENCES)
    latent_RD = np.ascontiguousarray(latent_RD[keep], np.float32)
    copy_distance = -1.0
    if len(keep) > 1:
        own_R = _nearest(latent_RD, latent_RD, own=True).distance_N
        copy_distance = float(np.quantile(own_R, COPY_SHARE))
    return Neighbours(
        ids=tuple(ids[row] for row in keep),
        latent_RD=latent_RD,
        centers_KD=centers_KD,
        radius_K=radius_K,
        copy_distance=copy_distance,
    )


def _nearest(latent_ND: np.ndarray, latent_RD: np.ndarray, own: bool) -> Nearest:
    """Nearest rows; `own` leaves out a row's own place."""
    square_R = (latent_RD**2).sum(1)
    found, distance = [], []
    for start in range(0, len(latent_ND), BATCH):
        part = latent_ND[start : start + BATCH]
        square_NR = square_R - 2 * part @ latent_RD.T
        if own:
            rows = np.arange(len(part))
            square_NR[rows, start + rows] = np.inf
        best_N = square_NR.argmin(1)
        found.append(best_N)
        # From the difference itself: the expanded square loses small distances to rounding.
        distance.append(np.linalg.norm(part - latent_RD[best_N], axis=1))
    none: list[np.ndarray] = [np.zeros(0)]
    return Nearest(
        reference_N=np.concatenate(found or none).astype(np.int64),
        distance_N=np.concatenate(distance or none).astype(np.float32),
    )
