"""Baselines for the calibrated region: scores of N images, larger for less genuine images.

Shape suffixes: N images, R reference images, P pixel values, H W C pixels, D latent.
"""

from __future__ import annotations

import numpy as np

from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.vae import reconstruct
from rayqc.errors import UserError
from rayqc.regions.base import Candidates, Regions
from rayqc.regions.sphere import centers, class_sums, fit_spheres, own_distances

try:
    from skimage.measure import blur_effect
    from skimage.metrics import structural_similarity
except ModuleNotFoundError as error:
    raise UserError(
        "`rayqc evaluate` compares with measures of scikit-image, which is not installed; "
        "pip install 'rayqc[evaluate]'"
    ) from error

NEIGHBOURS = 3
SSIM_WINDOW = 7


def fit_sphere(
    references: Candidates, classes: tuple[str, ...], coverage: float, kind: str
) -> Regions:
    """Spheres as in the paper, or with kind `sphere_loo` fitted to leave-one-out distances."""
    label_N = references.label_N
    sums = class_sums(references.latent_ND, label_N, len(classes))
    distance_N = own_distances(references.latent_ND, label_N, centers(sums, classes))
    distance_by_class = [distance_N[label_N == k] for k in range(len(classes))]
    return fit_spheres(sums, distance_by_class, classes, coverage, encoder_digest="", kind=kind)


def ssim_to_nearest(candidates: Candidates, references: Candidates) -> np.ndarray:
    """(N,) 1 - SSIM to the nearest reference image, in pixels, of the candidate's class."""
    score_N = np.empty(len(candidates))
    flat_RP = references.images_NHWC.reshape(len(references), -1).astype(np.float32)
    for row, (image, label) in enumerate(
        zip(candidates.images_NHWC, candidates.label_N, strict=True)
    ):
        class_rows = np.flatnonzero(references.label_N == label)
        difference_RP = flat_RP[class_rows] - image.ravel()
        nearest = references.images_NHWC[class_rows[(difference_RP**2).sum(1).argmin()]]
        score_N[row] = 1 - structural_similarity(
            image, nearest, win_size=SSIM_WINDOW, channel_axis=2, data_range=255
        )
    return score_N


def blur(candidates: Candidates) -> np.ndarray:
    """(N,) no-reference blur (Crete et al. 2007), by scikit-image; 1 for an image of one colour."""
    gray_NHW = candidates.images_NHWC.mean(3) / 255
    blurs = [blur_effect(image) if np.ptp(image) else 1.0 for image in gray_NHW]
    return np.asarray(np.nan_to_num(np.array(blurs), nan=1.0))


def realism(candidates: Candidates, references: Candidates) -> np.ndarray:
    """(N,) minus the realism score, over the reference images of each candidate's class.

    Latents are the VAE's, and k is 3.

    Source: Kynkaanniemi et al. 2019, who also leave out reference images whose sphere is larger
    than the median.
    """
    score_N = np.empty(len(candidates))
    for label in np.unique(candidates.label_N):
        own_RD = references.latent_ND[references.label_N == label]
        distance_RR = np.linalg.norm(own_RD[:, None] - own_RD[None], axis=2)
        radius_R = np.sort(distance_RR, axis=1)[:, min(NEIGHBOURS, len(own_RD) - 1)]
        small_R = radius_R <= np.median(radius_R)
        rows = np.flatnonzero(candidates.label_N == label)
        distance_NR = np.linalg.norm(
            candidates.latent_ND[rows][:, None] - own_RD[small_R][None], axis=2
        )
        score_N[rows] = -(radius_R[small_R] / np.maximum(distance_NR, 1e-6)).max(1)
    return score_N


def reconstruction_error(candidates: Candidates, encoder: LatentEncoder) -> np.ndarray:
    """(N,) the VAE's cross-entropy, in nats an image."""
    return reconstruct(encoder, candidates.images_NHWC)[1]
