"""The space that sets are chosen in, and what the references are like there.

Shape suffixes: N images, R references, L latent, D directions, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.selection.base import Choice

MOST_DIRECTIONS = 32
OWN_FROM = 2
"""A class has a covariance of its own from so many references a direction on."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """The references' directions of largest spread (PCA), and each class's place in them."""

    centre_L: np.ndarray
    direction_LD: np.ndarray
    reference_RD: np.ndarray
    label_R: np.ndarray
    mean_KD: np.ndarray
    covariance_KDD: np.ndarray
    """Within the class, shrunk after Ledoit & Wolf 2004. Of a class with few references it is that
    of all classes together, each about its own mean."""

    def project(self, latent_NL: np.ndarray) -> np.ndarray:
        """(N, D) float32."""
        projected_ND: np.ndarray = (latent_NL - self.centre_L) @ self.direction_LD
        return projected_ND.astype(np.float32)

    def choice(self, candidate_ND: np.ndarray, k: int, wanted: int, seed: int) -> Choice:
        """What a way of choosing gets of class k.

        Args:
            candidate_ND: projected candidates of the class.
            wanted: how many to choose, less than N.
            seed: of what the way draws.
        """
        return Choice(
            candidate_ND=candidate_ND,
            reference_RD=self.reference_RD[self.label_R == k],
            mean_D=self.mean_KD[k],
            covariance_DD=self.covariance_KDD[k],
            wanted=wanted,
            seed=seed,
        )


def fit_space(latent_RL: np.ndarray, label_R: np.ndarray, classes: int) -> Space:
    """The space of R references.

    Args:
        latent_RL: (R, L) float.
        label_R: (R,) int64; every class has a reference.
        classes: K.
    """
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415  (slow, and only this needs it)

    latent_RL = latent_RL.astype(np.float64)
    centre_L = latent_RL.mean(0)
    dimensions = min(MOST_DIRECTIONS, max(1, len(latent_RL) - 1), latent_RL.shape[1])
    direction_LD = _directions(latent_RL - centre_L)[:, :dimensions]
    reference_RD = (latent_RL - centre_L) @ direction_LD
    mean_KD = np.stack([reference_RD[label_R == k].mean(0) for k in range(classes)])
    within_RD = reference_RD - mean_KD[label_R]
    # Means that were fitted to the same images make the spread about them too small.
    count_K = np.bincount(label_R, minlength=classes)
    freedom = len(within_RD) / max(1, len(within_RD) - classes)
    pooled_DD = ledoit_wolf(within_RD, assume_centered=True)[0] * freedom
    covariance_KDD = np.stack(
        [
            ledoit_wolf(within_RD[label_R == k], assume_centered=True)[0] * count / (count - 1)
            if count >= OWN_FROM * dimensions
            else pooled_DD
            for k, count in enumerate(count_K.tolist())
        ]
    )
    return Space(
        centre_L=centre_L,
        direction_LD=direction_LD,
        reference_RD=reference_RD.astype(np.float32),
        label_R=label_R,
        mean_KD=mean_KD,
        covariance_KDD=covariance_KDD,
    )


def _directions(centred_RL: np.ndarray) -> np.ndarray:
    """(L, D) directions of spread, the largest first; D is the smaller of R and L."""
    if len(centred_RL) <= centred_RL.shape[1]:
        _, _, direction_DL = np.linalg.svd(centred_RL, full_matrices=False)
        return np.asarray(direction_DL.T)
    _, direction_LD = np.linalg.eigh(centred_RL.T @ centred_RL)
    return np.asarray(direction_LD[:, ::-1])
