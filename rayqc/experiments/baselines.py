"""What a calibrated region is compared with: scores of N images, larger is less genuine.

Shape suffixes: N images, R references, H W C pixels, D latent.
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
    """The paper's sphere, or with `sphere_loo` the one of leave-one-out distances."""
    label_N = references.label_N
    sums = class_sums(references.latent_ND, label_N, len(classes))
    distance_N = own_distances(references.latent_ND, label_N, centers(sums, classes))
    by_class = [distance_N[label_N == k] for k in range(len(classes))]
    return fit_spheres(sums, by_class, classes, coverage, encoder_digest="", kind=kind)


def ssim_to_nearest(candidates: Candidates, references: Candidates) -> np.ndarray:
    """1 - SSIM to the reference of the own class that is nearest in pixels."""
    found = np.empty(len(candidates))
    flat_RP = references.images_NHWC.reshape(len(references), -1).astype(np.float32)
    for row, (image, label) in enumerate(
        zip(candidates.images_NHWC, candidates.label_N, strict=True)
    ):
        own = np.flatnonzero(references.label_N == label)
        difference = flat_RP[own] - image.ravel()
        nearest = references.images_NHWC[own[(difference**2).sum(1).argmin()]]
        found[row] = 1 - structural_similarity(
            image, nearest, win_size=SSIM_WINDOW, channel_axis=2, data_range=255
        )
    return found


def blur(candidates: Candidates) -> np.ndarray:
    """Blur by no reference (Crete et al. 2007), by scikit-image; 1 for an image of one colour."""
    gray_NHW = candidates.images_NHWC.mean(3) / 255
    found = [blur_effect(image) if np.ptp(image) else 1.0 for image in gray_NHW]
    return np.asarray(np.nan_to_num(np.array(found), nan=1.0))


def realism(candidates: Candidates, references: Candidates) -> np.ndarray:
    """Minus the realism score of Kynkaanniemi et al. 2019, over the own class's references.

    In the VAE's latents, with k = 3; references whose sphere is larger than the median are
    left out, as they do.
    """
    found = np.empty(len(candidates))
    for label in np.unique(candidates.label_N):
        own_RD = references.latent_ND[references.label_N == label]
        between_RR = np.linalg.norm(own_RD[:, None] - own_RD[None], axis=2)
        radius_R = np.sort(between_RR, axis=1)[:, min(NEIGHBOURS, len(own_RD) - 1)]
        kept = radius_R <= np.median(radius_R)
        rows = np.flatnonzero(candidates.label_N == label)
        away_NR = np.linalg.norm(candidates.latent_ND[rows][:, None] - own_RD[kept][None], axis=2)
        found[rows] = -(radius_R[kept] / np.maximum(away_NR, 1e-6)).max(1)
    return found


def reconstruction_error(candidates: Candidates, encoder: LatentEncoder) -> np.ndarray:
    """The VAE's cross-entropy, in nats."""
    return reconstruct(encoder, candidates.images_NHWC)[1]
