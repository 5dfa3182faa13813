"""Label view `places`: what an inner layer of the encoder sees at nine places of an image.

Some three quarters through a network that was trained elsewhere, a channel stands for a part of a
thing. Where in the image the parts lie tells hands and postures apart, which the mean over all
places, the network's end, forgets. There are more features than references, so the classifier is a
linear discriminant with a shrunk covariance.

Shape suffixes: N images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from rayqc.models.latent import PLACES
from rayqc.regions.views.base import HeadView, ViewBatch, ViewKind, ViewTask, restore_head
from rayqc.training.discriminant import fit_discriminant

NAME = "places"


@dataclass(frozen=True, kw_only=True)
class PlacesView(HeadView):
    """A linear discriminant on features of an inner layer."""

    name: str = NAME

    def features(self, batch: ViewBatch) -> Tensor:
        """See `HeadView.features`."""
        if PLACES not in batch.inner:
            raise ValueError("the candidates come without features of places, and the regions ask")
        return batch.inner[PLACES]


def learn(task: ViewTask) -> PlacesView:
    """See `ViewKind.learn`."""
    return PlacesView(head=fit_discriminant(task.inner[PLACES], task.label_N, task.classes))


def restore(arrays: dict[str, np.ndarray], classes: int, channels: int) -> PlacesView | None:
    """See `ViewKind.restore`."""
    head = restore_head(arrays, NAME)
    return None if head is None else PlacesView(head=head)


KIND = ViewKind(learn=learn, restore=restore)
