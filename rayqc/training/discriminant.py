"""A linear discriminant on given features, where these may be more than the images.

Shape suffixes: N images, F features, K classes.
"""

from __future__ import annotations

import numpy as np
import torch

from rayqc.training.softmax import SoftmaxHead

LEAST_SPREAD = 1e-2
"""Added to each feature's standard deviation, as a share of that of all features' values."""
BETWEEN = 8.0
"""Mean over classes of how far a class's mean lies from the middle of all, in nats. What these are
worth is not known from the images that the discriminant was fitted on."""
ABSENT = -20.0
"""Log odds of a class that has no image."""


def fit_discriminant(value_NF: np.ndarray, label_N: np.ndarray, classes: int) -> SoftmaxHead:
    """Linear discriminant of equal priors, with a Ledoit-Wolf covariance within classes.

    Its equations are solved in as many unknowns as there are images, or features where these are
    fewer (by the identity of Woodbury).

    Args:
        value_NF: (N, F) float.
        label_N: (N,) int64 in [0, classes).
        classes: K.

    Sources: Fisher 1936; Ledoit & Wolf 2004, by scikit-learn; Friedman 1989.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage  # noqa: PLC0415  (slow, only fit needs it)

    value_NF = value_NF.astype(np.float64)
    scale_F = value_NF.std(0) + LEAST_SPREAD * value_NF.std() + 1e-12
    z_NF = value_NF / scale_F
    count_K = np.bincount(label_N, minlength=classes)
    mean_KF = class_means(z_NF, label_N, classes)
    center_F = mean_KF[count_K > 0].mean(0)
    mean_KF[count_K == 0] = center_F
    within_NF = z_NF - mean_KF[label_N]
    weight_FK = _solve(
        within_NF, ledoit_wolf_shrinkage(within_NF, assume_centered=True), mean_KF - center_F
    )
    bias_K = -((mean_KF + center_F) * weight_FK.T).sum(1) / 2
    # Against the mean over classes, a class's own log odds at its own mean are its distance.
    apart_K = ((mean_KF - center_F) * weight_FK.T).sum(1)[count_K > 0]
    factor = BETWEEN / max(float(apart_K.mean()), 1e-12)
    weight_FK, bias_K = factor * weight_FK / scale_F[:, None], factor * bias_K
    bias_K[count_K == 0] = ABSENT
    return SoftmaxHead(
        weight_FK=torch.from_numpy(weight_FK.astype(np.float32)),
        bias_K=torch.from_numpy(bias_K.astype(np.float32)),
    )


def class_means(value_NF: np.ndarray, label_N: np.ndarray, classes: int) -> np.ndarray:
    """(K, F) float64, the mean of each class's values; 0 for a class that has none."""
    sum_KF = np.zeros((classes, value_NF.shape[1]))
    np.add.at(sum_KF, label_N, value_NF)
    return sum_KF / np.maximum(np.bincount(label_N, minlength=classes), 1)[:, None]


def _solve(within_NF: np.ndarray, shrinkage: float, given_KF: np.ndarray) -> np.ndarray:
    """(F, K): the inverse of the shrunk covariance of deviations, times each given vector."""
    images, features = within_NF.shape
    even = shrinkage * np.square(within_NF).mean() + 1e-9
    share = (1 - shrinkage) / images
    if features <= images:
        covariance_FF = share * within_NF.T @ within_NF + even * np.eye(features)
        return np.asarray(np.linalg.solve(covariance_FF, given_KF.T))
    inner_NN = np.eye(images) + share / even * within_NF @ within_NF.T
    part_FK = within_NF.T @ np.linalg.solve(inner_NN, within_NF @ given_KF.T)
    return np.asarray((given_KF.T - share / even * part_FK) / even)
