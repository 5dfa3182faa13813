"""Label view `network`: a small convolutional classifier trained on the references.

Shape suffixes: N images, C H W pixels, D latent, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rayqc.models.classifier import Classifier, fold
from rayqc.regions.views.base import ScorerSettings, ViewBatch, ViewKind, ViewTask
from rayqc.storage.artefact import prefixed, under
from rayqc.training.classifier import ClassifierSettings, train_classifier

NAME = "network"
SHRINK = "shrink"
WIDTH = 8
SHRUNK = 2
LEAST_SIDE = 16
"""Images with a side below this many pixels are not shrunk."""
STEPS = 150
LEARNING_RATE = 1e-2
BATCH_SIZE = 32


@dataclass(frozen=True, kw_only=True)
class NetworkView:
    """A trained classifier, its batch norms folded into its convolutions."""

    network: Classifier

    def log_probability(self, batch: ViewBatch) -> Tensor:
        """See `FittedView.log_probability`."""
        return F.log_softmax(self.network(batch.x_NCHW), dim=1)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedView.arrays`."""
        state = {key: tensor.numpy() for key, tensor in self.network.state_dict().items()}
        return {**prefixed(state, NAME), SHRINK: np.array([self.network.shrink])}


def learn(task: ViewTask) -> NetworkView:
    """See `ViewKind.learn`."""
    training = network_training(min(task.images_NHWC.shape[1:3]), task.settings)
    network = train_classifier(task.images_NHWC, task.label_N, task.classes, training, task.seed)
    return NetworkView(network=fold(network))


def network_training(side: int, settings: ScorerSettings) -> ClassifierSettings:
    """How the network is trained on images whose shorter side has so many pixels."""
    return ClassifierSettings(
        steps=STEPS,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        width=WIDTH,
        shrink=SHRUNK if side >= LEAST_SIDE else 1,
        augment=settings.augment,
        flip=settings.flip,
        balanced=True,
    )


def restore(arrays: dict[str, np.ndarray], classes: int, channels: int) -> NetworkView | None:
    """See `ViewKind.restore`."""
    state = {key: torch.from_numpy(array.copy()) for key, array in under(arrays, NAME).items()}
    if not state:
        return None
    network = Classifier(channels, classes, WIDTH, int(arrays[SHRINK][0]))
    fold(network).load_state_dict(state)
    network.to(memory_format=torch.channels_last)
    return NetworkView(network=network)


KIND = ViewKind(learn=learn, restore=restore)
