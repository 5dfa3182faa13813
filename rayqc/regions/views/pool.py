"""Label view `pool`: linear classifiers that learned from images and labels of the pool itself.

Where most labels of a pool are right, its many images say what a class looks like better than few
references do (confident learning; Northcutt, Jiang & Chuang 2021). Every image is judged by a
classifier that learned from the other folds alone; only how hard they learn is chosen on all. Its
fold is that of the nearest reference, and a classifier learns from no image that may have been made
of a reference of its own fold: no reference is judged by what learned from its own copies, nor from
mixtures of it and another. So the references measure what the view is worth as they do for any
other, and where a pool's labels are wrong it has no say. A generator that was trained on the
references knows all of them, and no folds part its images from them.

Shape suffixes: N images, R references, C H W pixels, D latent, F features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rayqc.models.features import edge_histograms
from rayqc.models.vae import pixels_to_input
from rayqc.regions.base import Candidates
from rayqc.regions.neighbours import nearest_of
from rayqc.regions.views.base import BATCH, FittedView, ViewBatch, ViewKind, ViewTask
from rayqc.regions.views.edges import NAME as EDGES
from rayqc.regions.views.latent import NAME as LATENT
from rayqc.storage.artefact import prefixed, under
from rayqc.training.softmax import SoftmaxHead, train_softmax
from rayqc.units import evenly

NAME = "pool"
FOLDS = 5
MOST_REFERENCES = 1_000
"""References that folds are told by; more are thinned evenly."""
LEAST_OF_A_CLASS = 16
"""Images of a class from which a classifier learns it; with fewer it would say that hardly any
image is of that class."""
UNKNOWN = -torch.inf
"""Bias of a class that a classifier has not learned."""
PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Weights of half the squared weights that are tried. The more of a pool's labels are wrong, the
larger is the best."""


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Parts of feature space: an image is in the fold of the reference that it is nearest to."""

    features_RF: Tensor
    """(R, F) float32, of references no two of which are alike."""
    fold_R: Tensor
    """(R,) int64 in [0, FOLDS)."""

    def __call__(self, features_NF: Tensor) -> Tensor:
        """(N,) int64 folds of N images."""
        nearest = nearest_of(features_NF.numpy(), self.features_RF.numpy())
        return self.fold_R[torch.from_numpy(nearest.reference_N)]

    def near(self, features_NF: Tensor) -> Tensor:
        """(N, FOLDS) bool: may the image have been made of a reference of the fold?

        It may where no reference is nearer to it, or it is nearer to a reference than any other
        reference is. Of other real images that is true of about one reference, whatever their
        number; what is mixed of two references lies between them.
        """
        apart_RR = torch.cdist(self.features_RF, self.features_RF).fill_diagonal_(torch.inf)
        reach_R = apart_RR.amin(1)
        fold_RK = F.one_hot(self.fold_R, FOLDS).float()
        of_nearest_NK = F.one_hot(self(features_NF), FOLDS).bool()
        within_NK = [
            (torch.cdist(batch_BF, self.features_RF) < reach_R).float() @ fold_RK > 0
            for batch_BF in torch.split(features_NF, BATCH)
        ]
        return of_nearest_NK | torch.cat(within_NK)

    def arrays(self) -> dict[str, np.ndarray]:
        """The references' features and folds, for `restore`."""
        return {"features_RF": self.features_RF.numpy(), "fold_R": self.fold_R.numpy()}

    @staticmethod
    def restore(arrays: dict[str, np.ndarray]) -> Folds:
        """The folds whose `arrays` these are."""
        return Folds(
            features_RF=torch.tensor(arrays["features_RF"]), fold_R=torch.tensor(arrays["fold_R"])
        )


def folds_by_reference(features_RF: Tensor, label_R: np.ndarray) -> Folds:
    """Folds that have as many references of each class as they can.

    Args:
        features_RF: (R, F) float32.
        label_R: (R,) int64.
    """
    different = np.sort(np.unique(features_RF.numpy(), axis=0, return_index=True)[1])
    rows = different[evenly(different.size, MOST_REFERENCES)]
    order = rows[np.argsort(label_R[rows], kind="stable")]
    return Folds(features_RF=features_RF[order], fold_R=torch.arange(order.size) % FOLDS)


