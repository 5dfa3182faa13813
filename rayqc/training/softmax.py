"""A linear softmax classifier on given features, fitted to the optimum.

Shape suffixes: N images, F features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

PENALTY = 1e-4
"""Weight of half the squared weights in the loss, where nothing else is asked for."""
STEPS = 30
"""Iterations of L-BFGS at most."""
LEAST_SPREAD = 1e-2
"""Added to each feature's standard deviation, as a share of that of all features' values."""


@dataclass(frozen=True, kw_only=True)
class SoftmaxHead:
    """Logits that are linear in the features."""

    weight_FK: Tensor
    bias_K: Tensor

    def __call__(self, features_NF: Tensor) -> Tensor:
        """(N, K) logits."""
        return features_NF @ self.weight_FK + self.bias_K

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights and biases, for `restore`."""
        return {"weight_FK": self.weight_FK.numpy(), "bias_K": self.bias_K.numpy()}

    @staticmethod
    def of_nothing(features: int, classes: int) -> SoftmaxHead:
        """The head that nothing was learned for: all classes are alike."""
        return SoftmaxHead(weight_FK=torch.zeros(features, classes), bias_K=torch.zeros(classes))

    @staticmethod
    def restore(arrays: dict[str, np.ndarray]) -> SoftmaxHead:
        """The head whose `arrays` these are."""
        return SoftmaxHead(
            weight_FK=torch.from_numpy(arrays["weight_FK"].copy()),
            bias_K=torch.from_numpy(arrays["bias_K"].copy()),
        )


def train_softmax(
    features_NF: Tensor, label_N: Tensor, classes: int, penalty: float = PENALTY
) -> SoftmaxHead:
    """Multinomial logistic regression on standardised features, by L-BFGS.

    Loss: mean cross-entropy plus half of the penalty times the squared weights, where the features
    have unit variance and are divided by the root of their number. Every class has the same
    weight in the mean.

    Args:
        features_NF: (N, F) float.
        label_N: (N,) int64 in [0, classes).
        classes: K.
        penalty: no unit.
    """
    mean_F = features_NF.mean(0)
    spread_F = features_NF.std(0) if len(features_NF) > 1 else torch.ones_like(mean_F)
    floor = LEAST_SPREAD * features_NF.std() if len(features_NF) > 1 else 1.0
    scale_F = (spread_F + floor + 1e-12) * features_NF.shape[1] ** 0.5
    z_NF = (features_NF - mean_F) / scale_F
    count_K = torch.bincount(label_N, minlength=classes).clamp(min=1).float()
    class_weight_K = count_K.sum() / count_K / classes
    weight_FK = torch.zeros(z_NF.shape[1], classes, requires_grad=True)
    bias_K = torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight_FK, bias_K], max_iter=STEPS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(z_NF @ weight_FK + bias_K, label_N, weight=class_weight_K)
        loss = loss + penalty * weight_FK.pow(2).sum() / 2
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    scaled_FK = weight_FK.detach() / scale_F[:, None]
    return SoftmaxHead(weight_FK=scaled_FK, bias_K=bias_K.detach() - mean_F @ scaled_FK)
