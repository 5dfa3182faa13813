"""What a set is, beside the references: is it real, does it cover them, how different is it?

Source: precision and recall, Kynkaanniemi et al. 2019; density and coverage, Naeem et al. 2020;
the Vendi score, Friedman & Dieng 2023. With few references coverage is steady and density is not.

Shape suffixes: N images, R references, D directions.
"""

from __future__ import annotations

import numpy as np

from rayqc.set_results import SetFacts

NEIGHBOURS = 5
MOST = 1_000
"""Images of a set that are looked at; of more, a random draw."""


def set_facts(image_ND: np.ndarray, reference_RD: np.ndarray, seed: int) -> SetFacts:
    """Measures of one class's images beside its references; zero without images.

    Args:
        image_ND: (N, D) float32.
        reference_RD: (R, D) float32, two or more.
        seed: of the draw where there are more than `MOST`.
    """
    if len(image_ND) < 2 or len(reference_RD) < 2:
        return {
            "precision": 0,
            "recall": 0,
            "density": 0,
            "coverage": 0,
            "different": len(image_ND),
        }
    drawn = np.random.default_rng(seed).permutation(len(image_ND))[:MOST]
    image_ND = image_ND[np.sort(drawn)]
    near_references = min(NEIGHBOURS, len(reference_RD) - 1)
    near_images = min(NEIGHBOURS, len(image_ND) - 1)
    reference_radius_R = np.sort(_distances(reference_RD, reference_RD), 1)[:, near_references]
    image_radius_N = np.sort(_distances(image_ND, image_ND), 1)[:, near_images]
    away_RN = _distances(reference_RD, image_ND)
    inside_RN = away_RN <= reference_radius_R[:, None]
    return {
        "precision": float(inside_RN.any(0).mean()),
        "recall": float((away_RN <= image_radius_N).any(1).mean()),
        "density": float(inside_RN.sum(0).mean() / near_references),
        "coverage": float(inside_RN.any(1).mean()),
        "different": _vendi(image_ND, float(np.median(reference_radius_R))),
    }


def _vendi(image_ND: np.ndarray, width: float) -> float:
    """The effective number of different images, under a Gaussian kernel of that width."""
    kernel_NN = np.exp(-np.square(_distances(image_ND, image_ND)) / (2 * max(width, 1e-12) ** 2))
    eigenvalue_N = np.linalg.eigvalsh(kernel_NN / len(image_ND))
    eigenvalue_N = eigenvalue_N[eigenvalue_N > 1e-12]
    return float(np.exp(-(eigenvalue_N * np.log(eigenvalue_N)).sum()))


def _distances(first_ND: np.ndarray, second_ND: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist  # noqa: PLC0415  (slow, and only this needs it)

    distance_NN: np.ndarray = cdist(first_ND.astype(np.float64), second_ND.astype(np.float64))
    return distance_NN