@dataclass(frozen=True, kw_only=True)
class PoolView:
    """A linear classifier for each fold, on latents or on edge histograms."""

    looks_at: str
    """`latent` or `edges`."""
    folds: Folds
    heads: tuple[SoftmaxHead, ...]
    """In the folds' order; each learned from what was made of no reference of its own."""

    def log_probability(self, batch: ViewBatch) -> Tensor:
        """See `FittedView.log_probability`."""
        features_NF = batch.latent_ND if self.looks_at == LATENT else edge_histograms(batch.x_NCHW)
        return out_of_fold(self.heads, features_NF, self.folds(features_NF))

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedView.arrays`."""
        arrays = self.folds.arrays()
        for fold, head in enumerate(self.heads):
            arrays |= prefixed(head.arrays(), str(fold))
        return prefixed(arrays, f"{NAME}.{self.looks_at}")


def out_of_fold(heads: Sequence[SoftmaxHead], features_NF: Tensor, fold_N: Tensor) -> Tensor:
    """(N, K) log-probabilities, nats: of each image by the head that has not learned from it."""
    found_NK = torch.zeros(len(features_NF), len(heads[0].bias_K))
    for fold, head in enumerate(heads):
        rows = fold_N == fold
        logit_NK = head(features_NF[rows])
        # Of a class that it does not know a head says neither yes nor no: as likely as the best.
        best_N1 = logit_NK.amax(1, keepdim=True)
        known_NK = torch.where(head.bias_K == UNKNOWN, best_N1, logit_NK)
        found_NK[rows] = F.log_softmax(known_NK, dim=1)
    return found_NK


def _learn(features_NF: Tensor, label_N: Tensor, classes: int, penalty: float) -> SoftmaxHead:
    """A head that knows the classes of which there are enough images."""
    knows_K = torch.bincount(label_N, minlength=classes) >= LEAST_OF_A_CLASS
    if knows_K.sum() < 2:
        return SoftmaxHead.of_nothing(features_NF.shape[1], classes)
    rows = knows_K[label_N]
    head = train_softmax(features_NF[rows], label_N[rows], classes, penalty)
    return SoftmaxHead(
        weight_FK=head.weight_FK * knows_K, bias_K=torch.where(knows_K, head.bias_K, UNKNOWN)
    )


def learn_from_pool(
    images: Candidates, references: Candidates, classes: int, looks_at: str
) -> PoolView:
    """Train the classifiers of all folds, with the penalty that tells the pool's labels best.

    Args:
        images: N of the pool, under the pool's own labels.
        references: R, which are not learned from; they tell the folds.
        classes: K.
        looks_at: `latent` or `edges`.
    """
    features_NF, features_RF = (_features(part, looks_at) for part in (images, references))
    folds = folds_by_reference(features_RF, references.label_N)
    fold_N, label_N = folds(features_NF), torch.tensor(images.label_N)
    near_NF = folds.near(features_NF)

    def trained(penalty: float) -> tuple[SoftmaxHead, ...]:
        return tuple(
            _learn(features_NF[rest_N], label_N[rest_N], classes, penalty)
            for rest_N in (~near_NF[:, fold] for fold in range(FOLDS))
        )

    def loss(heads: tuple[SoftmaxHead, ...]) -> float:
        return float(F.nll_loss(out_of_fold(heads, features_NF, fold_N), label_N))

    return PoolView(looks_at=looks_at, folds=folds, heads=min(map(trained, PENALTIES), key=loss))


def _features(images: Candidates, looks_at: str) -> Tensor:
    if looks_at == LATENT:
        return torch.tensor(images.latent_ND)
    batches = torch.split(pixels_to_input(torch.tensor(images.images_NHWC)), BATCH)
    return torch.cat([edge_histograms(x_NCHW) for x_NCHW in batches])


def learn(task: ViewTask) -> FittedView:
    """See `ViewKind.learn`."""
    raise ValueError(f"the view {NAME} learns from the pool, and no images of it were given")


def restore(arrays: dict[str, np.ndarray], classes: int, channels: int) -> PoolView | None:
    """See `ViewKind.restore`."""
    for looks_at in (LATENT, EDGES):
        own = under(under(arrays, NAME), looks_at)
        if own:
            heads = (SoftmaxHead.restore(under(own, str(fold))) for fold in range(FOLDS))
            return PoolView(looks_at=looks_at, folds=Folds.restore(own), heads=tuple(heads))
    return None


KIND = ViewKind(learn=learn, restore=restore)
