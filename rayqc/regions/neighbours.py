"""Each image's nearest reference in latent space, and the distance that marks a near copy of it.

Neither enters a verdict; both are written beside it.

Shape suffixes: N images, D latent, K classes, R references, B images of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.regions.thinning import thinned
from rayqc.storage.artefact import Facts

MOST_REFERENCES = 20_000
"""More references than this are thinned evenly: searching them all would cost more than the
encoder."""
COPY_SHARE = 0.05
"""Share of the references that lie nearer than `copy_distance` to another reference."""
BATCH = 4096
"""Latents that are searched at once."""


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The nearest reference of each of N images."""

    reference_N: np.ndarray
    """(N,) int64, its row in `Neighbours.ids` and `Neighbours.latent_RD`."""
    distance_N: np.ndarray
    """(N,) float32, the distance to it in latent units."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """The references' latents, their spheres' centers and radii, and the near-copy distance."""

    ids: tuple[str, ...]
    """R ids of references."""
    latent_RD: np.ndarray
    """(R, D) float32."""
    centers_KD: np.ndarray
    """(K, D) float64, see `sphere`."""
    radius_K: np.ndarray
    """(K,) float64, latent units, see `sphere`."""
    copy_distance: float
    """Latent units. An image nearer than this to a reference is a near copy: 95% of the
    references are farther than this from their own nearest reference. -1 where R < 2."""

    def nearest(self, latent_ND: np.ndarray) -> Nearest:
        """The nearest reference of each latent, of any class.

        Args:
            latent_ND: (N, D) float32.
        """
        return nearest_of(latent_ND, self.latent_RD)

    def labels(self, references: pa.Table) -> np.ndarray:
        """(R,) int64 labels of the references.

        Args:
            references: columns id and label.
        """
        label_by_id = dict(
            zip(references["id"].to_pylist(), references["label"].to_pylist(), strict=True)
        )
        return np.array([label_by_id[name] for name in self.ids], np.int64)

    def ranked(self, latent_D: np.ndarray, most: int) -> list[tuple[int, float]]:
        """The `most` nearest references of one latent, nearest first.

        Args:
            latent_D: (D,) float32.

        Returns:
            Row of each reference in `ids`, and its distance in latent units.
        """
        distance_R = np.linalg.norm(self.latent_RD - latent_D, axis=1)
        order = np.argsort(distance_R, kind="stable")[:most]
        return [(int(row), float(distance_R[row])) for row in order]

    def facts(self) -> Facts:
        """What is not an array, as plain JSON."""
        return {"ids": list(self.ids), "copy_distance": self.copy_distance}

    def arrays(self) -> dict[str, np.ndarray]:
        """What is an array, by name."""
        return {
            "latent_RD": self.latent_RD,
            "centers_KD": self.centers_KD,
            "radius_K": self.radius_K,
        }

    @staticmethod
    def restore(facts: Facts, arrays: dict[str, np.ndarray]) -> Neighbours:
        """Neighbours from what `facts` and `arrays` returned."""
        return Neighbours(ids=tuple(facts["ids"]), copy_distance=facts["copy_distance"], **arrays)


def find_neighbours(
    ids: list[str],
    latent_RD: np.ndarray,
    label_R: np.ndarray,
    centers_KD: np.ndarray,
    radius_K: np.ndarray,
) -> Neighbours:
    """Neighbours made from references, about `MOST_REFERENCES` of them, of every class some.

    Args:
        ids: one for each row of `latent_RD`.
        latent_RD: (R, D) float; stored as float32.
        label_R: (R,) int64, own classes.
        centers_KD: (K, D) float64, of the spheres.
        radius_K: (K,) float64, of the spheres, latent units.
    """
    keep = thinned(label_R, MOST_REFERENCES, seed=0)
    latent_RD = np.ascontiguousarray(latent_RD[keep], np.float32)
    copy_distance = -1.0
    if len(keep) > 1:
        other_distance_R = nearest_of(latent_RD, latent_RD, leave_out_self=True).distance_N
        copy_distance = float(np.quantile(other_distance_R, COPY_SHARE))
    return Neighbours(
        ids=tuple(ids[row] for row in keep),
        latent_RD=latent_RD,
        centers_KD=centers_KD,
        radius_K=radius_K,
        copy_distance=copy_distance,
    )


def nearest_of(
    latent_ND: np.ndarray, latent_RD: np.ndarray, leave_out_self: bool = False
) -> Nearest:
    """Nearest rows of `latent_RD`; of equally near ones the first.

    Args:
        latent_ND: (N, D) float32.
        latent_RD: (R, D) float32.
        leave_out_self: keep row n from being its own nearest.
    """
    square_R = (latent_RD**2).sum(1)
    row_batches, distance_batches = [], []
    for start in range(0, len(latent_ND), BATCH):
        latent_BD = latent_ND[start : start + BATCH]
        square_BR = square_R - 2 * latent_BD @ latent_RD.T
        if leave_out_self:
            row_B = np.arange(len(latent_BD))
            square_BR[row_B, start + row_B] = np.inf
        nearest_B = square_BR.argmin(1)
        row_batches.append(nearest_B)
        # From the difference itself: the expanded square loses small distances to rounding.
        distance_batches.append(np.linalg.norm(latent_BD - latent_RD[nearest_B], axis=1))
    empty: list[np.ndarray] = [np.zeros(0)]
    return Nearest(
        reference_N=np.concatenate(row_batches or empty).astype(np.int64),
        distance_N=np.concatenate(distance_batches or empty).astype(np.float32),
    )
